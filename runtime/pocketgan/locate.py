"""Which model file a name, a path or nothing at all stands for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pocketgan_models
from pocketgan.errors import ModelError

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
    remedy: str = ""
    """Advice for a file that was found, not named, and cannot be used."""

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Have a ModelError that is raised in a `with` block say which file it is about, and end with the remedy."""
        try:
            yield
        except ModelError as error:
            raise type(error)(f"model {self.path}: {error}{self.remedy}") from error


def locate_model(model: str | Path | None = None) -> Location:
    """Return the file that `model` stands for.

    A string that is the name of a bundled model means that one; any other string, and every Path, is a path. None means
    LOCAL_MODEL if there is anything of that name, whether or not it can be used, else DEFAULT_MODEL. Raises ModelError if there
    is no such file, or the working folder cannot be searched.
    """
    if model is None:
        return _locate_default()
    if isinstance(model, str) and model in pocketgan_models.names():
        return _bundled(model)
    path = Path(model)
    if not os.path.exists(path):  # unlike Path.exists, also no for a name that is too long
        names = pocketgan_models.names()
        if not names:
            return _bundled(str(model))  # which says why there are none
        raise ModelError(
            f"no model {model}: expected a file, or the name of a bundled model ({', '.join(names)}){_meant(str(model), names)}"
        )
    return Location(path, "as named")


def _meant(name: str, known: list[str]) -> str:
    """Return a question about the known name that is most like another one, or nothing if none is."""
    from difflib import get_close_matches

    return "".join(f"; did you mean {match}?" for match in get_close_matches(name, known, n=1))


def _bundled(name: str) -> Location:
    try:
        return Location(pocketgan_models.path(name), "bundled")
    except FileNotFoundError as error:
        raise ModelError(f"no model {error.filename}: {error.strerror}") from error


def _locate_default() -> Location:
    try:
        os.lstat(LOCAL_MODEL)
    except FileNotFoundError:
        return _bundled(DEFAULT_MODEL)
    except OSError as error:
        raise ModelError(
            f"cannot look for {LOCAL_MODEL} in the current folder ({error.strerror}): name a model, such as --model "
            f"{DEFAULT_MODEL}, or change to another folder"
        ) from error
    remedy = (
        f"; it is in the current folder, so it is used: choose another, such as --model {DEFAULT_MODEL}, or export or copy this "
        "one again"
    )
    return Location(LOCAL_MODEL, "found in this folder", remedy)
