"""The door through which all text of the trainer's commands gets to a terminal by way of rich."""

from rich.console import Console, HighlighterType, JustifyMethod, OverflowMethod
from rich.style import Style
from rich.text import Text

from pocketgan.console import printable


class PlainConsole(Console):
    """A console that shows text as it is, also in tables: without markup, emoji codes and colours of its own.

    Names come from data and files of strangers: a question mark stands for each character that could command the terminal or
    begin a line of its own. Give it a `str` for each line and each cell; what is a rich `Text` already is not looked at.
    """

    def __init__(self, stderr: bool = False, soft_wrap: bool = False, quiet: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=soft_wrap, quiet=quiet, highlight=False, markup=False, emoji=False)

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
