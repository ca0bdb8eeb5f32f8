"""Walks through the latents, and their GIF files: they contain the images, move smoothly, and return to the first."""

import re
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chosen_traits import with_traits
from drawings import drawing_of, images_of, read_gif
from numpy.typing import NDArray

from pocketgan.address import INDEX_LIMIT, Hand, ImageRange, image_range
from pocketgan.drawing import text_rows
from pocketgan.errors import RequestError
from pocketgan.generator import Generator
from pocketgan.latents import LATENT_STEP, latent_ticks, latents
from pocketgan.output.walk import latents_between, varied_walk, walk, write_walk


@pytest.fixture(scope="module")
def pocket() -> Generator:
    return Generator.load("pocket")


def walked(rows: range, length: int, seed: int = 0, truncation: float = 1) -> ImageRange:
    """Return the images of rows of `length` images each."""
    return image_range(seed, rows.start * length, len(rows) * length, truncation)


def plain(generator: Generator, rows: range, steps: int, seed: int = 0, truncation: float = 1) -> NDArray[np.uint8]:
    """Return all frames of a walk from image to image, of all classes in turn: uint8 [frames, H, W]."""
    labels = generator.labels(rows.start, len(rows))
    chosen = None if labels is None else labels[:, None]
    return np.stack(list(walk(generator, walked(rows, 1, seed, truncation), chosen, 1, steps)))


def of_text(generator: Generator, text: str, rows: range, steps: int) -> NDArray[np.uint8]:
    labels = np.tile([int(character) for character in text], (len(rows), 1))
    return np.stack(list(walk(generator, walked(rows, len(text)), labels, len(text), steps)))


def change(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean absolute difference of each frame to the next, of the last to the first: float64 [frames]."""
    return np.abs(frames.astype(float) - np.roll(frames, -1, axis=0)).mean(axis=(1, 2))


@pytest.mark.parametrize(("name", "steps"), [("tiny", 1), ("tiny", 7), ("conditional", 2), ("conditional", 100)])
def test_a_walk_contains_the_images(name: str, steps: int, request: pytest.FixtureRequest) -> None:
    generator: Generator = request.getfixturevalue(name)
    frames = plain(generator, range(95, 107), steps, seed=3, truncation=0.7)
    assert frames.shape == (12 * steps, 8, 8)
    assert frames.dtype == np.uint8
    np.testing.assert_array_equal(frames[::steps], generator.generate(12, seed=3, start=95, truncation=0.7))


@pytest.mark.parametrize("text", ["7", "31415926535897932384626433832795"])
def test_a_walk_contains_the_rows_of_a_text(conditional: Generator, text: str) -> None:
    frames = of_text(conditional, text, range(5, 9), 6)
    assert frames.shape == (24, 8, 8 * len(text))
    expected = np.concatenate([batch.images for batch in text_rows(conditional, text, 4, start=5)])
    np.testing.assert_array_equal(frames[::6], expected)


def test_each_character_of_a_text_walks_by_itself(conditional: Generator) -> None:
    frames = of_text(conditional, "26", range(3), 8)
    start, end = (latent_ticks(image_range(0, index, 1), 16) for index in (3, 5))  # the second characters of rows 1 and 2
    z = latents_between(start, end, np.arange(8), 8)[:, 0]
    np.testing.assert_array_equal(frames[8:16, :, 8:], conditional.draw_latents(z, np.full(8, 6)))


def test_from_the_last_image_the_walk_leads_back_to_the_first(tiny: Generator) -> None:
    frames = plain(tiny, range(4, 7), 10)
    last, first = latent_ticks(image_range(0, 6, 1), 16)[0], latent_ticks(image_range(0, 4, 1), 16)[0]
    np.testing.assert_array_equal(frames[20:], tiny.draw_latents(latents_between(last, first, np.arange(10), 10)))


@pytest.mark.parametrize("digits", [[3] * 6, [0, 1, 2, 3, 4, 5]])
def test_frames_change_little_by_little(pocket: Generator, digits: list[int]) -> None:
    keyframes = change(pocket.generate(6, digits))
    frames = np.stack(list(walk(pocket, walked(range(6), 1), np.array(digits)[:, None], 1, 16)))
    between = change(frames)
    assert between.mean() < keyframes.mean() / 4
    assert between.max() < keyframes.mean() * 3 / 4  # a digit on a canvas moves by whole pixels


def test_halfway_between_two_classes_is_the_mean_of_both(conditional: Generator) -> None:
    frames = plain(conditional, range(10), 8)
    for place in range(10):
        start, end = (latent_ticks(image_range(0, index, 1), 16)[0] for index in (place, (place + 1) % 10))
        z = latents_between(start, end, np.array([4]), 8)
        both = [conditional.draw_latents(z, np.array([label % 10]))[0].astype(int) for label in (place, place + 1)]
        np.testing.assert_array_equal(frames[8 * place + 4], (both[0] + both[1] + 1) // 2)


def test_classes_fade_during_the_middle_half_only(conditional: Generator) -> None:
    frames = np.stack(list(walk(conditional, walked(range(2), 1), np.array([[3], [8]]), 1, 16)))[:16]
    z = latents_between(latent_ticks(image_range(0, 0, 1), 16)[0], latent_ticks(image_range(0, 1, 1), 16)[0], np.arange(16), 16)
    before, after = (conditional.draw_latents(z, np.full(16, label)) for label in (3, 8))
    np.testing.assert_array_equal(frames[:5], before[:5])
    np.testing.assert_array_equal(frames[12:], after[12:])
    np.testing.assert_array_equal(frames[5], np.rint(before[5] * (7 / 8) + after[5] * (1 / 8) + 1e-9))
    assert all((frames[j] != one[j]).any() for j in range(5, 12) for one in (before, after))


def test_only_characters_that_change_fade(conditional: Generator) -> None:
    frames = np.stack(list(walk(conditional, walked(range(2), 2), np.array([[1, 2], [1, 5]]), 2, 8)))
    constant = of_text(conditional, "12", range(2), 8)
    np.testing.assert_array_equal(frames[:, :, :8], constant[:, :, :8])
    assert (frames[:, :, 8:] != constant[:, :, 8:]).any()


@pytest.fixture
def drawn(conditional: Generator, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of images in each call of the model."""
    numbers = []
    draw = conditional.draw_latents

    def counted(z: NDArray[np.float32], labels: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
        numbers.append(len(z))
        return draw(z, labels)

    monkeypatch.setattr(conditional, "draw_latents", counted)
    return numbers


@pytest.mark.parametrize(("labels", "expected"), [([[4], [4], [4]], [16] * 3), ([[4], [4], [5]], [16, 16, 7, 16, 7])])
def test_only_images_that_are_shown_are_drawn(
    conditional: Generator, drawn: list[int], labels: list[list[int]], expected: list[int]
) -> None:
    list(walk(conditional, walked(range(3), 1), np.array(labels), 1, 16))
    assert drawn == expected


@pytest.mark.parametrize("length", [1, 3, 32])
def test_walks_of_any_length_draw_little_ahead(conditional: Generator, drawn: list[int], length: int) -> None:
    labels = np.full((1000, length), 4)
    assert len(list(islice(walk(conditional, walked(range(1000), length), labels, length, 10**12), 200))) == 200
    assert max(drawn) <= 64


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (100, -60, [100, 76, 28, -25]),
        (0, 127, [0, 40, 90, 120]),
        (127, 127, [127, 127, 127, 127]),
        (-127, -100, [-127, -127, -127, -127]),
        (0, 0, [0, 0, 0, 0]),
    ],
)
def test_latents_between_are_whole_ticks_from_one_end_towards_the_other(start: int, end: int, expected: list[int]) -> None:
    between = latents_between(np.array([start], np.int8), np.array([end], np.int8), np.arange(4), 4)
    assert between.dtype == np.float32
    assert (between / LATENT_STEP).tolist() == [[tick] for tick in expected]


def test_the_way_back_passes_the_same_latents() -> None:
    start, end = latent_ticks(image_range(0, 0, 2), 50)
    forth = latents_between(start, end, np.arange(21), 20)
    np.testing.assert_array_equal(forth, latents_between(end, start, np.arange(20, -1, -1), 20))
    np.testing.assert_array_equal(forth[[0, 20]], latents(0, 0, 2, 50))


@pytest.mark.parametrize(("taken", "truncation"), [(3, 1), (8, 1), (8, 0.5)])
def test_latents_between_stay_on_the_grid_and_vary_as_those_at_the_ends(taken: int, truncation: float) -> None:
    start, end = (latent_ticks(image_range(0, start, 1000, truncation), 64) for start in (0, 1000))
    (ticks,) = latents_between(start, end, np.array([taken]), 16) / LATENT_STEP
    assert ticks.shape == (1000, 64)
    np.testing.assert_array_equal(ticks, np.rint(ticks))
    assert np.abs(ticks).max() <= 127
    assert ticks.std() == pytest.approx(start.std(), rel=0.01)
    assert abs(ticks.mean()) < 0.5


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"walked": walked(range(7, 8), 1)}, "a walk from an image to itself does not move: expected a count of at least 2"),
        ({"steps": 0}, "steps 0 is out of range: expected at least 1"),
        ({"labels": None}, "model tiny_conditional has 10 classes: expected labels"),
        ({"labels": np.zeros(2, np.int64)}, "labels of shape (2,) and type int64: expected int64 of shape (2, 1)"),
        ({"labels": np.zeros((2, 1))}, "labels of shape (2, 1) and type float64"),
        ({"labels": np.array([[1], [10]])}, "is out of range: model tiny_conditional has the labels 0 to 9"),
    ],
)
def test_a_walk_that_cannot_be_drawn_is_refused_before_anything_is(
    conditional: Generator, changed: dict[str, Any], message: str
) -> None:
    arguments: dict[str, Any] = {
        "walked": walked(range(2), 1),
        "labels": np.array([[1], [2]]),
        "length": 1,
        "steps": 4,
    }
    with pytest.raises(RequestError, match=re.escape(message)):
        walk(conditional, **{**arguments, **changed})  # no frame is taken


def test_a_model_without_classes_takes_no_labels(tiny: Generator) -> None:
    with pytest.raises(RequestError, match=r"^model tiny has no classes to choose from"):
        walk(tiny, walked(range(2), 1), np.zeros((2, 1), np.int64), 1, 4)


def test_the_last_images_can_be_walked_through(tiny: Generator) -> None:
    rows = range(INDEX_LIMIT - 2, INDEX_LIMIT)
    np.testing.assert_array_equal(plain(tiny, rows, 3)[::3], tiny.generate(2, start=INDEX_LIMIT - 2))


STEPS = 16


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "walk.gif"


def enlarged(images: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    return images.repeat(scale, axis=1).repeat(scale, axis=2)


@pytest.mark.parametrize(
    ("options", "scale"),
    [
        ({"count": 3, "start": 95, "seed": 4, "truncation": 0.3}, 4),
        ({"names": ("7", "7", "1")}, 4),
        ({"is_inverted": True}, 4),
        ({"height": 8}, 1),
        ({"count": 4, "hand": Hand(7, 3, 179)}, 4),
        ({"count": 4, "start": 7, "text": "2026"}, 4),
        ({"count": 4, "text": "42", "height": 12, "is_inverted": True, "truncation": 0.5}, 1),
    ],
    ids=str,
)
def test_the_images_are_among_the_frames_as_they_are_drawn(
    target: Path, conditional: Generator, options: dict[str, Any], scale: int
) -> None:
    drawing = drawing_of(conditional, **options)
    write_walk(target, drawing)
    frames, images = read_gif(target)[0], images_of(drawing)
    assert len(frames) == STEPS * len(images)
    np.testing.assert_array_equal(frames[::STEPS], enlarged(images, scale))


@pytest.mark.parametrize("is_inverted", [False, True])
def test_the_frames_between_are_a_walk(target: Path, tiny: Generator, is_inverted: bool) -> None:
    write_walk(target, drawing_of(tiny, 5, start=9, is_inverted=is_inverted))
    frames = np.stack(list(walk(tiny, walked(range(9, 14), 1), None, 1, STEPS)))
    np.testing.assert_array_equal(read_gif(target)[0], enlarged(255 - frames if is_inverted else frames, 4))


def test_a_walk_between_images_that_are_the_same_stands_still(conditional: Generator) -> None:
    images = image_range(0, 0, 2, hand=3, consistency=1)
    frames = list(walk(conditional, images, np.array([[7], [7]]), 1, 16))
    assert all((frame == frames[0]).all() for frame in frames)


def test_latents_between_those_of_one_hand_vary_as_they_do() -> None:
    pairs = np.stack([latent_ticks(image_range(0, 2 * number, 2, hand=number, consistency=0.7), 64) for number in range(2000)])
    between = latents_between(pairs[:, 0], pairs[:, 1], np.array([8]), 16, 0.7)
    assert between.std() == pytest.approx(pairs.std() / 32, rel=0.01)


def test_digits_sway_from_the_least_of_a_trait_to_the_most_and_back(conditional: Generator) -> None:
    chosen, digits = with_traits(conditional), np.array([4, 0])
    frames = np.stack(list(varied_walk(chosen, image_range(0, 4, 2), digits, "slant", 8)))
    assert frames.shape == (16, 8, 16)
    for frame, end in ((0, 0), (8, 1)):
        slants = [chosen.trait_range("slant", digit)[end] for digit in (4, 0)]
        alone = [chosen.generate(1, digit, start=4 + k, slant=slants[k])[0] for k, digit in enumerate((4, 0))]
        np.testing.assert_array_equal(frames[frame], np.concatenate(alone, axis=1))
    np.testing.assert_array_equal(frames[1:8], frames[:8:-1])


@pytest.mark.parametrize("hand", [None, (7, 2)])
def test_digits_walk_from_hand_to_hand(conditional: Generator, hand: tuple[int, int] | None) -> None:
    digits = np.array([3, 8, 3])
    frames = np.stack(list(varied_walk(conditional, image_range(5, 1, 3, hand=hand), digits, "hand", 4)))
    assert len(frames) == 40
    seed, first = hand or (5, 0)
    for number in range(10):
        alone = conditional.generate(3, [3, 3, 8], 5, 1, hand=(seed, first + number))
        np.testing.assert_array_equal(frames[4 * number], np.concatenate(alone, axis=1))


def test_latents_between_two_hands_vary_as_theirs() -> None:
    hands = np.stack([latent_ticks(image_range(0, 0, 1, hand=number, consistency=0.7), 64) for number in range(2000)])
    between = latents_between(hands[::2], hands[1::2], np.array([8]), 16, 1 - 0.7)
    assert between.std() == pytest.approx(hands.std() / 32, rel=0.01)


def test_only_the_first_hundred_images_are_walked_through(tmp_path: Path, conditional: Generator) -> None:
    for count in (100, 10**8):
        write_walk(tmp_path / f"{count}.gif", drawing_of(conditional, count, start=7))
    assert (tmp_path / "100.gif").read_bytes() == (tmp_path / "100000000.gif").read_bytes()
    drawn = images_of(drawing_of(conditional, 100, start=7))
    np.testing.assert_array_equal(read_gif(tmp_path / "100.gif")[0][::STEPS], enlarged(drawn, 4))
