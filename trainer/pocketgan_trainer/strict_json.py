"""JSON from files that anybody may have written."""

import json


def read_json(text: str | bytes) -> object:
    """Return what a JSON text says. Raises ValueError, in a line, if it is none, nests too deeply, or names a field twice."""
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except RecursionError as error:
        raise ValueError("it nests too deeply") from error
    # Others are ValueErrors: JSONDecodeError, UnicodeDecodeError, and that of a number with thousands of digits.


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name stands in it twice")
    return values
