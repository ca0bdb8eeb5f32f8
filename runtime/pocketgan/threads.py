"""Maps a function over an iterable with several threads, with results in order and bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from threading import get_ident
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

from pocketgan.errors import RequestError

Piece = TypeVar("Piece")
Result = TypeVar("Result")

# Pieces for each thread that may wait for the caller: enough that no thread idles, few enough for memory.
_AHEAD = 2


def ordered_map(work: Callable[[Piece], Result], pieces: Iterable[Piece], threads: int) -> Generator[Result, None, None]:
    """Yield `work(piece)` for each piece in order, computed by `threads` threads, or by the calling thread if that is 1.

    At most `2 * threads + 1` pieces are taken ahead of the results. An exception in `work` or `pieces` is raised here, in its
    turn. When the iterator ends or is closed early, it starts no more work, waits for work that has started, and closes `pieces`
    if that is a generator. Raises RequestError if the threads cannot be started.
    """
    if threads == 1:
        try:
            yield from map(work, pieces)
        finally:
            close(pieces)
        return
    from concurrent.futures import ThreadPoolExecutor, wait

    pool, owner = ThreadPoolExecutor(threads), get_ident()
    ahead: deque[Future[Result]] = deque()
    try:
        for piece in pieces:
            ahead.append(_submitted(pool, work, piece, threads))
            if len(ahead) > _AHEAD * threads:
                yield _next_result(ahead)
        while ahead:
            yield _next_result(ahead)
    finally:
        started = [future for future in ahead if not future.cancel()]
        pool.shutdown(wait=False)
        # Python may collect an unclosed iterator in any thread, even one of the pool, which must not wait for itself.
        if get_ident() == owner:
            wait(started)
            close(pieces)


def _next_result(ahead: "deque[Future[Result]]") -> Result:
    # Removed only afterwards: where Ctrl-C ends the waiting, its work goes on, and must be waited for at the end.
    result = ahead[0].result()
    ahead.popleft()
    return result


def close(pieces: Iterable[object]) -> None:
    """Close `pieces` if it is a generator."""
    if isinstance(pieces, Generator):
        pieces.close()


def _submitted(pool: "ThreadPoolExecutor", work: Callable[[Piece], Result], piece: Piece, threads: int) -> "Future[Result]":
    try:
        return pool.submit(work, piece)
    except RuntimeError as error:  # the operating system's limit on threads or memory
        raise RequestError(f"cannot start {threads} threads ({error}): ask for fewer") from error
