"""How much memory and computation a graph needs: worked out from its shapes before onnxruntime opens it, and limited."""

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

from pocketgan.cpus import MOST_THREADS
from pocketgan.errors import ModelError
from pocketgan.model.graph import ELEMENT_BYTES, FLOAT, FLOAT16, Graph, Node, Tensor, read_graph
from pocketgan.model.operators import Result, result_of

BATCH_SIZE = 64
"""The most images in one call of onnxruntime. Larger batches are no faster and take more memory."""

MOST_NODES = 2000
"""The most nodes in a graph. gan-export writes up to 180."""

MOST_INPUTS = MOST_OUTPUTS = 8
"""A pocketgan model has at most two inputs and one output; `Generator` checks which."""

MOST_DERIVED_BYTES = 32 * 2**20
"""The most memory for tensors that depend on constants only: onnxruntime may compute them when it opens the file."""

LARGEST_FOLDED_BYTES = 16 * 2**20
"""The most memory for a tensor that onnxruntime computes once, when it opens the file, because it depends on constants only. From
version 1.27 on, it computes larger ones in each call."""

MOST_CALL_BYTES = 48 * 2**20
"""The most memory for one call of onnxruntime."""

MOST_DRAWING_BYTES = 112 * 2**20
"""The most memory for all simultaneous calls and the images that wait to be written. onnxruntime also keeps freed blocks: in the
worst graphs tried, memory in use reached twice this figure."""

MOST_PRODUCTS = 2**38
"""The most multiplications for BATCH_SIZE images: about a minute. The largest bundled model needs a hundredth of that."""

_SMALLEST_BATCH = 8


class Cost(NamedTuple):
    """An upper bound of the memory for one call of onnxruntime."""

    fixed_bytes: int
    """Whatever the number of images."""
    image_bytes: int
    """For each image, in addition."""


MOST_NUMPY_BYTES = 2**28
"""The most memory for one image that numpy draws."""

# Numbers of one byte become numbers of four, and there is a second copy of them, with zeros around an image.
_NUMPY_FACTOR = 2 * 4


def in_numpy(cost: Cost) -> Cost:
    """Return the cost of calls with numpy. Raises ModelError if one image needs more than MOST_NUMPY_BYTES."""
    fixed, image = (_NUMPY_FACTOR * size for size in cost)
    try:
        _refuse_above("bytes for one image in numpy", fixed + image, MOST_NUMPY_BYTES)
    except ValueError as error:
        raise ModelError(f"{error}: draw it with onnxruntime") from error
    return Cost(fixed, image)


class Batching(NamedTuple):
    """How images are divided among calls of onnxruntime."""

    threads: int
    """The number of threads, each of which makes one call at a time."""
    batch_size: int
    """The most images in a call."""


def check_graph(contents: bytes) -> Cost:
    """Return what drawing with a model file costs.

    Raises ModelError if gan-export could not have written the graph, or if it needs more than MOST_DERIVED_BYTES,
    MOST_PRODUCTS, or MOST_CALL_BYTES for one image.
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
    """Return how to draw within MOST_DRAWING_BYTES: with smaller batches and, if that is not enough, with fewer threads.

    `waiting_bytes` is the memory for an image that waits to be resized or written.
    """

    def batch_size(threads: int) -> int:
        # Images wait in the batches that `ordered_map` computes ahead, and in the one in use.
        bytes_per_image = threads * cost.image_bytes + 2 * (threads + 1) * waiting_bytes
        fits_drawing = (MOST_DRAWING_BYTES - threads * cost.fixed_bytes) // max(1, bytes_per_image)
        fits_call = (MOST_CALL_BYTES - cost.fixed_bytes) // max(1, cost.image_bytes)
        return min(BATCH_SIZE, fits_drawing, fits_call)

    candidates = range(min(most_threads, MOST_THREADS), 1, -1)
    threads = next((number for number in candidates if batch_size(number) >= _SMALLEST_BATCH), 1)
    return Batching(threads, max(1, batch_size(threads)))


def _drawing_bytes(graph: Graph, batch: int) -> int:
    """Return an upper bound of the bytes for a call with `batch` images. Raises ValueError for a graph that is not gan-export's.

    onnxruntime frees a tensor after its last use, but may reorder nodes that do not depend on each other. So this adds up all
    tensors between two bottlenecks of the graph. At a bottleneck, later nodes use only a single tensor: everything before it is
    computed and freed before anything after it starts.
    """
    if len(graph.nodes) > MOST_NODES:
        raise ValueError(f"it has {len(graph.nodes):,} nodes, expected at most {MOST_NODES:,}")
    if len(graph.inputs) > MOST_INPUTS or len(graph.outputs) > MOST_OUTPUTS:
        raise ValueError(
            f"it has {len(graph.inputs):,} inputs and {len(graph.outputs):,} outputs, expected at most {MOST_INPUTS} each"
        )
    if duplicates := graph.constants.keys() & graph.inputs.keys():
        raise ValueError(f"two of its tensors have the name {min(duplicates)!r}")
    inputs = {name: tensor._replace(shape=(batch, *tensor.shape[1:])) for name, tensor in graph.inputs.items()}
    tensors: dict[str, Tensor] = {**graph.constants, **inputs}
    last_use = {name: place for place, node in enumerate(graph.nodes) for name in node.inputs}
    last_use |= dict.fromkeys(graph.outputs, len(graph.nodes))  # outputs stay until the end
    in_use_until = {name: last_use.get(name, len(graph.nodes)) for name in inputs}
    derived = products = most = 0
    in_each_call: dict[str, int] = {}  # the bytes of constants that are not computed only once
    segment = sum(map(_memory, inputs.values()))
    for place, node in enumerate(graph.nodes):
        result, is_constant = _checked_result(node, tensors)
        (name,) = node.outputs
        tensor = tensors[name] = Tensor(result.shape, result.element_type, is_constant)
        size = _memory(tensor) + result.scratch * _BYTES_IN_USE[tensor.element_type]
        products += result.products
        _refuse_above(f"multiplications for {batch} images", products, MOST_PRODUCTS)
        if is_constant:
            derived += size
            _refuse_above("bytes of constants", derived, MOST_DERIVED_BYTES)
            # onnxruntime leaves DequantizeLinear, so that it can make integer kernels of it, and most operators cannot compute
            # half precision when it opens the file.
            is_half = FLOAT16 in {tensor.element_type, *(tensors[other].element_type for other in node.inputs)}
            is_left = node.operator == "DequantizeLinear" or is_half or size > LARGEST_FOLDED_BYTES
            if is_left or in_each_call.keys() & node.inputs:
                in_each_call[name] = size
            continue
        segment += size
        in_use_until[name] = last_use.get(name, len(graph.nodes))
        in_use_until = {other: last for other, last in in_use_until.items() if last > place}
        most = max(most, segment)
        if in_use_until.keys() == {name}:
            segment = _memory(tensor)
    _check_outputs(graph, tensors, batch)
    return most + sum(in_each_call.values())


def _checked_result(node: Node, tensors: Mapping[str, Tensor]) -> tuple[Result, bool]:
    """Return the result of a node, and whether it depends on constants only."""
    try:
        missing = [name for name in node.inputs if name not in tensors]
        if missing:
            raise ValueError(f"no node before it computes its input {missing[0]!r}")
        inputs = [tensors[name] for name in node.inputs]
        result = result_of(node, inputs)
        (name,) = node.outputs
        if not name or name in tensors:
            raise ValueError(f"an earlier tensor has the name {name!r} of its output" if name else "its output has no name")
    except ValueError as error:
        raise ValueError(f"gan-export would not write its node {node.name!r} ({node.operator!r}): {error}") from error
    return result, all(tensor.is_constant for tensor in inputs)


def _check_outputs(graph: Graph, tensors: Mapping[str, Tensor], batch: int) -> None:
    """Raise ValueError unless the nodes compute all outputs, with the shapes and types that the file declares."""
    for name, declared in graph.outputs.items():
        if name not in tensors:
            raise ValueError(f"no node computes its output {name!r}")
        computed, expected = tensors[name], (batch, *declared.shape[1:])
        if (computed.shape, computed.element_type) != (expected, declared.element_type):
            raise ValueError(
                f"its output {name!r} has the shape {list(computed.shape)} and type {computed.element_type} for {batch} images, "
                f"but declares {list(expected)} and {declared.element_type}"
            )


# onnxruntime's float convolutions pad the channels to a multiple of this.
_CHANNEL_BLOCK = 16
_IMAGE_AXES = 4
# The CPU has few kernels for half precision; for all other operators, onnxruntime converts to float32 and back.
_BYTES_IN_USE = {**ELEMENT_BYTES, FLOAT16: ELEMENT_BYTES[FLOAT16] + ELEMENT_BYTES[FLOAT]}


def _memory(tensor: Tensor) -> int:
    """Return the bytes that a tensor takes in memory."""
    shape = tensor.shape
    if tensor.element_type == FLOAT and len(shape) == _IMAGE_AXES:
        batch, channels, *size = shape
        shape = (batch, -(-channels // _CHANNEL_BLOCK) * _CHANNEL_BLOCK, *size)
    return prod(shape) * _BYTES_IN_USE[tensor.element_type]


def _refuse_above(what: str, found: int, most: int) -> None:
    if found > most:
        raise ValueError(f"it would need {found:,} {what}, expected at most {most:,}")
