"""The table of traits that an export measures: of drawn parallelograms, whose traits are known, and of images without any."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from PIL import Image, ImageDraw

from pocketgan.address import asked_traits, image_range
from pocketgan.generator import Generator
from pocketgan.latents import LATENT_STEP, asked_values, latent_ticks
from pocketgan.trait_table import SCORES
from pocketgan.traits import TraitSetter
from pocketgan_trainer.evaluate.handwriting import handwriting
from pocketgan_trainer.export import measured_traits
from pocketgan_trainer.export.measured_traits import describe_traits, measure_traits

CLASSES = 2


@pytest.fixture(autouse=True)
def fewer_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure a few hundred images."""
    monkeypatch.setattr(measured_traits, "_IMAGES_OF_A_CLASS", 300)


def outline(slant_degrees: float, thickness: float, width: float) -> NDArray[np.uint8]:
    """Return the outline of a parallelogram, uint8 [28, 28], drawn at 8 times the size and reduced."""
    scale, half, lean = 8, 9.0, np.tan(np.radians(slant_degrees)) * 9
    large = Image.new("L", (28 * scale, 28 * scale))
    for side, level in ((0.0, 255), (thickness, 0)):
        reach, tall = width / 2 - side, half - side
        lean_here = lean * tall / half
        corners = [(lean_here - reach, -tall), (lean_here + reach, -tall), (reach - lean_here, tall), (-reach - lean_here, tall)]
        ImageDraw.Draw(large).polygon([(scale * (14 + x), scale * (14 + y)) for x, y in corners], fill=level)
    return np.asarray(large.resize((28, 28), Image.Resampling.BOX))


class Outlines:
    """Draws outlines whose traits depend on the latents in a mixed way; class 1 is wider."""

    def run(self, names: object, inputs: dict[str, NDArray[Any]]) -> list[NDArray[np.uint8]]:
        first, second, third = (inputs["z"][:, number].clip(-2.5, 2.5) for number in range(3))
        slants, thicknesses = 5 + 8 * first, 2.4 + 0.2 * second
        widths = 11 + 2 * inputs["label"] + 0.8 * third + 0.4 * second
        return [np.stack([outline(*traits) for traits in zip(slants, thicknesses, widths, strict=True)])]


def test_what_is_asked_for_is_what_is_drawn() -> None:
    measured = measure_traits(cast(InferenceSession, Outlines()), 16, CLASSES)
    assert measured.correlations.min() > 0.9
    assert min(measured.means.values()) > 0.94
    assert describe_traits(measured, ("0", "1")).startswith("can be chosen; correlations with the first latents: slant 0.9")
    table = measured.table
    assert table is not None
    assert len(table) == CLASSES
    middle = list(SCORES).index(0)
    assert [of_class.values[0][middle] for of_class in table] == pytest.approx([500, 500], abs=60)
    assert table[1].values[2][middle] - table[0].values[2][middle] == pytest.approx(200, abs=40)
    assert table[0].mixing[2][1] == pytest.approx(256 * 0.4 / np.hypot(0.4, 0.8), abs=40)

    card = replace(Generator.load("pocket").card, classes=("0", "1"), traits=table)
    labels = np.arange(100) % CLASSES
    images = image_range(0, 0, 100, asked=asked_traits(slant=(-5, 15), width=(11, 13)))
    values = asked_values(images)
    ticks = TraitSetter(card).set_traits(latent_ticks(images, 16), labels, images.asked, values)
    (drawn,) = Outlines().run(None, {"z": ticks * np.float32(LATENT_STEP), "label": labels})
    got = handwriting(drawn)
    assert np.corrcoef(values[:, 0], got[:, 0])[0, 1] > 0.99
    assert np.corrcoef(values[:, 1], got[:, 2])[0, 1] > 0.95
    assert np.abs(got[:, 0] - values[:, 0] / 100).mean() < 1
    assert np.abs(got[:, 2] - values[:, 1] / 100).mean() < 0.3


class AsWideAsThick(Outlines):
    """Draws the same outlines, but their width follows the latent of thickness more than its own."""

    def run(self, names: object, inputs: dict[str, NDArray[Any]]) -> list[NDArray[np.uint8]]:
        z = inputs["z"].copy()
        z[:, 2] = 0.6 * z[:, 1] + 0.4 * z[:, 2]
        return super().run(names, inputs | {"z": z})


def test_a_width_that_follows_thickness_is_not_kept_when_thickness_changes() -> None:
    table = measure_traits(cast(InferenceSession, AsWideAsThick()), 16, CLASSES).table
    assert table is not None
    assert [of_class.mixing[2] for of_class in table] == [(0, 0, 256)] * CLASSES


class Upright(Outlines):
    """Draws the same outlines without slant."""

    def run(self, names: object, inputs: dict[str, NDArray[Any]]) -> list[NDArray[np.uint8]]:
        return super().run(names, inputs | {"z": inputs["z"] * np.array([0, 1, 1] + [0] * 13)})


class Black(Outlines):
    """Draws nothing."""

    def run(self, names: object, inputs: dict[str, NDArray[Any]]) -> list[NDArray[np.uint8]]:
        return [np.zeros((len(inputs["z"]), 28, 28), np.uint8)]


@pytest.mark.parametrize("session", [Upright(), Black()], ids=["upright", "black"])
def test_traits_that_do_not_follow_the_latents_cannot_be_chosen(session: Outlines) -> None:
    measured = measure_traits(cast(InferenceSession, session), 16, CLASSES)
    assert measured.table is None
    assert measured.means["slant"] == pytest.approx(0, abs=0.2)
    assert describe_traits(measured, ("a", "b")).startswith(
        "cannot be chosen (no --slant, --thickness, --width): slant of class "
    )


def test_a_trait_that_falls_with_its_own_latent_cannot_be_chosen() -> None:
    latents = np.random.default_rng(0).standard_normal((1_000, 3))
    traits = latents @ np.array([[1, 0, 0], [0, 1, 0.9], [0, 0, -0.4]])
    correlations, _ = measured_traits._fitted(latents, traits)
    assert correlations[:2].min() > 0.9
    assert correlations[2] < -0.9


def test_values_rise_even_if_chance_turned_two_of_them_round() -> None:
    scores = np.repeat(np.array(SCORES), 10).astype(float)
    traits = np.repeat([100.0, 110, 108, 120, 130, 140, 140, 140, 150], 10)
    values = measured_traits._values(scores, np.zeros((90, 2)), traits)
    assert values == [100, 109, 110, 120, 130, 140, 141, 142, 150]
