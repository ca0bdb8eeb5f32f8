"""How far a drawing is, on a terminal."""

import time
from collections.abc import Iterable, Iterator

from pocketgan.generator import Batch


def with_progress_bar(batches: Iterable[Batch], count: int, done_before: int = 0) -> Iterator[Batch]:
    """Pass batches on, and show on the terminal how many of `count` images have come, how fast, and how long the rest will take.

    A run that is resumed begins with those that were there before.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} images/s"),
        TimeRemainingColumn(),
    )
    began = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("images", total=count, completed=done_before, rate="")
        done = 0
        for batch in batches:
            yield batch
            done += len(batch.images)
            progress.update(task, completed=done_before + done, rate=f"{done / (time.monotonic() - began):,.0f}")
