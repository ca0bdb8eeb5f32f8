"""What a model's graph may ask of the machine: checked before onnxruntime sees it, by working out the size of every tensor.

A file of a hundred bytes can ask for gigabytes, when it is opened (constants that are folded) or when it draws. onnxruntime has
no limit of its own that would hold for all of that. The limits here keep a process that draws below 512 MB.
"""

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

from pocketgan.errors import ModelError
from pocketgan.graph_file import ELEMENT_BYTES, FLOAT, FLOAT16, Graph, Node, Tensor, read_graph
from pocketgan.graph_shapes import Result, result_of

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
