"""The generators that come with pocketgan: ONNX files made by gan-export, each with its model card in Markdown beside it."""

import errno
from pathlib import Path

_FOLDER = Path(__file__).parent
_NOT_THERE = (
    "the bundled models cannot be opened there: unpack pocketgan_models if it is in a zip archive, add its .onnx files if a "
    "frozen program lacks them, or name a model file"
)


def names() -> list[str]:
    """Return the names of the bundled models that can be opened, sorted: none where the package is inside a zip archive."""
    return sorted(file.stem for file in _FOLDER.glob("*.onnx"))


def path(name: str) -> Path:
    """Return where the bundled model `name` lies, whether or not there is one.

    Raises FileNotFoundError where there is no folder with models: in a zip archive, or in a program that was made without them.
    """
    if not _FOLDER.is_dir():
        raise FileNotFoundError(errno.ENOENT, _NOT_THERE, str(_FOLDER))
    return _FOLDER / f"{name}.onnx"


def golden() -> Path:
    """Return the JSON file that holds the digests of the pixels that each of them draws: what gan-info compares with."""
    return _FOLDER / "golden.json"
