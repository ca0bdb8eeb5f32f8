"""Rows of text: each shows the right images side by side, and is the same in every call."""

import threading
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketgan.address import INDEX_LIMIT, SEED_LIMIT
from pocketgan.drawing import text_labels, text_rows
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


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize(("count", "start"), [(1, 7), (10, 0), (16, 3), (43, 20), (100, 0)])
@pytest.mark.parametrize("text", ["5", "907", "2026", "1234567"])
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


def test_labels_are_told_without_drawing(conditional: Generator) -> None:
    assert text_labels(conditional, "902", 2**40, 3).tolist() == [[9, 0, 2]] * 3


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


def test_rows_that_are_left_early_leave_no_threads_and_draw_little(
    conditional: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []
    draw = conditional._draw

    def counted(start: int, count: int, cycle: NDArray[np.int64] | None, seed: int, truncation: float) -> Batch:
        begun.append(start)
        return draw(start, count, cycle, seed, truncation)

    monkeypatch.setattr(conditional, "_draw", counted)
    before = threading.active_count()
    for batch in text_rows(conditional, PI, 10**9, threads=1):
        if batch.start >= 4:
            break
    # They are told to end, and do so by themselves.
    deadline = time.monotonic() + 30
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert len(begun) <= 8
