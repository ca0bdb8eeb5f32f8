"""Work by several threads: in order, only a few pieces ahead, and ended cleanly."""

import gc
import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from pocketgan.errors import RequestError
from pocketgan.threads import ordered_map

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


def test_an_error_of_the_work_is_raised_in_its_turn() -> None:
    results = ordered_map(lambda piece: 1 / piece, [1, 2, 0, 4], threads=2)
    assert [next(results), next(results)] == [1.0, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_an_error_of_the_pieces_is_raised() -> None:
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
    results.close()
    assert sorted(ended) == sorted(begun)
    assert len(begun) <= 6


@pytest.mark.parametrize("started", [0, 1, 5])
def test_threads_that_cannot_be_started_are_a_request_error(monkeypatch: pytest.MonkeyPatch, started: int) -> None:
    submit = ThreadPoolExecutor.submit
    submitted: list[int] = []

    def limited(pool: ThreadPoolExecutor, work: Callable[[int], int], piece: int) -> Future[int]:
        if len(submitted) == started:
            raise RuntimeError("can't start new thread")
        submitted.append(piece)
        return submit(pool, work, piece)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", limited)
    with pytest.raises(RequestError) as caught:
        list(ordered_map(lambda piece: piece, range(100), threads=3))
    assert str(caught.value) == "cannot start 3 threads (can't start new thread): ask for fewer"


def test_an_error_of_the_work_is_not_taken_for_threads_that_cannot_be_started() -> None:
    def work(piece: int) -> int:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match=r"^mine$"):
        list(ordered_map(work, range(3), threads=2))


def test_an_iterator_that_nobody_closed_may_be_collected_by_one_of_its_own_threads() -> None:
    collected = threading.Event()

    def work(piece: int) -> int:
        if piece == 3:
            kept.clear()
            gc.collect()
            collected.set()
        return piece

    class Cycle:
        """Refers to itself, so that only the garbage collector ends it."""

        def __init__(self, results: Iterator[int]) -> None:
            self.results, self.self = results, self

    kept = [Cycle(ordered_map(work, itertools.count(), 2))]
    assert next(kept[0].results) == 0
    assert collected.wait(30)


def test_closing_an_iterator_closes_the_one_it_takes_from_and_waits_for_what_has_begun() -> None:
    ended = []

    def pieces() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            ended.append("pieces")

    def work(piece: int) -> int:
        time.sleep(0.01)
        ended.append("work")
        return piece

    for threads in (1, 3):
        ended.clear()
        results = ordered_map(work, pieces(), threads)
        assert next(results) == 0
        results.close()
        assert ended[-1] == "pieces"
        count = len(ended)
        time.sleep(0.05)
        assert len(ended) == count


def test_ctrl_c_waits_for_the_work_whose_result_was_awaited() -> None:
    ended = []

    def work(piece: int) -> None:
        if piece == 0:
            time.sleep(0.3)  # by then the result is awaited
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            time.sleep(0.3)
        ended.append(piece)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored where the tests run in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            list(ordered_map(work, range(2), 2))
        assert 0 in ended
    finally:
        signal.signal(signal.SIGINT, before)
