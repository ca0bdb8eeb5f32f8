"""What `--help` prints: plain text, since rich would be imported for it, but in panels and in the words of people."""

import re
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
    """A command with a plain help page: many options in panels, and ranges in words."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - click's own, or typer's copy of it
        """Write the panels."""
        records: dict[str, tuple[str, str]] = {}
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                name, text = map(_in_words, record)
                records[parameter.opts[0] if name.startswith("-") else name] = (name, text)
        panels = {"Arguments": [records.pop(name) for name in list(records) if not name.startswith("-")]}
        if len(records) > _MOST_IN_ONE_PANEL:
            for panel, names in PANELS.items():
                panels[panel] = [records.pop(name) for name in names.split() if name in records]
        for panel, entries in (panels | {"Options": list(records.values())}).items():
            if entries:
                with formatter.section(panel):
                    formatter.write_dl(entries)


_MOST_IN_ONE_PANEL = 25
_WORDS = (
    (re.compile(r"<(?:int|float)(?: range)?>|(?:INTEGER|FLOAT)(?: RANGE)?"), "N"),
    (re.compile(r"<str>"), "TEXT"),
    (re.compile(r"<path>"), "PATH"),
    (re.compile(r"([0-9.]+)<=x<=[0-9]{10,}|x>=([0-9.]+)"), r"from \1\2"),
    (re.compile(r"([0-9.]+)<=x<=([0-9.]+)"), r"\1 to \2"),
    (re.compile(r"\[default: \(([^()]*)\)"), r"[default: \1"),
)


def _in_words(text: str) -> str:
    """Return a part of a help page in the words of people."""
    for pattern, words in _WORDS:
        text = pattern.sub(words, text)
    return text
