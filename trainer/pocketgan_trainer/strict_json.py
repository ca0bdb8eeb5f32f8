"""Reads JSON from files that are not trusted."""

import json


def read_json(text: str | bytes) -> object:
    """Return the value of a JSON text. Raises ValueError, in one line, if it is not JSON, nests too deeply or repeats a name."""
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except RecursionError as error:
        raise ValueError("it nests too deeply") from error
    # All other errors are ValueErrors already: JSONDecodeError, UnicodeDecodeError, and that of a number with too many digits.


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("it repeats a name")
    return values
