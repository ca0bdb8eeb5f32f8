"""Work by several threads: in order, only a few pieces ahead, and ended cleanly."""

import threading
from collections.abc import Iterator

import pytest

from pocketgan.pipeline import ordered_map

PATIENCE = 30


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("count", [0, 1, 5, 100])
def test_results_come_in_the_order_of_the_pieces(threads: int, count: int) -> None:
    assert list(ordered_map(lambda piece: piece * piece, range(count), threads)) == [piece * piece for piece in range(count)]


def test_threads_work_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=PATIENCE)
    assert list(ordered_map(lambda _: together.wait() >= 0, range(3), threads=3)) == [True] * 3


@pytest.mark.parametrize("threads", [1, 3])
def test_only_a_few_pieces_are_taken_ahead_of_the_results(threads: int) -> None:
    taken: list[int] = []

    def pieces() -> Iterator[int]:
        for piece in range(1000):
            taken.append(piece)
            yield piece

    results = ordered_map(lambda piece: piece, pieces(), threads)
    for number in range(50):
        assert next(results) == number
        assert len(taken) <= number + 2 * threads + 1


def test_what_a_piece_raises_comes_in_its_turn() -> None:
    results = ordered_map(lambda piece: 1 / piece, [1, 2, 0, 4], threads=2)
    assert [next(results), next(results)] == [1.0, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_what_the_source_of_the_pieces_raises_is_raised() -> None:
    def pieces() -> Iterator[int]:
        yield 1
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        list(ordered_map(lambda piece: piece, pieces(), threads=2))


def test_closing_waits_for_what_has_begun_and_begins_no_more() -> None:
    begun, ended = [], []
    released = threading.Event()

    def work(piece: int) -> int:
        begun.append(piece)
        if piece:
            released.wait(PATIENCE)
        ended.append(piece)
        return piece

    results = ordered_map(work, range(100), threads=2)
    assert next(results) == 0
    threading.Timer(0.05, released.set).start()
    results.close()  # type: ignore[attr-defined]
    assert sorted(ended) == sorted(begun)
    assert len(begun) <= 6
