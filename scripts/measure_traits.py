"""How exactly a model draws the slant, thickness and width that are asked for, beside what a linear map of all latents can do.

    .venv/bin/python scripts/measure_traits.py pocket nano
    .venv/bin/python scripts/measure_traits.py --write edited.npz pocket

For each trait, requests are spread evenly over the 5 to 95 % range of real training digits of each class, as far as the model
offers it, and the same number for each class. Printed are the correlation of what was asked for with what was drawn, over all
requests; the slope; how much of a trait leaks into the others; and how many digits the first judge takes for the class asked for.
Slopes and leaks are in standard deviations of real digits of the class, around the class's means. The linear map is a ridge
regression from all latents to the traits of a class, along which latents are moved.

A second table shows how alike the traits of two digits by one hand are, at the default consistency: correlations over hands, of
traits relative to the mean of their class, for the same digit twice and for different ones, beside those of people.

With --write, digits are drawn instead whose class, slant, thickness and width are those of real training digits, as far as the
model offers them, for `gan-eval edited.npz --told-apart`. Takes some minutes a model. Needs the extra [train].
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pocketgan import Generator
from pocketgan.files import whole_file
from pocketgan.latents import latents
from pocketgan.trait_table import TRAITS
from pocketgan_trainer.data.published import CLASSES, Digits, load_mnist
from pocketgan_trainer.data.split import split_validation
from pocketgan_trainer.evaluate.handwriting import handwriting
from pocketgan_trainer.evaluate.judge import load_judge

REQUESTS_SEED = 2**33
REAL_DIGITS = 20_000
FITTED_IMAGES = 1_000
"""Of each class, for the linear map."""
PEOPLE = {"slant": (0.58, 0.75), "thickness": (0.67, 0.75), "width": (0.31, 0.56)}
"""How much the traits of two digits by one of the 539 writers of MNIST's training digits correlate: of two classes, and of one.

C. Yadav, L. Bottou, "Cold Case: The Lost MNIST Digits", 2019, list who wrote which digit.
"""


@dataclass(frozen=True)
class Answer:
    """A way to draw what is asked for."""

    draw: Callable[[int, int, list[float]], NDArray[np.uint8]]
    """Draws images of a digit, uint8 [n, 28, 28], with these values of a trait, by its number."""
    range_of: Callable[[int, int], tuple[float, float]]
    """Returns the least and the largest value of a trait of a digit."""


def by_table(generator: Generator) -> Answer:
    """Return the model's own way."""
    names = list(TRAITS)

    def draw(digit: int, number: int, asked: list[float]) -> NDArray[np.uint8]:
        wanted = [[value if number == other else None for other in range(len(TRAITS))] for value in asked]
        first = digit * len(asked)  # other latents for each digit, so that chance does not look like a leak
        return np.stack([one_digit(generator, digit, REQUESTS_SEED, first + index, *row) for index, row in enumerate(wanted)])

    return Answer(draw, lambda digit, number: generator.trait_range(names[number], digit))


def one_digit(
    generator: Generator, digit: int, seed: int, index: int, slant: float | None, thickness: float | None, width: float | None
) -> NDArray[np.uint8]:
    """Return one image, uint8 [28, 28]."""
    (image,) = generator.generate(1, digit, seed, index, slant=slant, thickness=thickness, width=width)
    drawn: NDArray[np.uint8] = image
    return drawn


def by_linear_map(generator: Generator) -> Answer:
    """Return a way that moves all latents along the directions of a ridge regression."""
    size = generator.card.latent_size
    z = latents(REQUESTS_SEED + 1, 0, FITTED_IMAGES, size).astype(np.float64)
    inputs = np.concatenate([z, np.ones((len(z), 1))], axis=1)
    covariance = inputs.T @ inputs + np.eye(size + 1)
    traits = [handwriting(generator.draw_latents(z, digit)) for digit in range(CLASSES)]
    maps = [np.linalg.solve(covariance, inputs.T @ of_digit) for of_digit in traits]

    def draw(digit: int, number: int, asked: list[float]) -> NDArray[np.uint8]:
        own, slopes = latents(REQUESTS_SEED, digit * len(asked), len(asked), size), maps[digit][:-1]
        change = np.zeros((len(asked), len(TRAITS)))
        change[:, number] = asked - (own @ slopes + maps[digit][-1])[:, number]
        # The shortest move that changes this trait only.
        return generator.draw_latents(own + change @ np.linalg.pinv(slopes), digit)

    return Answer(draw, lambda digit, number: (-1000, 1000))


def measured(answer: Answer, real: list[NDArray[np.float64]], requests: int) -> Iterator[list[str]]:
    """Yield a row of figures for each trait; `real` are the traits of real digits, [n, 3] for each class."""
    judge = load_judge("first")
    for number, (name, unit) in enumerate(TRAITS.items()):
        asked_for, drawn, scaled, right = [], [], [], []
        for digit, traits in enumerate(real):
            low, high = np.quantile(traits[:, number], [0.05, 0.95]).clip(*answer.range_of(digit, number))
            asked = [round(low + share * (high - low), 2) for share in np.linspace(0.001, 0.999, requests // CLASSES)]
            images = answer.draw(digit, number, asked)
            got = handwriting(images)
            asked_for += asked
            drawn += got[:, number].tolist()
            both = np.column_stack([asked, got]) - np.append(np.mean(asked), got.mean(axis=0))
            scaled.append(both / traits.std(axis=0).take([number, *range(len(TRAITS))]))
            right.append(judge.assess(images).probabilities.argmax(axis=1) == digit)
        wanted, *others = np.concatenate(scaled).T
        slopes = [float(wanted @ other / (wanted @ wanted)) for other in others]
        yield [
            name,
            f"{np.corrcoef(asked_for, drawn)[0, 1]:.3f}",
            f"{slopes.pop(number):.3f}",
            f"{max(map(abs, slopes)):.3f}",
            f"{np.abs(np.subtract(asked_for, drawn)).mean():.2f} {unit}",
            f"{100 * np.mean(right):.2f} %",
        ]


def alike_by_hand(generator: Generator, hands: int) -> Iterator[list[str]]:
    """Yield a row for each trait: its correlation for two digits by one hand, of the same class and of different ones."""
    first = np.arange(hands) % CLASSES
    other = (first + 1 + np.arange(hands) // CLASSES % (CLASSES - 1)) % CLASSES
    classes = np.stack([first, first, other], axis=1)
    images = np.stack([generator.generate(3, three, REQUESTS_SEED, 3 * hand, hand=hand) for hand, three in enumerate(classes)])
    traits = handwriting(images.reshape(-1, 28, 28)).reshape(hands, 3, len(TRAITS))
    for digit in range(CLASSES):
        traits[classes == digit] -= traits[classes == digit].mean(axis=0)
        traits[classes == digit] /= traits[classes == digit].std(axis=0)
    for number, (name, (of_others, of_same)) in enumerate(PEOPLE.items()):
        same, different = (np.corrcoef(traits[:, 0, number], traits[:, place, number])[0, 1] for place in (1, 2))
        yield [name, f"{different:.2f}", f"{of_others:.2f}", f"{same:.2f}", f"{of_same:.2f}"]


def write_edited(generator: Generator, digits: Digits, target: Path) -> None:
    """Write images with the classes and traits of these digits, as far as the model offers them, as an .npz file."""
    images = np.empty_like(digits.images)
    for index, (digit, traits) in enumerate(zip(digits.labels.tolist(), handwriting(digits.images).tolist(), strict=True)):
        ranges = [generator.trait_range(name, digit) for name in TRAITS]
        wanted = [round(min(max(value, low), high), 2) for value, (low, high) in zip(traits, ranges, strict=True)]
        images[index] = one_digit(generator, digit, REQUESTS_SEED + 2, index, *wanted)
    with whole_file(target) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, images=images, labels=digits.labels)


def main() -> None:
    """Measure the models that are named, or write edited digits."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("models", nargs="+", help="names of bundled models, or files")
    parser.add_argument("--requests", type=int, default=2_000, help="requests for each trait")
    parser.add_argument("--write", type=Path, help="write digits with the traits of real ones to this .npz file instead")
    parser.add_argument("--count", type=int, default=10_000, help="how many with --write")
    options = parser.parse_args()
    training = split_validation(load_mnist()).training
    generators = {name: Generator.load(name, "cpu") for name in options.models}
    if options.write:
        if len(generators) > 1:
            parser.error("--write takes one model")
        chosen = Digits(training.images[: options.count], training.labels[: options.count])
        write_edited(generators[options.models[0]], chosen, options.write)
        return
    traits, labels = handwriting(training.images[:REAL_DIGITS]), training.labels[:REAL_DIGITS]
    real = [traits[labels == digit] for digit in range(CLASSES)]
    table = Table("model", "trait", "correlation", "slope", "largest leak", "mean error", "judged as asked")
    for name, generator in generators.items():
        answers = {f"{name}, linear map": by_linear_map(generator)}
        if generator.card.traits is not None:
            answers = {name: by_table(generator), **answers}
        for title, answer in answers.items():
            for row in measured(answer, real, options.requests):
                table.add_row(title, *row)
    hands = Table("model", "trait", "different digits", "people's", "same digit", "people's", title="Correlation by one hand")
    for name, generator in generators.items():
        for row in alike_by_hand(generator, options.requests):
            hands.add_row(name, *row)
    for shown in (table, hands):
        Console(width=120).print(shown)


if __name__ == "__main__":
    main()
