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
from pocketgan.address import INDEX_LIMIT, SEED_LIMIT
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


@pytest.mark.parametrize("text", ["7", "2026", "00", "12345678901", PI])
def test_a_row_shows_consecutive_images_of_its_characters(conditional: Generator, text: str) -> None:
    for row in (0, 1, 29):
        singles = [
            conditional.generate(1, digits=int(character), seed=1, start=row * len(text) + place)[0]
            for place, character in enumerate(text)
        ]
        np.testing.assert_array_equal(rows(conditional, text, 30)[row], np.hstack(singles))


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


def test_text_of_one_character_is_that_digit(conditional: Generator) -> None:
    np.testing.assert_array_equal(rows(conditional, "4", 70), conditional.generate(70, digits=4, seed=1))


def test_equal_characters_of_a_row_are_different_images(conditional: Generator) -> None:
    (batch,) = text_rows(conditional, "77", 10)
    assert all((row[:, :8] != row[:, 8:]).any() for row in batch.images)


def test_rows_differ_from_each_other_and_between_seeds(conditional: Generator) -> None:
    drawn = [batch.images for seed in (0, 1, 2) for batch in text_rows(conditional, "12", 50, seed)]
    assert len(np.unique(np.concatenate(drawn).reshape(150, -1), axis=0)) == 150


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


def test_what_is_said_of_every_image_is_all_that_it_is_drawn_from(tiny: Generator) -> None:
    assert drawing_of(tiny, seed=4, truncation=0.7).about == {"model": tiny.sha256, "seed": 4, "truncation": 179 / 256}
    large = drawing_of(tiny, height=20, is_inverted=True).about
    assert (large["height"], large["inverted"]) == (20, True)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"seed": -1}, "seed -1 is out of range"),
        ({"start": INDEX_LIMIT, "count": 1}, f"images {INDEX_LIMIT} to {INDEX_LIMIT} are out of range"),
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


def test_small_integers_of_numpy_do_not_overflow(conditional: Generator) -> None:
    (batch,) = text_rows(conditional, "2026", np.uint8(2), start=np.uint8(200))  # type: ignore[arg-type]
    assert batch.start == 200
    (plain,) = text_rows(conditional, "2026", 2, start=200)
    np.testing.assert_array_equal(batch.images, plain.images)


@pytest.mark.parametrize("text", ["2", "2026", PI])
def test_the_last_row_can_be_drawn_and_none_after_it(conditional: Generator, text: str) -> None:
    last = INDEX_LIMIT // len(text) - 1
    (batch,) = text_rows(conditional, text, 1, seed=SEED_LIMIT - 1, start=last)
    assert (batch.start, batch.images.shape) == (last, (1, 8, 8 * len(text)))
    with pytest.raises(RequestError, match=r" are out of range: expected indices 0 to "):
        text_rows(conditional, text, 2, start=last)


def test_rows_out_of_range_are_named_as_rows(conditional: Generator) -> None:
    with pytest.raises(RequestError) as caught:
        text_rows(conditional, "2026", 2, start=2**46 - 1)
    assert str(caught.value) == (
        f"rows {2**46 - 1} to {2**46} of 4 characters are out of range: expected indices 0 to {2**46 - 1}"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the text '' has 0 characters: expected 1 to 32"),
        ("20x6", "model tiny_conditional has no class 'x': its classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ("2 6", "model tiny_conditional has no class ' ': its classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
    ],
)
def test_a_text_that_cannot_be_drawn_is_refused_before_anything_is(conditional: Generator, text: str, said: str) -> None:
    with pytest.raises(RequestError) as caught:
        text_rows(conditional, text, 1)  # not one batch is asked for
    assert str(caught.value) == said


def test_a_model_without_classes_draws_no_text(tiny: Generator) -> None:
    with pytest.raises(RequestError, match=r"^model tiny has no classes: it draws neither chosen digits nor text"):
        text_rows(tiny, "1", 1)


@pytest.mark.parametrize(
    "arguments", [{"count": 0}, {"count": 1, "seed": -1}, {"count": 1, "start": -1}, {"count": 1, "threads": 0}]
)
def test_a_request_out_of_range_is_refused_before_anything_is_drawn(conditional: Generator, arguments: dict[str, int]) -> None:
    with pytest.raises(RequestError, match=r" out of range: expected "):
        text_rows(conditional, "1", **arguments)
    with pytest.raises(RequestError, match=r"^truncation 2 is out of range"):
        text_rows(conditional, "1", 1, truncation=2)


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


def test_without_a_wish_images_stay_as_they_are(tiny: Generator) -> None:
    (batch,) = finished(tiny.stream(10), None, is_inverted=False)
    np.testing.assert_array_equal(batch.images, tiny.generate(10))


def test_inverted_images_are_dark_on_white(tiny: Generator) -> None:
    (batch,) = finished(tiny.stream(10), None, is_inverted=True)
    np.testing.assert_array_equal(batch.images, 255 - tiny.generate(10))
    assert batch.images.dtype == np.uint8


@pytest.mark.parametrize(("height", "shape"), [(56, (56, 112)), (7, (7, 14)), (1, (1, 2)), (280, (280, 560))])
def test_images_keep_their_proportions(height: int, shape: tuple[int, int]) -> None:
    images = np.full((3, 28, 56), 200, np.uint8)
    (batch,) = finished([Batch(5, images, None)], height, is_inverted=False)
    assert batch.images.shape == (3, *shape)
    assert batch.start == 5
    assert (batch.images == 200).all()


def test_an_image_enlarged_and_reduced_again_is_nearly_itself() -> None:
    images = Generator.load("pocket").generate(20)
    (large,) = finished([Batch(0, images, None)], 280, is_inverted=False)
    (small,) = finished([large], 28, is_inverted=False)
    assert np.abs(small.images.astype(int) - images).mean() < 3


def test_labels_stay_with_their_images(conditional: Generator) -> None:
    for before, after in zip(conditional.stream(130), finished(conditional.stream(130), 14, is_inverted=True), strict=True):
        assert (after.start, len(after.images)) == (before.start, len(before.images))
        assert before.labels is not None
        assert after.labels is not None
        np.testing.assert_array_equal(after.labels, before.labels)


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("threads", [2, 5])
def test_any_number_of_threads_gives_the_same_images_in_order(conditional: Generator, threads: int) -> None:
    expected = list(finished(conditional.stream(300), 11, is_inverted=True))
    for before, after in zip(expected, finished(conditional.stream(300), 11, is_inverted=True, threads=threads), strict=True):
        assert after.start == before.start
        np.testing.assert_array_equal(after.images, before.images)


@pytest.mark.parametrize(
    ("height", "width", "wanted", "size"),
    [
        (28, 56, None, (28, 56)),
        (28, 56, 28, (28, 56)),
        (28, 28, 512, (512, 512)),
        (28, 896, 1, (1, 32)),
        (30, 20, 15, (15, 10)),
        (28, 20, 14, (14, 10)),
        (3, 10, 4, (4, 13)),
        (3, 10, 5, (5, 17)),
        (100, 10, 4, (4, 1)),
        (1024, 1, 1, (1, 1)),
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
