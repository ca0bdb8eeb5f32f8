"""A placement in the graph: canvases are laid into images by their centre of mass, in integers.

A canvas is moved by the number of whole k from 0 to S - C - 1 for which the sum over its pixels p at place x of
p * (S - 1 - 2x - 2k) is above 0, see `networks.canvas`. So one integer product gives a number for each k and axis, its sign a 0
or a 1, and a second product of these with 1 and the width of a row the distance in memory by which the image is moved: no
division, nothing that rounds. A padded canvas holds all moved images, and GatherElements cuts the right one out. onnxruntime
computes what depends on nothing but sizes once, when it opens the file.
"""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from pocketgan_trainer.export.graph_builder import GraphBuilder

PLACEMENT = "placement"
"""The names of all nodes of a placement begin with it."""


def emit_placement(graph: GraphBuilder, canvas: str, size: int, image_size: int) -> None:
    """Emit `images` uint8 [N, image_size, image_size] from canvases uint8 [N, size, size]."""
    most = image_size - size  # the largest move
    flat = graph.reshape(f"{PLACEMENT}.pixels", canvas, [-1, size * size])
    sums = graph.node("MatMulInteger", f"{PLACEMENT}.sums", flat, _weights(graph, size, image_size, most))
    limits = (graph.constant(f"{PLACEMENT}.{name}", np.asarray(value, np.int32)) for name, value in (("least", 0), ("most", 1)))
    signs = graph.node("Clip", f"{PLACEMENT}.signs", sums, *limits)
    bits = graph.node("Cast", f"{PLACEMENT}.bits", signs, to=TensorProto.UINT8)
    # A row of the padded canvas: what is left of a canvas is the padding at the right of the row above.
    row = size + most
    # What is moved to the right and down is found as far to the left and up.
    steps = np.repeat([-1, -row], most).astype(np.int8)[:, None]
    back = graph.node("MatMulInteger", f"{PLACEMENT}.back", bits, graph.constant(f"{PLACEMENT}.steps", steps))

    above = most + 1
    pads = graph.constant(f"{PLACEMENT}.pads", np.asarray([0, above, 0, 0, most, most], np.int64))
    padded = graph.node("Pad", f"{PLACEMENT}.padded", canvas, pads)
    memory = graph.reshape(f"{PLACEMENT}.memory", padded, [-1, (above + size + most) * row])
    first = _integers(graph, "first_of_rows", row * (above + np.arange(image_size)[:, None]))
    columns = _integers(graph, "columns", np.arange(image_size))
    square = graph.node("Add", f"{PLACEMENT}.square", first, columns)
    unmoved = graph.reshape(f"{PLACEMENT}.unmoved", square, [1, image_size * image_size])
    places = graph.node("Add", f"{PLACEMENT}.places", unmoved, back)
    moved = graph.node("GatherElements", f"{PLACEMENT}.moved", memory, places, axis=1)
    graph.reshape("images", moved, [-1, image_size, image_size])


def _weights(graph: GraphBuilder, size: int, image_size: int, moves: int) -> str:
    """Emit the weights of the sums: int8 [size * size, 2 * moves], first those for columns."""
    numbers = _integers(graph, "numbers", image_size - 1 - 2 * np.arange(moves))
    of_places = graph.node("Sub", f"{PLACEMENT}.of_places", numbers, _integers(graph, "twice", 2 * np.arange(size)[:, None]))
    by_rows = graph.reshape(f"{PLACEMENT}.by_rows", of_places, [size, 1, moves])
    zeros = _integers(graph, "zeros", np.zeros((size, 1), np.int32))
    for_rows = graph.node("Add", f"{PLACEMENT}.for_rows", by_rows, zeros)
    for_columns = graph.node(
        "Add", f"{PLACEMENT}.for_columns", of_places, graph.reshape(f"{PLACEMENT}.flat_zeros", zeros, [size, 1, 1])
    )
    both = graph.node("Concat", f"{PLACEMENT}.both", for_columns, for_rows, axis=2)
    flat = graph.reshape(f"{PLACEMENT}.of_pixels", both, [size * size, 2 * moves])
    return graph.node("Cast", f"{PLACEMENT}.weights", flat, to=TensorProto.INT8)


def _integers(graph: GraphBuilder, name: str, values: NDArray[np.integer]) -> str:
    return graph.constant(f"{PLACEMENT}.{name}", values.astype(np.int32))
