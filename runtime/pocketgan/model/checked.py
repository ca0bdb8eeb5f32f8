"""Finds a model file and checks it before onnxruntime sees it: its card, its graph, and what the graph asks of the machine."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import NamedTuple

import pocketgan_models
from pocketgan.errors import CardError, ModelError
from pocketgan.files import open_regular_file
from pocketgan.model.card import CARD_KEY, ModelCard
from pocketgan.model.graph import ELEMENT_BYTES, FLOAT, FLOAT16, Graph, Node, Tensor, read_graph
from pocketgan.model.operators import Result, result_of
from pocketgan.model.protobuf import WireReader

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


LARGEST_FILE_BYTES = 32 * 2**20
"""Larger files are refused unread: onnxruntime holds several copies of a file while it opens it."""

LARGEST_METADATA_BYTES = 2**20
"""Of all entries together."""

_MODEL_GRAPH, _MODEL_METADATA, _MODEL_FUNCTIONS = 7, 14, 25
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 13, 14
# Where a message of one kind holds messages that may, further down, hold tensors: {field: kind of message}.
_CHILDREN = {
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
}
_DEEPEST_NESTING = 32


def read_model_file(path: Path) -> bytes:
    """Return the contents of a model file. Raises ModelError if it is absent, not a file, empty or too large."""
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


def read_metadata(contents: bytes) -> dict[str, str]:
    """Return the metadata entries of an ONNX file. Raises ModelError if the bytes are not an ONNX file or use external data."""
    reader = WireReader()
    metadata: dict[str, str] = {}
    metadata_bytes = 0
    has_graph = False
    try:
        for field, _, value in reader.fields(memoryview(contents)):
            if field == _MODEL_GRAPH and isinstance(value, memoryview):
                has_graph = True
                _refuse_external_data(reader, "graph", value, 0)
            elif field == _MODEL_FUNCTIONS and isinstance(value, memoryview):
                _refuse_external_data(reader, "function", value, 0)
            elif field == _MODEL_METADATA and isinstance(value, memoryview):
                metadata_bytes += len(value)
                if metadata_bytes > LARGEST_METADATA_BYTES:
                    raise ModelError(f"it has more than {LARGEST_METADATA_BYTES:,} bytes of metadata, expected a model card")
                entry = {number: bytes(part).decode() for number, _, part in reader.fields(value) if isinstance(part, memoryview)}
                metadata[entry.get(_ENTRY_KEY, "")] = entry.get(_ENTRY_VALUE, "")
    except ValueError as error:
        raise ModelError(f"not an ONNX file, or a damaged one: {error}") from error
    if not has_graph:
        raise ModelError("not an ONNX file: it holds no graph")
    return metadata


def read_card(contents: bytes) -> ModelCard:
    """Return the model card in an ONNX file. Raises ModelError as `read_metadata` does, CardError if there is none to be used."""
    metadata = read_metadata(contents)
    if CARD_KEY not in metadata:
        raise CardError("it has no pocketgan model card: expected a file made by gan-export")
    return ModelCard.from_json(metadata[CARD_KEY])


def _refuse_external_data(reader: WireReader, kind: str, message: memoryview, depth: int) -> None:
    """Raise ModelError if a tensor anywhere below a message says that its data is in another file."""
    if depth > _DEEPEST_NESTING:
        raise ModelError(f"its graphs are nested more than {_DEEPEST_NESTING} deep")
    for field, _, value in reader.fields(message):
        if kind == "tensor" and (field == _TENSOR_EXTERNAL_DATA or (field == _TENSOR_DATA_LOCATION and value != 0)):
            raise ModelError("it keeps weights in another file (external data): expected one file with everything inside")
        child = _CHILDREN.get(kind, {}).get(field)
        if child is not None and isinstance(value, memoryview):
            _refuse_external_data(reader, child, value, depth + 1)


IMAGES_AT_ONCE = 64
"""Images in one call of onnxruntime at most: larger batches are no faster and take more memory."""

MOST_NODES = 2000
"""gan-export writes about fifty."""

MOST_ENDS = 8
"""Inputs, or outputs. A pocketgan model has two inputs at most, and one output: a later check names what is wrong about them."""

MOST_DERIVED_BYTES = 32 * 2**20
"""Of all tensors that follow from constants alone, and may be computed when the file is opened."""

MOST_CALL_BYTES = 48 * 2**20
"""Of one call of onnxruntime."""

MOST_DRAWING_BYTES = 112 * 2**20
"""Of all calls that run at once, and the images that wait to be written. With the freed blocks that onnxruntime keeps, it took up
to twice as much in the worst graphs that were tried."""

MOST_THREADS = 1024
"""That draw at once."""

MOST_PRODUCTS = 2**38
"""Multiplications for IMAGES_AT_ONCE images: about a minute. The largest bundled model needs a hundredth of that."""

# onnxruntime's convolutions of floats fill channels up to such a number.
_CHANNELS_AT_ONCE = 16
_IMAGE_AXES = 4
# A CPU has few kernels for half precision: onnxruntime converts to float32 before the others, and back.
_DRAWING_BYTES = {**ELEMENT_BYTES, FLOAT16: ELEMENT_BYTES[FLOAT16] + ELEMENT_BYTES[FLOAT]}
_SMALLEST_BATCH = 8


class Cost(NamedTuple):
    """The memory that a call of onnxruntime takes, at most."""

    fixed: int
    """Bytes for any number of images."""
    image: int
    """Bytes for each image."""


class Calls(NamedTuple):
    """How often a model is called at once, and with how many images at most."""

    threads: int
    batch_size: int


def check_graph(contents: bytes) -> Cost:
    """Return what drawing with a file takes. Raises ModelError unless its graph is one that gan-export could have written.

    Nor may it ask for more than MOST_DERIVED_BYTES when it is opened, MOST_PRODUCTS when it draws, or MOST_CALL_BYTES for one
    image.
    """
    try:
        graph = read_graph(contents, IMAGES_AT_ONCE)
        one, all_at_once = _drawing_bytes(graph, 1), _drawing_bytes(graph, IMAGES_AT_ONCE)
        image = -(-(all_at_once - one) // (IMAGES_AT_ONCE - 1))
        cost = Cost(max(0, one - image), image)
        _refuse_above("bytes for one image", one, MOST_CALL_BYTES)
        return cost
    except ValueError as error:
        raise ModelError(f"{error}: export the model again, or upgrade pocketgan") from error


def plan_calls(cost: Cost, threads: int, image_bytes: int) -> Calls:
    """Return how to draw with up to `threads` threads within MOST_DRAWING_BYTES: in smaller batches, else with fewer threads.

    `image_bytes` is what an image takes while it waits to be resized or written.
    """

    def batch_size(used: int) -> int:
        # As many batches wait as `ordered_map` takes ahead, and one more is being used.
        for_each = used * cost.image + 2 * (used + 1) * image_bytes
        in_all = (MOST_DRAWING_BYTES - used * cost.fixed) // max(1, for_each)
        in_call = (MOST_CALL_BYTES - cost.fixed) // max(1, cost.image)
        return min(IMAGES_AT_ONCE, in_all, in_call)

    used = next((used for used in range(min(threads, MOST_THREADS), 1, -1) if batch_size(used) >= _SMALLEST_BATCH), 1)
    return Calls(used, max(1, batch_size(used)))


def _drawing_bytes(graph: Graph, batch: int) -> int:
    """Return the bytes that a call for `batch` images takes at most. Raises ValueError for a graph that is not as it should be.

    onnxruntime frees a tensor after its last use, but the order of nodes is its own choice, as far as they do not depend on each
    other. So tensors are added up from one bottleneck of the graph to the next: where a single tensor is all that later nodes
    use, all before it is done, and freed, before anything after it begins.
    """
    if len(graph.nodes) > MOST_NODES:
        raise ValueError(f"it has {len(graph.nodes):,} nodes, expected at most {MOST_NODES:,}")
    if len(graph.inputs) > MOST_ENDS or len(graph.outputs) > MOST_ENDS:
        raise ValueError(
            f"it has {len(graph.inputs):,} inputs and {len(graph.outputs):,} outputs, expected at most {MOST_ENDS} each"
        )
    if twice := graph.constants.keys() & graph.inputs.keys():
        raise ValueError(f"two of its tensors are called {min(twice)!r}")
    inputs = {name: tensor._replace(shape=(batch, *tensor.shape[1:])) for name, tensor in graph.inputs.items()}
    tensors: dict[str, Tensor] = {**graph.constants, **inputs}
    last_use = {name: place for place, node in enumerate(graph.nodes) for name in node.inputs}
    last_use |= dict.fromkeys(graph.outputs, len(graph.nodes))  # outputs are kept to the end
    open_until = {name: last_use.get(name, len(graph.nodes)) for name in inputs}
    derived = products = most = 0  # derived tensors may be computed at each call, too
    segment = sum(map(_memory, inputs.values()))
    for place, node in enumerate(graph.nodes):
        result, is_constant = _result(node, tensors)
        (name,) = node.outputs
        tensor = tensors[name] = Tensor(result.shape, result.element_type, is_constant)
        size = _memory(tensor) + result.scratch * _DRAWING_BYTES[tensor.element_type]
        products += result.products
        _refuse_above(f"multiplications for {batch} images", products, MOST_PRODUCTS)
        if is_constant:
            derived += size
            _refuse_above("bytes of constants", derived, MOST_DERIVED_BYTES)
            continue
        segment += size
        open_until[name] = last_use.get(name, len(graph.nodes))
        open_until = {other: last for other, last in open_until.items() if last > place}
        most = max(most, segment)
        if open_until.keys() == {name}:
            segment = _memory(tensor)
    _check_outputs(graph, tensors, batch)
    return most + derived


def _result(node: Node, tensors: Mapping[str, Tensor]) -> tuple[Result, bool]:
    """Return what a node makes, and whether that follows from constants alone."""
    try:
        missing = [name for name in node.inputs if name not in tensors]
        if missing:
            raise ValueError(f"nothing before it makes its input {missing[0]!r}")
        inputs = [tensors[name] for name in node.inputs]
        result = result_of(node, inputs)
        (name,) = node.outputs
        if not name or name in tensors:
            raise ValueError(f"there is a tensor {name!r} before it" if name else "its output has no name")
    except ValueError as error:
        raise ValueError(f"its node {node.name!r} ({node.operator!r}) is not as gan-export writes it: {error}") from error
    return result, all(tensor.is_constant for tensor in inputs)


def _check_outputs(graph: Graph, tensors: Mapping[str, Tensor], batch: int) -> None:
    """Raise ValueError unless all outputs are made, and are what the file declares."""
    for name, declared in graph.outputs.items():
        if name not in tensors:
            raise ValueError(f"nothing makes its output {name!r}")
        made, expected = tensors[name], (batch, *declared.shape[1:])
        if (made.shape, made.element_type) != (expected, declared.element_type):
            raise ValueError(
                f"its output {name!r} has the shape {list(made.shape)} and type {made.element_type} for {batch} images, "
                f"declared are {list(expected)} and {declared.element_type}"
            )


def _memory(tensor: Tensor) -> int:
    """Return how many bytes a tensor takes in memory."""
    shape = tensor.shape
    if tensor.element_type == FLOAT and len(shape) == _IMAGE_AXES:
        batch, channels, *size = shape
        shape = (batch, -(-channels // _CHANNELS_AT_ONCE) * _CHANNELS_AT_ONCE, *size)
    return prod(shape) * _DRAWING_BYTES[tensor.element_type]


def _refuse_above(what: str, found: int, most: int) -> None:
    if found > most:
        raise ValueError(f"it would need {found:,} {what}, expected at most {most:,}")
