"""Maps a function over an iterable with several threads, a few items ahead: results in order, bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from threading import get_ident
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

from pocketgan.errors import RequestError

Piece = TypeVar("Piece")
Result = TypeVar("Result")

# Pieces that each thread may be ahead of whoever takes the results: enough that none waits long, few enough to keep.
_AHEAD = 2


def ordered_map(work: Callable[[Piece], Result], pieces: Iterable[Piece], threads: int) -> Generator[Result, None, None]:
    """Yield `work(piece)` for each piece in order, done by so many threads; one is whoever takes the results.

    At most `2 * threads + 1` pieces are taken before their results are. What `work` or `pieces` raises is raised here, in its
    turn. When the iterator ends or is closed early, `pieces` is closed too if it is a generator, work that has begun is waited
    for, and no more begins. Raises RequestError if so many threads cannot be started.
    """
    if threads == 1:
        try:
            yield from map(work, pieces)
        finally:
            close(pieces)
        return
    from concurrent.futures import ThreadPoolExecutor, wait

    pool, taker = ThreadPoolExecutor(threads), get_ident()
    ahead: deque[Future[Result]] = deque()
    try:
        for piece in pieces:
            ahead.append(_submitted(pool, work, piece, threads))
            if len(ahead) > _AHEAD * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        begun = [future for future in ahead if not future.cancel()]
        pool.shutdown(wait=False)
        # Python may collect an iterator that nobody closed in any thread, even one of the pool's own: that must wait for nothing.
        if get_ident() == taker:
            wait(begun)
            close(pieces)


def close(pieces: Iterable[object]) -> None:
    """End a generator where it stands; anything else is left alone."""
    if isinstance(pieces, Generator):
        pieces.close()


def _submitted(pool: "ThreadPoolExecutor", work: Callable[[Piece], Result], piece: Piece, threads: int) -> "Future[Result]":
    try:
        return pool.submit(work, piece)
    except RuntimeError as error:  # the operating system's limit on threads or memory
        raise RequestError(f"cannot start {threads} threads ({error}): ask for fewer") from error
