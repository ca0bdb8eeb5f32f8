"""Rows of text: images that show several digits side by side, each row at an address of its own."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pocketgan.address import INDEX_LIMIT, check_address
from pocketgan.digit_spec import labels_of_names, parse_text
from pocketgan.errors import RequestError
from pocketgan.generator import BATCH_SIZE, Batch, Generator
from pocketgan.pipeline import close
from pocketgan.truncation import FULL_VARIETY


def text_rows(
    generator: Generator,
    text: str,
    count: int,
    seed: int = 0,
    start: int = 0,
    threads: int = 1,
    *,
    truncation: float = FULL_VARIETY,
    batch_size: int = BATCH_SIZE,
) -> Iterator[Batch]:
    """Yield rows `start` to `start + count - 1` of a text in order, in batches: images uint8 [n, H, len(text) * W].

    Row r shows the images `r * len(text)` to `(r + 1) * len(text) - 1` of `seed`, the first of the class that the first character
    names, and so on: so it is the same in every call. A batch's `start` counts rows and its labels are int64 [n, len(text)].
    `batch_size` counts images. Memory does not grow with `count`.

    Raises RequestError, before anything is drawn, if an argument is out of its range, the
    text is empty or longer than LONGEST_TEXT, or the model has no class by the name of a character.
    """
    labels = labels_of_names(generator.card, parse_text(text))
    seed, start, count = check_address(seed, start, count)
    length = len(labels)
    rows = INDEX_LIMIT // length
    if start + count > rows:
        raise RequestError(
            f"rows {start} to {start + count - 1} of {length} characters are out of range: expected indices 0 to {rows - 1}"
        )
    batches = generator.stream(
        count * length, labels, seed, start * length, threads, truncation=truncation, batch_size=batch_size
    )
    return _rows(batches, generator, text, start)


def text_labels(generator: Generator, text: str, start: int, count: int) -> NDArray[np.int64]:
    """Return the classes of rows of a text from index `start`, which are the same in each: int64 [count, len(text)].

    Raises RequestError for a text that `text_rows` refuses.
    """
    chosen = labels_of_names(generator.card, parse_text(text))
    labels = generator.labels(start * len(chosen), count * len(chosen), chosen)
    assert labels is not None, "a model with these classes has labels"
    return labels.reshape(count, len(chosen))


def _rows(batches: Iterator[Batch], generator: Generator, text: str, start: int) -> Iterator[Batch]:
    height, width, length = generator.card.image_height, generator.card.image_width, len(text)
    waiting = np.empty((0, height, width), dtype=np.uint8)  # the images of a row that has begun
    try:
        for batch in batches:
            waiting = np.concatenate([waiting, batch.images])
            count = len(waiting) // length
            if not count:  # a row may be longer than a batch
                continue
            complete = waiting[: count * length].reshape(count, length, height, width)
            # From [row, character, y, x] to [row, y, character, x].
            images = complete.swapaxes(1, 2).reshape(count, height, length * width)
            yield Batch(start, images, text_labels(generator, text, start, count))
            waiting = waiting[count * length :]
            start += count
    finally:
        close(batches)
