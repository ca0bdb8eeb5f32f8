"""Prints help and usage errors in everyday words, as plain text: importing rich would slow down every start."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from typer.core import TyperCommand

from pocketgan.console import print_message

PANELS = {
    "What": "--count --digit --digits --text --texts --pattern --length --numbers --seed --start --shard",
    "How it looks": "--truncation --hand --consistency --slant --thickness --width --size --spacing --jitter --canvas "
    "--background --noise --ink --invert",
    "Files": "--out --format --boxes --masks --grid --gif --vary --overwrite --resume",
    "Model and speed": "--model --provider --threads",
}
"""The panels of a help page, and their options in this order; all others are in a last one, as they come."""


def examples(*commands: str) -> str:
    """Return the end of a help page: commands to copy."""
    return "\n  ".join(("\b\nExamples:", *commands))


class PlainCommand(TyperCommand):
    """A command with a plain help page, whose ranges are in words, and with one line for wrong usage."""

    panels: Mapping[str, str] = {}
    """The panels of its options, see PANELS."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - click's own, or typer's copy of it
        """Write the panels."""
        records: dict[str, tuple[str, str]] = {}
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                name, text = map(_in_words, record)
                records[parameter.opts[0] if name.startswith("-") else name] = (name, text)
        panels = {"Arguments": [records.pop(name) for name in list(records) if not name.startswith("-")]}
        for panel, names in self.panels.items():
            panels[panel] = [records.pop(name) for name in names.split() if name in records]
        for panel, entries in (panels | {"Options": list(records.values())}).items():
            if entries:
                with formatter.section(panel):
                    formatter.write_dl(entries)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - as above
        """Return the words of the first line; click puts an argument that is required into braces, as if it were a choice."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:  # noqa: ANN401
        """Read the arguments."""
        with _usage_in_one_line(info_name or ""):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as above
        """Run the command."""
        with _usage_in_one_line(ctx.info_name):
            return super().invoke(ctx)


@contextmanager
def _usage_in_one_line(command: str) -> Iterator[None]:
    """Let errors of usage show themselves as all others do, in one line, with where to find help."""
    try:
        yield
    except Exception as error:
        # By its method, because some versions of typer have click's classes, and others copies of them.
        if (message := getattr(error, "format_message", None)) is not None:
            vars(error)["show"] = partial(print_message, f"error: {usage_error(message())}; see {command} --help")
        raise


def usage_error(message: str) -> str:
    """Return click's message about wrong usage in this project's wording: the option, what was found, what was expected."""
    message = " ".join(message.split()).removesuffix(".")
    for pattern, words in _USAGE:
        message = pattern.sub(words, message)
    return message


_USAGE: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"^Invalid value for ('?)(.+?)\1: "), r"\2: "),
    (re.compile(r"'(.*)' is not a valid (?:int|integer)(?: range)?$"), r"\1 is not a whole number"),
    (re.compile(r"'(.*)' is not a valid float(?: range)?$"), r"\1 is not a number"),
    (re.compile(r"(\S+) is not in the range x>=(-?[0-9.]+)$"), r"\1 is out of range: expected at least \2"),
    (re.compile(r"(\S+) is not in the range (-?[0-9.]+)<=x<=(-?[0-9.]+)$"), r"\1 is out of range: expected \2 to \3"),
    (re.compile(r"^No such option:? '?([^\s']+)'?"), r"no option \1"),
    (
        re.compile(r"\.? \(?(?:Possible options: |Did you mean (?:one of: )?)(.*?)\??\)?$"),
        lambda match: f"; did you mean {match[1].replace(chr(39), '')}?",
    ),
    (re.compile(r"^Got unexpected extra arguments?(?:\(s\))? \((.*)\)$"), r"unexpected argument: \1"),
    (re.compile(r"^Option '(.+)' requires an argument$"), r"\1: expected a value"),
    (re.compile(r"^Missing argument '(.+)'$"), r"\1 is missing"),
    (re.compile(r"^Option '(.+)' does not take a value$"), r"\1: it takes no value"),
)
"""Of click and of typer's copies of it, as versions differ."""


class CommandWithPanels(PlainCommand):
    """A command with so many options that its help page has panels."""

    panels = PANELS


_WORDS = (
    (re.compile(r"<(?:int|float)(?: range)?>|(?:INTEGER|FLOAT)(?: RANGE)?"), "N"),
    (re.compile(r"<str>"), "TEXT"),
    (re.compile(r"<path>"), "PATH"),
    (re.compile(r"(-?[0-9.]+)<=x<=[0-9]{10,}|x>=(-?[0-9.]+)"), r"from \1\2"),
    (re.compile(r"(-?[0-9.]+)<=x<=(-?[0-9.]+)"), r"\1 to \2"),
    (re.compile(r"\[default: \(([^()]*)\)"), r"[default: \1"),
    (re.compile(r"\[(default: [^\]]*); ((?:from )?-?[0-9.]+(?: to [0-9.]+)?)\]"), r"[\2; \1]"),
)


def _in_words(text: str) -> str:
    """Return a part of a help page in everyday words."""
    for pattern, words in _WORDS:
        text = pattern.sub(words, text)
    return text
