"""The console through which the trainer's commands print with rich, and a bar of work whose parts are known beforehand."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console, HighlighterType, JustifyMethod, OverflowMethod
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task
from rich.style import Style
from rich.text import Text

from pocketgan.console import print_message, printable


class PlainConsole(Console):
    """A console that prints text unchanged, also in tables: it knows no markup, emoji codes or highlighting.

    Text may contain names from untrusted files, so each character that could control the terminal or start a new line is printed
    as a question mark. Pass each line and each cell as a `str`: a rich `Text` is printed unchecked. A terminal breaks long lines
    between words; with `soft_wrap`, they stay whole everywhere else, as in a log file.
    """

    def __init__(self, stderr: bool = False, soft_wrap: bool = False, quiet: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        super().__init__(
            stderr=stderr,
            soft_wrap=soft_wrap,
            quiet=quiet,
            highlight=False,
            markup=False,
            emoji=False,
            force_terminal=stream is not None and stream.isatty(),  # whatever FORCE_COLOR says
        )
        self.soft_wrap = soft_wrap and not self.is_terminal

    def render_str(
        self,
        text: str,
        *,
        style: str | Style = "",
        justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None,
        emoji: bool | None = None,
        markup: bool | None = None,
        highlight: bool | None = None,
        highlighter: HighlighterType | None = None,
    ) -> Text:
        """Return what rich shows for a `str`."""
        return Text(printable(text), style=style, justify=justify, overflow=overflow)

    @contextmanager
    def announced(self, words: str) -> Iterator[None]:
        """Print what takes a while, and show on a terminal that it goes on."""
        self.print(words)
        with self.status(""):
            yield


class WorkBar:
    """Prints a line for each part of some work, on a terminal with a bar below; use it as a context manager around the work."""

    def __init__(self, console: PlainConsole, total: int) -> None:
        self._console = console
        self._begun = 0
        """The work of the part that is done now."""
        self._bar = Progress(
            SpinnerColumn(),
            BarColumn(),
            _TimeLeft(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=max(1, total))

    def __enter__(self) -> "WorkBar":
        """Show the bar, on a terminal."""
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Remove the bar."""
        if self._console.is_terminal:  # elsewhere, some versions of rich would print an empty line
            self._bar.stop()

    def __call__(self, words: str, work: int) -> None:
        """Print what is done next, and how much work that is; the part before it is done."""
        if self._console.is_terminal:
            self._console.print(words)
        elif not self._console.quiet:
            print_message(words)  # also if nobody reads it any more
        self._bar.update(self._task, advance=self._begun, done_after=time.monotonic())
        self._begun = work


class _TimeLeft(ProgressColumn):
    """How long the rest takes, if it is done as fast as the parts that are done."""

    def render(self, task: Task) -> Text:
        """Return hours, minutes and seconds; nothing before the first part is done."""
        if not task.completed or task.total is None or task.start_time is None:
            return Text("")
        seconds = (task.fields["done_after"] - task.start_time) * task.total / task.completed
        left = max(0, round(task.start_time + seconds - time.monotonic()))
        return Text(f"about {left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left")
