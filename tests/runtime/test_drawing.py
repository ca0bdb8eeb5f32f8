"""What a selection means with a model: rows of text, sizes and inversion, and what is refused before anything is drawn."""

import time
from types import GeneratorType
from typing import Any

import numpy as np
import pytest
from drawings import drawing_of
from numpy.typing import NDArray
from PIL import Image

from pocketgan import drawing
from pocketgan.address import INDEX_LIMIT
from pocketgan.drawing import LARGEST_IMAGE_PIXELS, finished, finished_image, finished_size, text_rows
from pocketgan.errors import RequestError
from pocketgan.generator import Batch, Generator

PI = "31415926535897932384626433832795"


def rows(generator: Generator, text: str, count: int, start: int = 0, threads: int = 1) -> NDArray[np.uint8]:
    """Return all rows of seed 1, and check that the batches are numbered."""
    batches = list(text_rows(generator, text, count, seed=1, start=start, threads=threads))
    lengths = [len(batch.images) for batch in batches]
    assert [batch.start for batch in batches] == [start + sum(lengths[:position]) for position in range(len(lengths))]
    return np.concatenate([batch.images for batch in batches])


@pytest.mark.parametrize("text", ["7", "2026", PI])
def test_a_row_shows_consecutive_images_of_its_characters(conditional: Generator, text: str) -> None:
    for row in (0, 1, 29):
        singles = [
            conditional.generate(1, digits=int(character), seed=1, start=row * len(text) + place)[0]
            for place, character in enumerate(text)
        ]
        np.testing.assert_array_equal(rows(conditional, text, 30)[row], np.hstack(singles))


def test_rows_by_a_hand_show_its_images(conditional: Generator) -> None:
    (batch,) = text_rows(conditional, "42", 5, start=3, hand=(7, 3), consistency=0.9)
    images = conditional.generate(10, digits=[4, 2], start=6, hand=(7, 3), consistency=0.9)
    pairs = [np.hstack([four, two]) for four, two in zip(images[::2], images[1::2], strict=True)]
    np.testing.assert_array_equal(batch.images, np.stack(pairs))
    assert (batch.images != next(text_rows(conditional, "42", 5, start=3)).images).any()


def test_rows_have_the_promised_shapes_and_types(conditional: Generator) -> None:
    (batch,) = text_rows(conditional, "2026", 5)
    assert batch.images.shape == (5, 8, 32)
    assert batch.images.dtype == np.uint8
    assert batch.labels is not None
    assert batch.labels.dtype == np.int64
    assert batch.labels.tolist() == [[2, 0, 2, 6]] * 5


def test_a_row_may_be_longer_than_a_batch(conditional: Generator) -> None:
    batches = list(text_rows(conditional, "2026", 5, seed=1, batch_size=3))
    assert [batch.start for batch in batches] == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(np.concatenate([batch.images for batch in batches]), rows(conditional, "2026", 5))


@pytest.mark.parametrize(("text", "count", "start", "threads"), [("907", 1, 7, 2), ("2026", 43, 20, 5), ("1234567", 100, 0, 1)])
def test_a_row_is_the_same_from_any_count_start_and_threads(
    conditional: Generator, text: str, count: int, start: int, threads: int
) -> None:
    whole = rows(conditional, text, 110)
    np.testing.assert_array_equal(rows(conditional, text, count, start, threads), whole[start : start + count])


def test_truncation_reaches_the_images(conditional: Generator) -> None:
    (batch,) = text_rows(conditional, "21", 3, truncation=0.3)
    single = conditional.generate(1, digits=1, start=5, truncation=0.3)[0]
    np.testing.assert_array_equal(batch.images[2, :, 8:], single)


def test_a_drawing_knows_labels_and_names_without_drawing(conditional: Generator, tiny: Generator) -> None:
    text = drawing_of(conditional, start=2**40, count=3, text="902")
    labels = text.labels(text.selection.indices)
    assert labels is not None
    assert (labels.tolist(), text.name(2**40), text.one_of_each_class) == ([[9, 0, 2]] * 3, "902", range(2**40, 2**40 + 1))
    chosen = drawing_of(conditional, start=4, names=("8", "0", "3"))
    labels = chosen.labels(range(4, 9))
    assert labels is not None
    assert (labels.tolist(), chosen.name(4), chosen.one_of_each_class) == ([0, 3, 8, 0, 3], "0", range(4, 7))
    assert (drawing_of(tiny).labels(range(3)), drawing_of(tiny).name(2)) == (None, None)


def test_a_drawing_draws_what_its_selection_says(conditional: Generator) -> None:
    chosen = drawing_of(conditional, 4, start=7, seed=3, names=("8", "0"), truncation=0.5)
    (batch,) = chosen.batches(range(8, 11))
    np.testing.assert_array_equal(batch.images, conditional.generate(3, [8, 0], seed=3, start=8, truncation=0.5))


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"start": INDEX_LIMIT // 4, "count": 1, "text": "2026"}, "of 4 characters are out of range"),
        ({"names": ("11",)}, "has no class '11'"),
    ],
)
def test_a_drawing_that_cannot_be_is_refused_before_anything_is_drawn(
    conditional: Generator, wish: dict[str, Any], said: str
) -> None:
    with pytest.raises(RequestError, match=said):
        drawing_of(conditional, **wish)


def test_images_of_too_many_pixels_are_refused(conditional: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "LARGEST_IMAGE_PIXELS", 30 * 120)
    assert drawing_of(conditional, text="2026", height=30).size == (30, 120)
    with pytest.raises(RequestError, match=r"^images of 31x124 pixels are too large: expected at most 3,600 pixels; give a"):
        drawing_of(conditional, text="2026", height=31)
    assert LARGEST_IMAGE_PIXELS >= 32 * 512 * 512


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": ""}, "^the text '' has 0 characters: expected 1 to 32$"),
        ({"text": "2 6"}, "^model tiny_conditional has no class ' ': its classes are 0, 1, "),
        ({"count": 0}, "^count 0 is out of range"),
        ({"seed": -1}, "^seed -1 is out of range"),
        ({"text": "12", "start": INDEX_LIMIT // 2}, "^rows .* of 2 characters are out of range"),
        ({"threads": 0}, "^threads 0 is out of range"),
        ({"truncation": 2}, "^truncation 2 is out of range"),
    ],
)
def test_rows_that_cannot_be_drawn_are_refused_before_any_is(
    conditional: Generator, arguments: dict[str, Any], message: str
) -> None:
    arguments = {"text": "1", "count": 1, **arguments}
    with pytest.raises(RequestError, match=message):
        text_rows(conditional, **arguments)  # no batch is taken


def test_rows_that_are_left_early_draw_little(conditional: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    run = conditional._run

    def counted(z: NDArray[np.float32], labels: NDArray[np.int64] | None) -> NDArray[np.uint8]:
        calls.append(len(z))
        return run(z, labels)

    monkeypatch.setattr(conditional, "_run", counted)
    batches = text_rows(conditional, PI, 10**9, threads=2)
    assert isinstance(batches, GeneratorType)
    while next(batches).start < 4:
        pass
    batches.close()
    drawn = len(calls)
    time.sleep(0.05)
    assert len(calls) == drawn <= 8


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("threads", [1, 5])
def test_images_stay_in_order_and_keep_their_labels(conditional: Generator, threads: int) -> None:
    after = finished(conditional.stream(300), 11, is_inverted=True, threads=threads)
    for before, batch in zip(conditional.stream(300), after, strict=True):
        assert batch.start == before.start
        np.testing.assert_array_equal(batch.labels, before.labels)
        expected = [finished_image(image, 11, is_inverted=True) for image in before.images]
        np.testing.assert_array_equal(batch.images, expected)


@pytest.mark.parametrize(
    ("height", "width", "wanted", "size"),
    [
        (28, 56, None, (28, 56)),
        (28, 896, 1, (1, 32)),
        (28, 20, 14, (14, 10)),
        (3, 10, 4, (4, 13)),
        (3, 10, 5, (5, 17)),
        (100, 10, 4, (4, 1)),
    ],
)
def test_the_size_that_images_get_is_known_before_they_are_drawn(
    height: int, width: int, wanted: int | None, size: tuple[int, int]
) -> None:
    assert finished_size(height, width, wanted) == size
    (batch,) = finished([Batch(0, noise(2, height, width), None)], wanted, is_inverted=False)
    assert batch.images.shape == (2, *size)


@pytest.mark.parametrize("is_inverted", [False, True])
@pytest.mark.parametrize("height", [None, 5, 28, 60])
def test_one_image_is_finished_like_those_of_a_batch(height: int | None, is_inverted: bool) -> None:
    images = noise(3, 28, 56)
    (batch,) = finished([Batch(0, images, None)], height, is_inverted)
    for image, expected in zip(images, batch.images, strict=True):
        one = finished_image(image, height, is_inverted)
        assert one.dtype == np.uint8
        np.testing.assert_array_equal(one, expected)


@pytest.mark.parametrize("height", [5, 60])
def test_images_are_resampled_with_the_filter_of_lanczos_and_then_inverted(height: int) -> None:
    image = noise(28, 56)
    expected = np.asarray(Image.fromarray(image).resize((2 * height, height), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(finished_image(image, height, is_inverted=False), expected)
    np.testing.assert_array_equal(finished_image(image, height, is_inverted=True), 255 - expected)


@pytest.mark.parametrize("is_inverted", [False, True])
def test_an_image_of_its_own_size_keeps_its_pixels(is_inverted: bool) -> None:
    image = noise(28, 56)
    expected = 255 - image if is_inverted else image
    for height in (None, 28):
        np.testing.assert_array_equal(finished_image(image, height, is_inverted), expected)
