"""The console through which the trainer's commands print with rich."""

from rich.console import Console, HighlighterType, JustifyMethod, OverflowMethod
from rich.style import Style
from rich.text import Text

from pocketgan.console import printable


class PlainConsole(Console):
    """A console that prints text unchanged, also in tables: it knows no markup, emoji codes or highlighting.

    Text may contain names from untrusted files, so each character that could control the terminal or start a new line is printed
    as a question mark. Pass each line and each cell as a `str`: a rich `Text` is printed unchecked. A terminal breaks long lines
    between words; with `soft_wrap`, they stay whole everywhere else, as in a log file.
    """

    def __init__(self, stderr: bool = False, soft_wrap: bool = False, quiet: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=soft_wrap, quiet=quiet, highlight=False, markup=False, emoji=False)
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
