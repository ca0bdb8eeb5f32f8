"""What a model's graph may ask of the machine: checked before onnxruntime sees it, by working out the size of every tensor.

A file of a hundred bytes can ask for gigabytes, when it is opened (constants that are folded) or when it draws. onnxruntime has
no limit of its own that would hold for all of that.
"""

from math import prod

from pocketgan.errors import ModelError
from pocketgan.graph_file import ELEMENT_BYTES, FLOAT, Graph, Tensor, read_graph
from pocketgan.graph_shapes import result_of

IMAGES_AT_ONCE = 64
"""Images in one call of onnxruntime: what is worked out are the sizes for so many."""

MOST_NODES = 2000
"""gan-export writes about fifty."""

MOST_INPUTS = MOST_OUTPUTS = 8
"""A pocketgan model has two inputs at most, and one output; what is wrong about them is told by their names."""

MOST_DERIVED_BYTES = 8 * 2**20
MOST_DRAWING_BYTES = 128 * 2**20
BYTES_FOR_EACH_IN_THE_FILE = 16
"""A large model may ask for more, in proportion to its weights."""

MOST_PRODUCTS = 2**38
"""Multiplications for IMAGES_AT_ONCE images: about a minute. The largest bundled model needs a hundredth."""

# onnxruntime's convolutions of floats fill channels up to such a number.
_CHANNELS_AT_ONCE = 16
_IMAGE_AXES = 4


def check_graph(contents: bytes) -> None:
    """Raise ModelError unless a file's graph is one that gan-export could have written, and asks for a bearable amount of memory.

    Of the tensors that follow from constants alone, and may be computed when the file is opened, all may take MOST_DERIVED_BYTES
    together. All others and the scratch memory of convolutions may take MOST_DRAWING_BYTES together, although onnxruntime frees
    each when it is done with. Both are more for larger files.
    """
    try:
        _check(read_graph(contents, IMAGES_AT_ONCE), BYTES_FOR_EACH_IN_THE_FILE * len(contents))
    except ValueError as error:
        raise ModelError(f"{error}: export the model again, or upgrade pocketgan") from error


def _check(graph: Graph, more_bytes: int) -> None:
    if len(graph.nodes) > MOST_NODES:
        raise ValueError(f"it has {len(graph.nodes):,} nodes, expected at most {MOST_NODES:,}")
    if len(graph.inputs) > MOST_INPUTS or len(graph.outputs) > MOST_OUTPUTS:
        raise ValueError(f"it has {len(graph.inputs):,} inputs and {len(graph.outputs):,} outputs, expected at most two and one")
    tensors = dict(graph.tensors)
    derived = drawing = products = 0
    for node in graph.nodes:
        try:
            missing = [name for name in node.inputs if name not in tensors]
            if missing:
                raise ValueError(f"nothing before it makes its input {missing[0]!r}")
            inputs = [tensors[name] for name in node.inputs]
            result = result_of(node, inputs)
            (name,) = node.outputs
            if name in tensors:
                raise ValueError(f"there is a tensor {name!r} before it")
        except ValueError as error:
            raise ValueError(f"its node {node.name!r} ({node.operator!r}) is not as gan-export writes it: {error}") from error
        is_constant = all(tensor.is_constant for tensor in inputs)
        tensor = Tensor(result.shape, result.element_type, is_constant)
        size = _memory(tensor) + result.scratch * ELEMENT_BYTES[tensor.element_type]
        derived, drawing = (derived + size, drawing) if is_constant else (derived, drawing + size)
        products += result.products
        _refuse_above("bytes of constants", derived, MOST_DERIVED_BYTES + more_bytes)
        _refuse_above(f"bytes for {IMAGES_AT_ONCE} images", drawing, MOST_DRAWING_BYTES + more_bytes)
        _refuse_above(f"multiplications for {IMAGES_AT_ONCE} images", products, MOST_PRODUCTS)
        tensors[name] = tensor
    for name in graph.outputs:
        if name not in tensors:
            raise ValueError(f"nothing makes its output {name!r}")


def _memory(tensor: Tensor) -> int:
    """Return how many bytes a tensor takes in memory."""
    shape = tensor.shape
    if tensor.element_type == FLOAT and len(shape) == _IMAGE_AXES:
        batch, channels, *size = shape
        shape = (batch, -(-channels // _CHANNELS_AT_ONCE) * _CHANNELS_AT_ONCE, *size)
    return prod(shape) * ELEMENT_BYTES[tensor.element_type]


def _refuse_above(what: str, found: int, most: int) -> None:
    if found > most:
        raise ValueError(f"it would need {found:,} {what}, expected at most {most:,}")
