"""Traits that are asked for: the latents that stand for them get the right scores, all others keep theirs, by address."""

import numpy as np
import pytest
from chosen_traits import class_traits, with_traits
from numpy.typing import NDArray

from pocketgan.address import AskedTrait, TraitRange, asked_traits, image_range
from pocketgan.drawing import text_rows
from pocketgan.errors import RequestError
from pocketgan.generator import Generator
from pocketgan.latents import LARGEST_TICK, LATENT_STEP, asked_values, latent_ticks
from pocketgan.trait_table import MIXING_UNITS, SCORES, TRAITS


@pytest.fixture(scope="module")
def chosen(conditional: Generator) -> Generator:
    """A model with ten classes whose traits can be chosen."""
    return with_traits(conditional)


def scores(ticks: NDArray[np.int8], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the scores of latents int8 [n, size] of these classes: float [n, 3]."""
    mixing = np.array([class_traits(number).mixing for number in classes.tolist()])
    products: NDArray[np.float64] = np.einsum("nij,nj->ni", mixing, ticks[:, :3].astype(float)) / MIXING_UNITS
    return products


@pytest.mark.parametrize("trait", TRAITS)
def test_the_trait_gets_its_score_and_the_others_keep_theirs(chosen: Generator, trait: str) -> None:
    labels = np.arange(1000) % 4
    number = list(TRAITS).index(trait)
    for score in (-40, 0, 10):
        # The value that goes with this score in class 0, in whole hundredths.
        value = np.interp(score, list(SCORES), class_traits().values[number]).round() / 100
        images = image_range(5, 0, 1000, asked=asked_traits(**{trait: value}))
        before, after = latent_ticks(images, 16), chosen.ticks(images, labels)
        assert (after[:, 3:] == before[:, 3:]).all()
        was, got = scores(before, labels), scores(after, labels)
        table = [class_traits(label).values[number] for label in labels.tolist()]
        wanted = np.array([np.interp(100 * value, values, list(SCORES)) for values in table])
        free = (np.abs(after[:, :3]) < LARGEST_TICK).all(axis=1)
        assert free.mean() > 0.95
        assert got[free, number] == pytest.approx(wanted[free], abs=1)  # half a step of each latent
        others = [other for other in range(3) if other != number]
        np.testing.assert_allclose(got[free][:, others], was[free][:, others], atol=1)


def test_two_traits_at_once(chosen: Generator) -> None:
    images = image_range(5, 0, 100, asked=asked_traits(slant=12, width=15))
    got = scores(chosen.ticks(images, np.zeros(100, np.int64)), np.zeros(100, int))
    wanted = [np.interp(value, class_traits().values[number], list(SCORES)) for number, value in ((0, 1200), (2, 1500))]
    assert np.median(np.abs(got[:, [0, 2]] - wanted)) < 0.6


def test_a_range_is_drawn_from_uniformly_by_address() -> None:
    images = image_range(3, 0, 20_000, asked=asked_traits(slant=(-10, 30), width=(12, 12.5)))
    values = asked_values(images)
    slants, widths = values.T
    assert (slants.min(), slants.max(), widths.min(), widths.max()) == (-1000, 3000, 1200, 1250)
    counts = np.histogram(slants, bins=40, range=(-1000, 3000))[0]
    assert counts.min() > 0.8 * 500
    assert abs(np.corrcoef(slants, widths)[0, 1]) < 0.03
    later = asked_values(images._replace(indices=range(123, 130)))
    assert (later == values[123:130]).all()
    alone = asked_values(images._replace(asked=asked_traits(width=(12, 12.5))))
    assert (alone[:, 0] == widths).all()  # whatever else is asked for
    assert abs(np.corrcoef(slants, latent_ticks(images, 1)[:, 0])[0, 1]) < 0.03


def test_images_are_the_same_in_every_call(chosen: Generator) -> None:
    images = chosen.generate(40, seed=9, slant=(-4, 25), thickness=3)
    assert (chosen.generate(7, seed=9, start=20, slant=(-4, 25), thickness=3) == images[20:27]).all()
    batches = chosen.stream(40, seed=9, threads=3, slant=(-4, 25), thickness=3, batch_size=6)
    assert (np.concatenate([batch.images for batch in batches]) == images).all()
    ticks = chosen.ticks(image_range(9, 0, 40, asked=asked_traits((-4, 25), 3)), np.arange(40) % 10)
    assert (chosen.draw_latents(ticks * np.float32(LATENT_STEP), np.arange(40) % 10) == images).all()
    assert not (chosen.generate(40, seed=9) == images).all()


def test_rows_of_text_have_traits(chosen: Generator) -> None:
    (row,) = text_rows(chosen, "207", 1, seed=4, slant=10, width=(12, 12.5), threads=2)
    images = chosen.generate(3, [2, 0, 7], seed=4, slant=10, width=(12, 12.5))
    assert (row.images[0] == np.concatenate(list(images), axis=1)).all()


def test_a_model_without_classes_has_traits(tiny: Generator) -> None:
    chosen = with_traits(tiny)
    assert chosen.trait_range("slant") == (-6, 26)
    assert not (chosen.generate(20, slant=15) == chosen.generate(20)).all()


def test_what_a_model_cannot_draw_is_refused(chosen: Generator, conditional: Generator) -> None:
    for refused in (26.01, -7, (0, 50)):
        with pytest.raises(RequestError, match=r"draws all of these classes with a slant of -4\.2\.\.26 degrees$"):
            chosen.generate(1, slant=refused)
    message = r"^width 8 is out of range: .* class 0 with 11\.48\.\.18\.52 pixels; choose those that can have it, 9$"
    with pytest.raises(RequestError, match=message):
        chosen.stream(10, [0, 9], width=8)
    message = r"^width 30 is out of range: .* class 0 with 11\.48\.\.18\.52, 9 with 4\.28\.\.11\.32 pixels; choose classes that"
    with pytest.raises(RequestError, match=message):
        chosen.stream(10, [0, 9], width=30)
    assert len(chosen.generate(1, 9, width=8)) == 1
    with pytest.raises(
        RequestError, match=r"^model .* cannot draw a chosen slant, as it was trained without traits: leave out slant"
    ):
        conditional.generate(1, slant=3)
    with pytest.raises(RequestError, match=r"cannot draw a chosen width"):
        conditional.trait_range("width")


def test_ranges_of_classes(chosen: Generator) -> None:
    assert chosen.trait_range("slant", 3) == (-5.4, 26.6)
    assert chosen.trait_range("slant") == (-4.2, 26)
    least, most = chosen.trait_range("width")
    assert least > most  # classes 0 and 9 have no width in common
    with pytest.raises(RequestError, match=r"^'height' is not a trait: expected one of slant, thickness, width$"):
        chosen.trait_range("height")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ((3, -1), "slant 3..-1 runs backwards: expected -1..3"),
        ((1, 2, 3), r"slant \(1, 2, 3\): expected a number, or the least and the most"),
        ("15", "slant '15': expected a number, or the least and the most"),
        (True, "slant True: expected a number"),
        (float("nan"), "slant nan is out of range: expected -1000 to 1000"),
        ((0, 1001), r"slant \(0, 1001\) is out of range: expected -1000 to 1000"),
    ],
)
def test_what_is_no_value_is_refused(value: TraitRange, message: str) -> None:
    with pytest.raises(RequestError, match=f"^{message}"):
        asked_traits(slant=value)


def test_values_are_whole_hundredths() -> None:
    assert asked_traits(slant=1.5, thickness=(2, 2.504)) == (
        AskedTrait("slant", 150, 150),
        AskedTrait("thickness", 200, 250),
    )
    assert [str(trait) for trait in asked_traits(-10.25, (2, 2.5))] == ["-10.25", "2..2.5"]
