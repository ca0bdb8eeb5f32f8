"""A placement in the graph: canvases are laid into images by their centre of mass, in integers.

A canvas is moved by the number of whole k from 0 to S - C - 1 for which the sum over its pixels p at place x of
p * (S - 1 - 2x - 2k) is above 0, see `networks.canvas`. So one integer product gives a sum for each k and axis, whose sign is
stored as 0 or 255, and a second one the number of the pair of moves. No division is needed. A table has the place of each pixel
for each pair, and GatherElements takes the pixels from there. onnxruntime computes the table once, when it opens the file.
"""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from pocketgan_trainer.export.calibration import PIXEL_QUANTIZATION, WEIGHTED_QUANTIZATION, WHOLE_QUANTIZATION, Quantization
from pocketgan_trainer.export.graph_builder import GraphBuilder

PLACEMENT = "placement"
"""The names of all nodes of a placement begin with it."""
_SIGNED_QUANTIZATION = Quantization(scale=1, zero_point=128)
"""For whole numbers from -128 to 127."""


def emit_placement(graph: GraphBuilder, canvas: str, size: int, image_size: int) -> None:
    """Emit `images` uint8 [N, image_size, image_size] from canvases uint8 [N, size, size]."""
    most = image_size - size  # the largest move
    flat = graph.reshape(f"{PLACEMENT}.pixels", canvas, [-1, size * size])
    weights = _weights(graph, size, image_size, most)
    signs = graph.product(f"{PLACEMENT}.signs", (flat, WHOLE_QUANTIZATION), (weights, _SIGNED_QUANTIZATION), PIXEL_QUANTIZATION)
    # The number of a pair of moves, for columns and for rows.
    steps = graph.constant(f"{PLACEMENT}.steps", np.repeat([1, most + 1], most).astype(np.uint8)[:, None])
    pair = graph.product(f"{PLACEMENT}.pair", (signs, WHOLE_QUANTIZATION), (steps, WHOLE_QUANTIZATION), WEIGHTED_QUANTIZATION)
    number = graph.reshape(f"{PLACEMENT}.number", graph.node("Cast", f"{PLACEMENT}.pairs", pair, to=TensorProto.INT32), [-1])

    # A pixel outside the canvas is taken from one that is appended to it, which is black.
    black = graph.constant(f"{PLACEMENT}.black", np.zeros(((most + 1) ** 2, 1), np.uint8))
    appended = graph.node("Gather", f"{PLACEMENT}.appended", black, number, axis=0)
    extended = graph.node("Concat", f"{PLACEMENT}.extended", flat, appended, axis=1)
    places = graph.node("Gather", f"{PLACEMENT}.places", _places(graph, size, image_size, most), number, axis=0)
    moved = graph.node("GatherElements", f"{PLACEMENT}.moved", extended, places, axis=1)
    graph.reshape("images", moved, [-1, image_size, image_size])


def _places(graph: GraphBuilder, size: int, image_size: int, most: int) -> str:
    """Emit where in a canvas the pixels of an image are, int32 [pairs, image_size ** 2]: size ** 2 for those outside."""
    outside = size * size
    moved = np.arange(image_size) - np.arange(most + 1)[:, None]
    moved = np.where((moved >= 0) & (moved < size), moved, outside)
    columns = _integers(graph, "columns", moved[None, :, None])
    row = _integers(graph, "row", np.asarray(size))
    turned = graph.reshape(f"{PLACEMENT}.turned", columns, [most + 1, 1, image_size, 1])
    rows = graph.node("Mul", f"{PLACEMENT}.rows", turned, row)
    sums = graph.node("Add", f"{PLACEMENT}.of_pairs", rows, columns)
    limits = (_integers(graph, name, np.asarray(value)) for name, value in (("first", 0), ("outside", outside)))
    clipped = graph.node("Clip", f"{PLACEMENT}.clipped", sums, *limits)
    return graph.reshape(f"{PLACEMENT}.flat", clipped, [(most + 1) ** 2, image_size * image_size])


def _weights(graph: GraphBuilder, size: int, image_size: int, moves: int) -> str:
    """Emit the weights of the sums, uint8 [size * size, 2 * moves], first those for columns."""
    numbers = _integers(graph, "numbers", image_size - 1 - 2 * np.arange(moves) + _SIGNED_QUANTIZATION.zero_point)
    of_places = graph.node("Sub", f"{PLACEMENT}.of_places", numbers, _integers(graph, "twice", 2 * np.arange(size)[:, None]))
    by_rows = graph.reshape(f"{PLACEMENT}.by_rows", of_places, [size, 1, moves])
    zeros = _integers(graph, "zeros", np.zeros((size, 1), np.int32))
    for_rows = graph.node("Add", f"{PLACEMENT}.for_rows", by_rows, zeros)
    for_columns = graph.node(
        "Add", f"{PLACEMENT}.for_columns", of_places, graph.reshape(f"{PLACEMENT}.flat_zeros", zeros, [size, 1, 1])
    )
    both = graph.node("Concat", f"{PLACEMENT}.both", for_columns, for_rows, axis=2)
    flat = graph.reshape(f"{PLACEMENT}.of_pixels", both, [size * size, 2 * moves])
    return graph.node("Cast", f"{PLACEMENT}.weights", flat, to=TensorProto.UINT8)


def _integers(graph: GraphBuilder, name: str, values: NDArray[np.integer]) -> str:
    return graph.constant(f"{PLACEMENT}.{name}", values.astype(np.int32))
