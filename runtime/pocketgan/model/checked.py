"""Finds a model file, reads it once, and checks its card and its graph before onnxruntime opens it."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pocketgan_models
from pocketgan.errors import CardError, ModelError, suggestion
from pocketgan.files import open_regular_file
from pocketgan.model.card import CARD_KEY, ModelCard
from pocketgan.model.limits import Cost, check_graph
from pocketgan.model.protobuf import WireReader, damaged

DEFAULT_MODEL = "pocket"
"""The bundled model that is used if no model is named and there is no LOCAL_MODEL."""

LOCAL_MODEL = Path("model.onnx")
"""The file in the working folder that takes precedence over the bundled model: what `gan-export model.onnx` just wrote."""

LARGEST_FILE_BYTES = 32 * 2**20
"""Larger files are refused unread, because onnxruntime makes several copies of a file while it opens it."""

LARGEST_METADATA_BYTES = 2**20
"""The most bytes of metadata in a file."""

_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_ENTRY_KEY, _ENTRY_VALUE = 1, 2


class Location(NamedTuple):
    """A model file, and how it was found."""

    path: Path
    reason: str
    """Why this file is used, in a few words."""
    remedy: str = ""
    """What to do if a file that was not named explicitly cannot be used."""

    @property
    def bundled_name(self) -> str | None:
        """The name of the bundled model that this file is; None for all others, copies too."""
        return next((name for name in pocketgan_models.names() if pocketgan_models.path(name) == self.path), None)

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Add the path before the message of a ModelError raised in a `with` block, and the remedy after it."""
        try:
            yield
        except ModelError as error:
            raise type(error)(f"model {self.path}: {error}{self.remedy}") from error


class CheckedModel(NamedTuple):
    """A model file with a valid card, and a graph that gan-export could have written and that stays within all limits."""

    location: Location
    contents: bytes
    sha256: str
    """Digest of the file, in hexadecimal."""
    card: ModelCard
    cost: Cost


class UnusableModel(NamedTuple):
    """A model file that was refused, and what could be read of it; the rest is None."""

    error: ModelError
    location: Location | None
    contents: bytes | None
    sha256: str | None
    card: ModelCard | None


def read_model(model: str | Path | None = None) -> CheckedModel:
    """Return the model that `locate_model` finds, checked. Raises ModelError (CardError for its card) if it cannot be used."""
    found = inspect_model(model)
    if isinstance(found, UnusableModel):
        raise found.error
    return found


def inspect_model(model: str | Path | None = None) -> CheckedModel | UnusableModel:
    """Return the model that `locate_model` finds, or why it cannot be used and what could be read of it.

    This works without numpy and onnxruntime.
    """
    location = contents = sha256 = card = None
    try:
        location = locate_model(model)
        with location.named_in_errors():
            contents = _read_file(location.path)
            sha256 = hashlib.sha256(contents).hexdigest()
            card = read_card(contents)
            return CheckedModel(location, contents, sha256, card, check_graph(contents))
    except ModelError as error:
        return UnusableModel(error, location, contents, sha256, card)


def locate_model(model: str | Path | None = None) -> Location:
    """Return the file that `model` refers to.

    A string that is the name of a bundled model refers to that model; any other string, and every Path, is a path. None refers
    to LOCAL_MODEL if it exists, even if it cannot be used, else to DEFAULT_MODEL. Raises ModelError if there is no such file,
    or if the working folder cannot be searched.
    """
    if model is None:
        return _locate_default()
    names = pocketgan_models.names()
    if isinstance(model, str) and model in names:
        return _bundled(model)
    if os.path.exists(model):  # unlike Path.exists, False for a name that is too long
        return Location(Path(model), "as named")
    if not names:
        return _bundled(str(model))  # raises, and says why there are no bundled models
    raise ModelError(
        f"no model {model}: expected a file, or the name of a bundled model ({', '.join(names)}){suggestion(str(model), names)}"
    )


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
    remedy = f"; it is in the current folder, so it is used: choose another, such as --model {DEFAULT_MODEL}"
    return Location(LOCAL_MODEL, "found in this folder", remedy)


def _read_file(path: Path) -> bytes:
    """Return the contents of a file. Raises ModelError if it is absent, not a regular file, empty or too large."""
    try:
        with open_regular_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST_FILE_BYTES:
                raise ModelError(f"it has {size:,} bytes: expected at most {LARGEST_FILE_BYTES:,}")
            contents = file.read()
    except OSError as error:
        raise ModelError(f"it cannot be read ({error.strerror}): expected an .onnx file made by gan-export") from error
    if not contents:
        raise ModelError("it is empty: expected an .onnx file made by gan-export")
    return contents


def read_card(contents: bytes) -> ModelCard:
    """Return the model card in an ONNX file; its graph is not checked.

    Raises ModelError if the bytes are not an ONNX file, CardError if there is no card or it cannot be used.
    """
    metadata = read_metadata(contents)
    if CARD_KEY not in metadata:
        raise CardError("it has no pocketgan model card: expected a file made by gan-export")
    return ModelCard.from_json(metadata[CARD_KEY])


def read_metadata(contents: bytes) -> dict[str, str]:
    """Return the metadata entries of an ONNX file. If a key is repeated, the last entry counts, as in onnxruntime.

    Raises ModelError if the bytes are not an ONNX file or have more than LARGEST_METADATA_BYTES of metadata.
    """
    reader = WireReader()
    metadata: dict[str, str] = {}
    metadata_bytes = 0
    has_graph = False
    for field, _, value in reader.fields(memoryview(contents)):
        has_graph |= field == _MODEL_GRAPH and isinstance(value, memoryview)
        if field == _MODEL_METADATA and isinstance(value, memoryview):
            metadata_bytes += len(value)
            if metadata_bytes > LARGEST_METADATA_BYTES:
                raise ModelError(f"it has more than {LARGEST_METADATA_BYTES:,} bytes of metadata, expected a model card")
            try:
                entry = {number: bytes(part).decode() for number, _, part in reader.fields(value) if isinstance(part, memoryview)}
            except UnicodeDecodeError as error:
                raise damaged(str(error)) from error
            metadata[entry.get(_ENTRY_KEY, "")] = entry.get(_ENTRY_VALUE, "")
    if not has_graph:
        raise ModelError("not an ONNX file: it has no graph")
    return metadata
