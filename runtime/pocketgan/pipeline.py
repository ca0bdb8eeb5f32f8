"""Work done by several threads a few pieces ahead, with results in order and memory that does not grow."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

Piece = TypeVar("Piece")
Result = TypeVar("Result")

# Pieces that each thread may be ahead of whoever takes the results: enough that none waits long, few enough to keep.
_AHEAD = 2


def ordered_map(work: Callable[[Piece], Result], pieces: Iterable[Piece], threads: int) -> Iterator[Result]:
    """Yield `work(piece)` for each piece in order, done by so many threads.

    At most `2 * threads + 1` pieces are taken before their results are. What `work` or `pieces` raises is raised here, in its
    turn. When the iterator is closed early, work that has begun is waited for, and no more begins.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[Result]] = deque()
        try:
            for piece in pieces:
                ahead.append(pool.submit(work, piece))
                if len(ahead) > _AHEAD * threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
