"""What `--help` prints: plain text, since rich would be imported for it, but in panels and in the words of people."""

import re
from collections.abc import Mapping
from typing import Any

from typer.core import TyperCommand

PANELS = {
    "What": "--count --digit --digits --text --texts --pattern --length --numbers --seed --start --shard",
    "How it looks": "--truncation --hand --consistency --slant --thickness --width --size --spacing --jitter --canvas "
    "--background --noise --ink --invert",
    "Files": "--out --format --boxes --masks --grid --gif --vary --overwrite --resume",
    "Model and speed": "--model --provider --threads",
}
"""The panels of a help page, and their options in this order; all others are in a last one, as they come."""


class PlainCommand(TyperCommand):
    """A command with a plain help page, whose ranges are in words."""

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


class CommandWithPanels(PlainCommand):
    """A command with so many options that its help page has panels."""

    panels = PANELS


_WORDS = (
    (re.compile(r"<(?:int|float)(?: range)?>|(?:INTEGER|FLOAT)(?: RANGE)?"), "N"),
    (re.compile(r"<str>"), "TEXT"),
    (re.compile(r"<path>"), "PATH"),
    (re.compile(r"([0-9.]+)<=x<=[0-9]{10,}|x>=([0-9.]+)"), r"from \1\2"),
    (re.compile(r"([0-9.]+)<=x<=([0-9.]+)"), r"\1 to \2"),
    (re.compile(r"\[default: \(([^()]*)\)"), r"[default: \1"),
    (re.compile(r"\[(default: [^\]]*); ((?:from )?[0-9.]+(?: to [0-9.]+)?)\]"), r"[\2; \1]"),
)


def _in_words(text: str) -> str:
    """Return a part of a help page in the words of people."""
    for pattern, words in _WORDS:
        text = pattern.sub(words, text)
    return text
