"""A table of traits for the tiny models, and these models with it."""

from dataclasses import replace
from pathlib import Path

from protobuf_bytes import metadata_entry

from pocketgan.generator import Generator
from pocketgan.model.card import CARD_KEY, ModelCard
from pocketgan.model.checked import read_model
from pocketgan.model.session import Provider
from pocketgan.trait_table import SCORES, ClassTraits


def class_traits(number: int = 0) -> ClassTraits:
    """Return the traits of a class: values, and mixed latents, that differ from number to number."""
    slants = tuple(1000 + 20 * number + 25 * score for score in SCORES)
    thicknesses = tuple(300 + number + score for score in SCORES)
    widths = tuple(1500 - 80 * number + 5 * score + score // 2 for score in SCORES)
    return ClassTraits((slants, thicknesses, widths), ((256, 10 + number, -20), (-40, 250, 5), (number, 60, 240)))


def with_traits(generator: Generator) -> Generator:
    """Return the same model with a table of traits in its card."""
    return Generator(read_model(generator.path)._replace(card=_card_with_traits(generator.card)), Provider.cpu)


def write_with_traits(generator: Generator, target: Path) -> Path:
    """Write the file of that model."""
    card = _card_with_traits(generator.card).to_json()
    target.write_bytes(generator.path.read_bytes() + metadata_entry(CARD_KEY, card))  # the last entry counts
    return target


def _card_with_traits(card: ModelCard) -> ModelCard:
    groups = max(1, len(card.classes))
    return replace(card, traits=tuple(class_traits(number) for number in range(groups)))
