"""Which model file a name, a path or nothing at all stands for."""

import os
from dataclasses import dataclass
from pathlib import Path

import pocketgan_models
from pocketgan.card import CARD_KEY
from pocketgan.errors import ModelError
from pocketgan.onnx_file import read_metadata, read_model_file

DEFAULT_MODEL = "pocket"
"""The bundled model that is used when nothing else is named or found."""

LOCAL_MODEL = Path("model.onnx")
"""The file in the working folder that is used before the bundled one: what `gan-export model.onnx` just made."""


@dataclass(frozen=True)
class Location:
    """A model file, and how it was found."""

    path: Path
    reason: str
    """A few words for people: why this file."""


def locate_model(model: str | Path | None = None) -> Location:
    """Return the file that `model` stands for.

    A string that is the name of a bundled model means that one; any other string, and every Path, is a path. None means
    `model.onnx` in the working folder if it carries a model card, else DEFAULT_MODEL. Raises ModelError if there is no such file.
    """
    if model is None:
        return _locate_default()
    if isinstance(model, str) and model in pocketgan_models.names():
        return Location(pocketgan_models.path(model), "bundled")
    path = Path(model)
    if not os.path.exists(path):  # unlike Path.exists, also no for a name that is too long
        names = pocketgan_models.names()
        raise ModelError(
            f"no model {model}: expected a file, or the name of a bundled model ({', '.join(names)}){_meant(str(model), names)}"
        )
    return Location(path, "as named")


def _meant(name: str, known: list[str]) -> str:
    """Return a question about the known name that is most like another one, or nothing if none is."""
    from difflib import get_close_matches

    return "".join(f"; did you mean {match}?" for match in get_close_matches(name, known, n=1))


def _locate_default() -> Location:
    bundled = pocketgan_models.path(DEFAULT_MODEL)
    if not LOCAL_MODEL.exists():
        return Location(bundled, "bundled")
    try:
        has_card = CARD_KEY in read_metadata(read_model_file(LOCAL_MODEL))
    except ModelError as error:
        return Location(bundled, f"bundled; ./{LOCAL_MODEL} passed over: {error}")
    if not has_card:
        return Location(bundled, f"bundled; ./{LOCAL_MODEL} passed over: it has no model card")
    return Location(LOCAL_MODEL, "found in this folder")
