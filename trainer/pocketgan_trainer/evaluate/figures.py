"""The figures of quality that need no training: one table of rows, FIGURES.

What is computed from a set of images, the rows of every table and the contents of the JSON follow from it. To add a figure, add
a row and, if it takes more than a line, the function that computes it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pocketgan.trait_table import TRAIT_NUMBERS
from pocketgan_trainer.data.published import CLASSES
from pocketgan_trainer.evaluate.distances import frechet_distance, kernel_distance, nearest_neighbour_accuracy
from pocketgan_trainer.evaluate.handwriting import trait_distance
from pocketgan_trainer.evaluate.image_set import ImageSet, Reference
from pocketgan_trainer.evaluate.spaces import SPACES, Coordinates, SpaceName
from pocketgan_trainer.evaluate.texture import FEWEST_FOR_TEXTURE, count_neighbours, told_apart_by_texture
from pocketgan_trainer.evaluate.topology import count_topologies, euler_numbers, topology_distance
from pocketgan_trainer.evaluate.traits import edge_distance, is_sized_and_centered, level_distance, one_full_ink, usual_full_ink

Value: TypeAlias = float | tuple[float, ...] | NDArray[np.int64] | None
"""A figure of one set of images: a number, several numbers or a matrix; None if it needs classes and there are none."""
SetFigures: TypeAlias = Mapping[str, Value]
"""All figures of one set of images, by the `key` of their rows."""

FEWEST_FOR_FRECHET = 1_000
"""The Frechet distance needs many more images than there are features."""
MOST_CONFUSIONS = 3
"""The number of confusions in a cell of the table."""


def significant(mean: float, deviation: float | None) -> str:
    """Return three significant digits: `0.0502 ± 0.0011`."""
    return f"{mean:.3g}" if deviation is None else f"{mean:.3g} ± {deviation:.2g}"


def percent(mean: float, deviation: float | None) -> str:
    """Return a share as `98.60 ± 0.05 %`."""
    return f"{100 * mean:.2f} %" if deviation is None else f"{100 * mean:.2f} ± {100 * deviation:.2f} %"


def decimals(mean: float, deviation: float | None) -> str:
    """Return three decimals: `0.945 ± 0.002`."""
    return f"{mean:.3f}" if deviation is None else f"{mean:.3f} ± {deviation:.3f}"


@dataclass(frozen=True)
class Figure:
    """A row of the table of figures."""

    key: str
    """Its place in a seed's JSON object: `against_test.frechet.pixels` is `pixels` in `frechet` in `against_test`."""
    measure: Callable[[ImageSet], Value]
    name: str | None = None
    """As printed; None if only the JSON has it."""
    write: Callable[[float, float | None], str] = significant
    """Formats a mean and, if there is one, a standard deviation."""
    summarize: Callable[[NDArray[np.int64]], str] | None = None
    """Only for matrices: formats the sum over the seeds for a cell. The HTML report shows the whole matrix."""
    has_ratio: bool = False
    """Whether to show the ratio to real digits: for distances, which are above 0 for real digits too."""
    needs_classes: bool = False
    of_test_digits: bool = False
    """Whether the value for real digits is that of the test digits; otherwise it is that of samples of training digits."""
    band: str | None = None
    """The key of the band that holds 95 of 100 sets of real digits; it is shown in place of a value for real digits."""
    in_json: bool = True
    """Whether the JSON has it."""
    by_class: bool = False
    """Whether the row is only printed with --by-class."""
    fewest_images: int = 1
    """With fewer images, a quick evaluation leaves it out."""
    needs_all_training_digits: bool = False
    """Whether a quick evaluation leaves it out."""


def accuracy(confusion: NDArray[np.int64]) -> float:
    """Return the share of all images that are judged as the digit asked for."""
    return float(confusion.trace() / confusion.sum())


def accuracy_of_class(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of the images asked for as each digit that are judged as it, [10]; nan for a digit never asked for."""
    requested = confusion.sum(axis=1)
    shares = np.full(len(requested), np.nan)
    np.divide(confusion.diagonal(), requested, out=shares, where=requested > 0)
    return shares


def class_divergence(histogram: Sequence[int], expected: NDArray[np.float64]) -> float:
    """Return the Kullback-Leibler divergence of the judged digits' proportions from the expected ones [10], in nats.

    It is sum p log(p / q) over the digits with p above 0: 0 if the proportions are equal, 9 / 2N on average for N labels drawn
    at random, and infinite if some image is judged as a digit that is not expected at all.
    """
    proportions = np.array(histogram) / sum(histogram)
    found = proportions > 0
    if (expected[found] == 0).any():
        return math.inf
    return float((proportions[found] * np.log(proportions[found] / expected[found])).sum())


def largest_confusions(confusion: NDArray[np.int64]) -> str:
    """Return the most frequent confusions, as shares of the images asked for: `4 as 9: 0.31 %, 7 as 2: 0.19 %`, or `none`."""
    shares = confusion / confusion.sum(axis=1, keepdims=True).clip(1)
    np.fill_diagonal(shares, 0)
    largest = np.argsort(-shares, axis=None, kind="stable")[:MOST_CONFUSIONS]
    pairs = [divmod(int(place), CLASSES) for place in largest if shares.flat[place] > 0]
    texts = [f"{requested} as {judged}: {100 * shares[requested, judged]:.2f} %" for requested, judged in pairs]
    return ", ".join(texts) or "none"


def _frechet_to_test(images: ImageSet, space: SpaceName) -> float:
    return frechet_distance(images.images.features[space], images.reference.test.features[space])


def _frechet_to_training(images: ImageSet, space: SpaceName) -> float:
    return frechet_distance(images.images.features[space], images.reference.training.features[space])


def _neighbour_accuracy(images: ImageSet, space: SpaceName) -> float:
    return nearest_neighbour_accuracy(images.manifolds[space], images.reference.test_manifolds[space])


def _texture_accuracy(images: ImageSet) -> float:
    return told_apart_by_texture(count_neighbours(images.images.pixels), images.reference.test_neighbours)


def _topology_distance(images: ImageSet) -> float:
    counts = count_topologies(euler_numbers(images.images.pixels), images.requested, CLASSES)
    return topology_distance(counts, images.reference.test_topologies)


def _trait_distance(images: ImageSet, number: int) -> float:
    return trait_distance(images.handwriting[:, number], images.reference.test_handwriting[:, number])


def _kernel_distance(images: ImageSet) -> float:
    return kernel_distance(images.images.features["first_judge"], images.reference.test.features["first_judge"], images.seed)


def _of_digit(digit: int) -> tuple[Figure, Figure]:
    """Return the rows of one digit."""
    return (
        Figure(
            f"classes.share.{digit}",
            lambda images: images.histogram[digit] / sum(images.histogram),
            f"Judged as {digit}, of all images",
            percent,
            of_test_digits=True,
            in_json=False,
            by_class=True,
        ),
        Figure(
            f"classes.accuracy.{digit}",
            lambda images: float(accuracy_of_class(images.confusion)[digit]),
            f"Judged as {digit}, of those asked for as {digit}",
            percent,
            of_test_digits=True,
            needs_classes=True,
            in_json=False,
            by_class=True,
        ),
    )


def _frechet_title(space: SpaceName) -> str:
    return SPACES[space] if space == "pixels" else f"{SPACES[space]} (not Inception FID)"


_of_test_digits = partial(Figure, of_test_digits=True)
_of_copying = partial(Figure, of_test_digits=True, needs_all_training_digits=True)
_of_requested = partial(Figure, of_test_digits=True, needs_classes=True)

FIGURES: tuple[Figure, ...] = (
    *(
        Figure(
            f"against_test.frechet.{space}",
            partial(_frechet_to_test, space=space),
            f"Frechet distance, {_frechet_title(space)}",
            has_ratio=True,
            fewest_images=FEWEST_FOR_FRECHET,
        )
        for space in SPACES
    ),
    *(
        Figure(
            f"training_frechet.{space}",
            partial(_frechet_to_training, space=space),
            f"Frechet distance to the 55,000 training digits, {_frechet_title(space)}",
            has_ratio=True,
            of_test_digits=True,
            needs_all_training_digits=True,
        )
        for space in SPACES
    ),
    Figure("against_test.kernel_distance", _kernel_distance, f"Kernel distance, {SPACES['first_judge']}"),
    Figure("against_test.neighbourhood.precision", lambda images: images.overlap.precision, "Precision (k = 3)", decimals),
    Figure("against_test.neighbourhood.recall", lambda images: images.overlap.recall, "Recall (k = 3)", decimals),
    Figure("against_test.neighbourhood.density", lambda images: images.overlap.density, "Density (k = 5)", decimals),
    Figure("against_test.neighbourhood.coverage", lambda images: images.overlap.coverage, "Coverage (k = 5)", decimals),
    *(
        Figure(
            f"against_test.nearest_neighbour_accuracy{'' if space == 'first_judge' else f'_{space}'}",
            partial(_neighbour_accuracy, space=space),
            f"Told apart by the nearest neighbour, {title}",
            percent,
        )
        for space, title in SPACES.items()
    ),
    Figure(
        "against_test.told_apart_by_texture",
        _texture_accuracy,
        "Told apart by texture: which grey levels are adjacent",
        percent,
        fewest_images=FEWEST_FOR_TEXTURE,
    ),
    Figure(
        "traits.sized_and_centered",
        lambda images: float(is_sized_and_centered(images.images.pixels).mean()),
        "Longer side of 20 pixels, and centre of mass in the middle",
        percent,
    ),
    Figure(
        "traits.usual_full_ink",
        lambda images: usual_full_ink(images.images.pixels),
        "Levels 252 to 254, of all pixels of 250 and more",
        percent,
    ),
    Figure(
        "traits.one_full_ink",
        lambda images: one_full_ink(images.images.pixels),
        "Most frequent level of an image's pixels of 250 and more",
        percent,
    ),
    Figure(
        "traits.level_distance",
        lambda images: level_distance(images.images.pixels, images.reference.test.pixels),
        "Grey levels of the ink, distance of the distributions (0 to 1)",
    ),
    Figure(
        "traits.edge_distance",
        lambda images: edge_distance(images.images.pixels, images.reference.test.pixels),
        "Differences of neighbouring pixels, distance of the distributions (0 to 1)",
    ),
    Figure(
        "traits.topology_distance",
        _topology_distance,
        "Parts and holes of the ink, distance of the distributions of a class (0 to 1)",
    ),
    *(
        Figure(
            f"traits.{name}_distance",
            partial(_trait_distance, number=number),
            f"{name.capitalize()} of the digits, distance of the distributions (0 to 1)",
        )
        for name, number in TRAIT_NUMBERS.items()
    ),
    _of_test_digits("classes.histogram", lambda images: images.histogram),
    _of_test_digits(
        "classes.divergence",
        lambda images: class_divergence(images.histogram, images.reference.proportions),
        "Divergence of the classes from the test digits', in nats",
    ),
    _of_requested("classes.accuracy_of_class", lambda images: tuple(accuracy_of_class(images.confusion).tolist())),
    _of_requested("classes.accuracy", lambda images: accuracy(images.confusion), "Judged as the digit asked for", percent),
    _of_requested(
        "classes.worst_accuracy",
        lambda images: float(np.nanmin(accuracy_of_class(images.confusion))),
        "Judged as the digit asked for, worst digit",
        percent,
        in_json=False,
    ),
    _of_requested(
        "classes.confusion",
        lambda images: images.confusion,
        "Most often judged as another digit, of those asked for",
        summarize=largest_confusions,
    ),
    _of_copying(
        "memorization.nearest_ratio_median",
        lambda images: images.memorization.nearest_ratio_median,
        "Distance to the nearest training digit, ratio to validation digits', median",
        decimals,
        band="memorization.band_median",
    ),
    _of_copying(
        "memorization.nearest_ratio_low",
        lambda images: images.memorization.nearest_ratio_low,
        "Distance to the nearest training digit, ratio to validation digits', lowest 1 %",
        decimals,
        band="memorization.band_low",
    ),
    _of_copying("memorization.band_median", lambda images: images.memorization.band_median),
    _of_copying("memorization.band_low", lambda images: images.memorization.band_low),
    _of_copying(
        "memorization.copying_score",
        lambda images: images.memorization.copying_score,
        "Data copying C_T (far below 0: copied)",
        decimals,
        band="memorization.copying_band",
    ),
    _of_copying("memorization.copying_band", lambda images: images.memorization.copying_band),
    _of_copying("memorization.closest_pairs", lambda images: images.memorization.closest_pairs),
    *(figure for digit in range(CLASSES) for figure in _of_digit(digit)),
)
"""In the order of the table."""


def chosen_figures(images: int, is_quick: bool) -> tuple[Figure, ...]:
    """Return the rows that are measured with this number of images, in the order of the table."""
    if not is_quick:
        return FIGURES
    return tuple(row for row in FIGURES if images >= row.fewest_images and not row.needs_all_training_digits)


def measure(images: ImageSet, rows: Sequence[Figure]) -> SetFigures:
    """Return the figures of a set of images."""
    return {row.key: None if row.needs_classes and not images.has_classes else row.measure(images) for row in rows}


def measure_real(reference: Reference, samples: Sequence[Coordinates], rows: Sequence[Figure]) -> tuple[SetFigures, ...]:
    """Return the figures of real digits, once for each of the samples, N training digits of the classes of the test digits.

    A generator as good as the training digits scores the same, and so does one that copies them: the judges were trained on
    these digits in either case. Rows with `of_test_digits` have the figure of the test digits, the same for every sample.
    """
    test = ImageSet(reference, reference.test, has_classes=True, seed=0)
    of_test = {row.key: row.measure(test) for row in rows if row.of_test_digits}
    sets = [ImageSet(reference, sample, has_classes=True, seed=seed) for seed, sample in enumerate(samples)]
    return tuple({row.key: of_test[row.key] if row.of_test_digits else row.measure(one) for row in rows} for one in sets)


def number(figures: SetFigures, key: str) -> float:
    """Return a figure as a number. Raises TypeError if it is not a number."""
    value = figures[key]
    if not isinstance(value, float):
        message = f"{key} is {value}: expected a number"
        raise TypeError(message)
    return value
