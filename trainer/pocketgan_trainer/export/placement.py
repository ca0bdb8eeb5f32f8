"""A placement in the graph: canvases are laid into images by their centre of mass, in integers.

A canvas is moved by d rows or columns, the number of whole k from 0 on for which the sum over its pixels p at place x of
p * (S - 1 - 2x - 2k) is above 0, see `networks.canvas`. So one integer product gives a number for each k and axis, its sign a 0
or a 1, and a second product of these with 1 and S the distance in memory by which the image is moved: no division, nothing that
rounds. A padded canvas holds all moved images, and GatherElements cuts the right one out.
"""

import numpy as np
from onnx import TensorProto

from pocketgan_trainer.export.graph_builder import GraphBuilder

PLACEMENT = "placement"
"""The names of all nodes of a placement begin with it."""


def emit_placement(graph: GraphBuilder, canvas: str, size: int, image_size: int) -> None:
    """Emit `images` uint8 [N, image_size, image_size] from canvases uint8 [N, size, size]."""
    reach = image_size - size
    rows, columns = (places.ravel() for places in np.indices((size, size)))
    twice_k = 2 * np.arange(reach)
    weights = np.concatenate([image_size - 1 - 2 * places[:, None] - twice_k for places in (columns, rows)], axis=1)
    flat = graph.reshape(f"{PLACEMENT}.pixels", canvas, [-1, size * size])
    sums = graph.node("MatMulInteger", f"{PLACEMENT}.sums", flat, graph.constant(f"{PLACEMENT}.weights", weights.astype(np.int8)))
    limits = (graph.constant(f"{PLACEMENT}.{name}", np.asarray(value, np.int32)) for name, value in (("least", 0), ("most", 1)))
    signs = graph.node("Clip", f"{PLACEMENT}.signs", sums, *limits)
    bits = graph.node("Cast", f"{PLACEMENT}.bits", signs, to=TensorProto.UINT8)
    # What is moved to the right and down is found as far to the left and up.
    steps = np.repeat([-1, -image_size], reach).astype(np.int8)[:, None]
    back = graph.node("MatMulInteger", f"{PLACEMENT}.back", bits, graph.constant(f"{PLACEMENT}.steps", steps))

    # Rows of the image's width: what is left of a canvas is the padding at the right of the row above.
    above = reach + 1
    pads = graph.constant(f"{PLACEMENT}.pads", np.asarray([0, above, 0, 0, reach, reach], np.int64))
    padded = graph.node("Pad", f"{PLACEMENT}.padded", canvas, pads)
    memory = graph.reshape(f"{PLACEMENT}.memory", padded, [-1, (above + size + reach) * image_size])
    first_of_rows, columns_of_image = (
        graph.constant(f"{PLACEMENT}.{name}", places.astype(np.int32))
        for name, places in (
            ("rows", image_size * (above + np.arange(image_size)[:, None])),
            ("columns", np.arange(image_size)),
        )
    )
    square = graph.node("Add", f"{PLACEMENT}.square", first_of_rows, columns_of_image)
    unmoved = graph.reshape(f"{PLACEMENT}.unmoved", square, [1, image_size * image_size])
    places = graph.node("Add", f"{PLACEMENT}.places", unmoved, back)
    moved = graph.node("GatherElements", f"{PLACEMENT}.moved", memory, places, axis=1)
    graph.reshape("images", moved, [-1, image_size, image_size])
