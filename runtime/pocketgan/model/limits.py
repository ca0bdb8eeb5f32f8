"""What a graph asks of the machine: computed from its shapes before onnxruntime opens it, and refused where it is too much."""

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

from pocketgan.errors import ModelError
from pocketgan.model.graph import ELEMENT_BYTES, FLOAT, FLOAT16, Graph, Node, Tensor, read_graph
from pocketgan.model.operators import Result, result_of

BATCH_SIZE = 64
"""The most images in one call of onnxruntime: larger batches are no faster and take more memory."""

MOST_NODES = 2000
"""gan-export writes about fifty."""

MOST_ENDS = 8
"""Inputs, or outputs. A pocketgan model has at most two inputs and one output; `Generator` checks which ones."""

MOST_DERIVED_BYTES = 32 * 2**20
"""Of all tensors that follow from constants alone, and may be computed when the file is opened."""

MOST_CALL_BYTES = 48 * 2**20
"""Of one call of onnxruntime."""

MOST_DRAWING_BYTES = 112 * 2**20
"""Of all calls that run at once, and the images that wait to be written. onnxruntime also keeps freed blocks: in the worst graphs
that were tried, memory in use reached twice this figure."""

MOST_THREADS = 1024
"""Threads that draw at once."""

MOST_PRODUCTS = 2**38
"""Multiplications for BATCH_SIZE images: about a minute. The largest bundled model needs a hundredth of that."""

_SMALLEST_BATCH = 8


class Cost(NamedTuple):
    """The memory that a call of onnxruntime takes, at most."""

    fixed_bytes: int
    """For any number of images."""
    image_bytes: int
    """For each image."""


class Batching(NamedTuple):
    """How images are divided among calls of onnxruntime."""

    threads: int
    """Calls at the same time, each by a thread of its own."""
    batch_size: int
    """The most images in a call."""


def check_graph(contents: bytes) -> Cost:
    """Return what drawing with a file costs. Raises ModelError unless its graph is one that gan-export could have written.

    It is also raised if the graph asks for more than MOST_DERIVED_BYTES when it is opened, MOST_PRODUCTS when it draws, or
    MOST_CALL_BYTES for one image.
    """
    try:
        graph = read_graph(contents, BATCH_SIZE)
        one, full_batch = _drawing_bytes(graph, 1), _drawing_bytes(graph, BATCH_SIZE)
        image = -(-(full_batch - one) // (BATCH_SIZE - 1))
        _refuse_above("bytes for one image", one, MOST_CALL_BYTES)
        return Cost(max(0, one - image), image)
    except ValueError as error:
        raise ModelError(f"{error}: export the model again, or upgrade pocketgan") from error


def plan_batching(cost: Cost, most_threads: int, waiting_bytes: int) -> Batching:
    """Return how to draw within MOST_DRAWING_BYTES: with smaller batches, and where that is not enough, with fewer threads.

    `waiting_bytes` is what an image takes while it waits to be resized or written.
    """

    def batch_size(threads: int) -> int:
        # As many batches wait as `ordered_map` takes ahead, and one more is being used.
        for_each = threads * cost.image_bytes + 2 * (threads + 1) * waiting_bytes
        in_all = (MOST_DRAWING_BYTES - threads * cost.fixed_bytes) // max(1, for_each)
        in_call = (MOST_CALL_BYTES - cost.fixed_bytes) // max(1, cost.image_bytes)
        return min(BATCH_SIZE, in_all, in_call)

    several = range(min(most_threads, MOST_THREADS), 1, -1)
    threads = next((number for number in several if batch_size(number) >= _SMALLEST_BATCH), 1)
    return Batching(threads, max(1, batch_size(threads)))


def _drawing_bytes(graph: Graph, batch: int) -> int:
    """Return the most bytes that a call for `batch` images takes. Raises ValueError for a graph that gan-export would not write.

    onnxruntime frees a tensor after its last use, but chooses the order of nodes that do not depend on each other. So tensors are
    added up from one bottleneck of the graph to the next: where later nodes use a single tensor only, everything before it has
    been computed and freed before anything after it begins.
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
    derived = products = most = 0  # derived tensors may also be computed at each call
    segment = sum(map(_memory, inputs.values()))
    for place, node in enumerate(graph.nodes):
        result, is_constant = _result(node, tensors)
        (name,) = node.outputs
        tensor = tensors[name] = Tensor(result.shape, result.element_type, is_constant)
        size = _memory(tensor) + result.scratch * _BYTES_IN_USE[tensor.element_type]
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
    """Return the result of a node, and whether it follows from constants alone."""
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
    """Raise ValueError unless nodes make all outputs, with the shapes and types that the file declares."""
    for name, declared in graph.outputs.items():
        if name not in tensors:
            raise ValueError(f"nothing makes its output {name!r}")
        made, expected = tensors[name], (batch, *declared.shape[1:])
        if (made.shape, made.element_type) != (expected, declared.element_type):
            raise ValueError(
                f"its output {name!r} has the shape {list(made.shape)} and type {made.element_type} for {batch} images, "
                f"declared are {list(expected)} and {declared.element_type}"
            )


# onnxruntime's convolutions of floats pad the channels to a multiple of this.
_CHANNEL_BLOCK = 16
_IMAGE_AXES = 4
# A CPU has few kernels for half precision: onnxruntime converts to float32 before the others, and back.
_BYTES_IN_USE = {**ELEMENT_BYTES, FLOAT16: ELEMENT_BYTES[FLOAT16] + ELEMENT_BYTES[FLOAT]}


def _memory(tensor: Tensor) -> int:
    """Return how many bytes a tensor takes in memory."""
    shape = tensor.shape
    if tensor.element_type == FLOAT and len(shape) == _IMAGE_AXES:
        batch, channels, *size = shape
        shape = (batch, -(-channels // _CHANNEL_BLOCK) * _CHANNEL_BLOCK, *size)
    return prod(shape) * _BYTES_IN_USE[tensor.element_type]


def _refuse_above(what: str, found: int, most: int) -> None:
    if found > most:
        raise ValueError(f"it would need {found:,} {what}, expected at most {most:,}")
