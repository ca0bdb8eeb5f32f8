"""The generators that come with pocketgan: ONNX files made by gan-export, each with its model card in Markdown beside it."""

from pathlib import Path

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Return the names of the bundled models, sorted."""
    return sorted(file.stem for file in _FOLDER.glob("*.onnx"))


def path(name: str) -> Path:
    """Return where the bundled model `name` lies, whether or not there is one."""
    return _FOLDER / f"{name}.onnx"


def golden() -> Path:
    """Return the JSON file that holds the digests of the pixels that each of them draws: what gan-info compares with."""
    return _FOLDER / "golden.json"
