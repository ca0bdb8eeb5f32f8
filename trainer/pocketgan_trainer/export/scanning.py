"""The end of every graph: pixels become images, and fields are scanned first, as `networks.scan` does it, in integers.

The weights of all sizes of scans are computed from their sizes, which onnxruntime does once, when it opens the file.
Each product is one of uint8 matrices between DequantizeLinear and QuantizeLinear nodes, which onnxruntime fuses into one integer
kernel on CPUs. Its sums have 32 bits there, so none saturates, unlike those with int8 weights on some processors, see
`weights.py`. On CUDA the same nodes multiply in floating point, even in TF32 without an error: the factors are whole numbers of
at most 8 bits, and sums stay below 2**24.
"""

import numpy as np
from onnx import TensorProto

from pocketgan_trainer.export.calibration import (
    LATENT_QUANTIZATION,
    PIXEL_QUANTIZATION,
    WEIGHTED_QUANTIZATION,
    WHOLE_QUANTIZATION,
    Quantization,
)
from pocketgan_trainer.export.graph_builder import GraphBuilder
from pocketgan_trainer.export.layers import Layer, Scanned
from pocketgan_trainer.export.placement import emit_placement
from pocketgan_trainer.networks.canvas import CANVAS_SIZES
from pocketgan_trainer.networks.scan import SCAN_SIZES, SIZE_BOUNDS, SIZE_LATENT, THRESHOLD_LEVEL, WHITE

SCAN = "scan"
"""The names of all nodes of a scan begin with it."""
FIELD = f"{SCAN}.field"
"""The tensor of the fields, uint8 [N, F, F]."""
SCAN_ROWS = 48
"""M, more than the largest size of a scan. onnxruntime multiplies matrices of whole blocks of 16 rows faster."""
_INK_QUANTIZATION = Quantization(scale=1, zero_point=THRESHOLD_LEVEL)
_WEIGHTED_INK_QUANTIZATION = Quantization(scale=WHITE, zero_point=THRESHOLD_LEVEL)


def emit_images(graph: GraphBuilder, pixels: str, height: int, width: int, last: Layer) -> tuple[int, int]:
    """Emit the output `images` from `pixels` uint8 of height and width, scanned if the last layer says so; return its own."""
    if not isinstance(last, Scanned):
        graph.reshape("images", pixels, [-1, height, width])
        return height, width
    field = graph.reshape(FIELD, pixels, [-1, height, width])
    canvas_size = CANVAS_SIZES[last.image_size]
    emit_placement(graph, _scan(graph, field, last.field_size, canvas_size), canvas_size, last.image_size)
    return last.image_size, last.image_size


def _scan(graph: GraphBuilder, field: str, field_size: int, canvas_size: int) -> str:
    """Emit canvases uint8 [N, C, C] from fields uint8 [N, F, F]."""
    magnifying = _magnifying_table(graph, field_size)
    size = _chosen_size(graph)
    left, right = (
        graph.node("Gather", f"{table}.of_images", table, size, axis=0)
        for table in (magnifying, graph.transpose(f"{magnifying}.transposed", magnifying, [0, 2, 1]))
    )
    surrounded = _surrounded(graph, field, field_size, left, right)
    magnified = graph.product(
        f"{SCAN}.magnified", (left, WHOLE_QUANTIZATION), (surrounded, _INK_QUANTIZATION), _WEIGHTED_INK_QUANTIZATION
    )
    # A sum of whole numbers that is above 0 is stored as white, all else as black.
    scan = graph.product(
        f"{SCAN}.black_and_white", (magnified, _INK_QUANTIZATION), (right, WHOLE_QUANTIZATION), PIXEL_QUANTIZATION
    )
    rows, columns = _box(graph, scan, canvas_size)
    turned = graph.transpose(f"{rows}.transposed", rows, [0, 2, 1])
    reduced = graph.product(f"{SCAN}.reduced", (turned, WHOLE_QUANTIZATION), (scan, WHOLE_QUANTIZATION), WEIGHTED_QUANTIZATION)
    return graph.product(f"{SCAN}.canvas", (reduced, WHOLE_QUANTIZATION), (columns, WHOLE_QUANTIZATION), WEIGHTED_QUANTIZATION)


def _surrounded(graph: GraphBuilder, field: str, field_size: int, left: str, right: str) -> str:
    """Emit fields with a column and a row of black behind the others, uint8 [N, F + 1, F + 1].

    Both come from the weights of the last row of scans, uint8 [N, M, F + 1] and [N, F + 1, M], which are 0, because no scan is
    that large: a constant would not have as many images.
    """
    name, last = f"{SCAN}.around", SCAN_ROWS - 1
    column = graph.slice(f"{name}.column", graph.slice(f"{name}.long", right, last, last + 1, axis=2), 0, field_size, axis=1)
    wide = graph.node("Concat", f"{name}.wide", field, column, axis=2)
    return graph.node("Concat", f"{name}.field", wide, graph.slice(f"{name}.row", left, last, last + 1, axis=1), axis=1)


def _box(graph: GraphBuilder, scan: str, canvas_size: int) -> tuple[str, str]:
    """Emit the weights that reduce the box of the ink of scans uint8 [N, M, M], uint8 [N, M, C] for rows and for columns.

    Unlike in `networks.scan`, weights outside the box may be above 0. There is no ink there.
    """
    name = f"{SCAN}.box"
    places = np.arange(SCAN_ROWS, dtype=np.int32)
    rows_of_size, least = (
        _integer(graph, f"{name}.{part}", value)
        for part, value in (("rows_of_size", SCAN_ROWS), ("least", SCAN_ROWS - 1 + canvas_size))
    )
    # Sums are faster than ReduceMax along columns, and CUDA has a kernel for them.
    ones = (graph.constant(f"{name}.ones", np.ones((1, 1, SCAN_ROWS), np.uint8)), WHOLE_QUANTIZATION)
    of_rows, of_columns = (
        graph.product(f"{name}.{axis}", ones, (turned, WHOLE_QUANTIZATION), PIXEL_QUANTIZATION)
        for axis, turned in (("rows", graph.transpose(f"{name}.turned", scan, [0, 2, 1])), ("columns", scan))
    )
    both = graph.node("Concat", f"{name}.both", of_rows, of_columns, axis=1)  # [N, 2, M]
    with_ink = graph.node("Sign", f"{name}.with_ink", graph.node("Cast", f"{name}.levels", both, to=TensorProto.INT32))
    to_end, from_start = (
        graph.node("ReduceMax", part, graph.node("Mul", f"{part}.each", with_ink, distances), axes=[2])  # [N, 2, 1]
        for part, distances in (
            (f"{name}.to_end", graph.constant(f"{name}.to_end.distances", SCAN_ROWS - 1 - places)),
            (f"{name}.from_start", graph.constant(f"{name}.from_start.distances", places + 1)),
        )
    )
    # M - 1 + the length of the ink along each axis; 0 without ink.
    lengths = graph.node("Add", f"{name}.lengths", to_end, from_start)
    longer = graph.node("Max", f"{name}.longer", graph.node("ReduceMax", f"{name}.larger", lengths, axes=[1]), least)
    halves = graph.constant(f"{name}.halves", np.arange(2 * SCAN_ROWS, dtype=np.int32) // 2)
    margin = graph.node("Gather", f"{name}.margin", halves, graph.node("Sub", f"{name}.missing", longer, lengths), axis=0)
    size = graph.node("Mul", f"{name}.first_of_size", graph.node("Sub", f"{name}.size", longer, least), rows_of_size)
    start = graph.node("Add", f"{name}.start", size, graph.node("Add", f"{name}.from_begin", to_end, margin))
    windows = _windows(graph, f"{name}.windows", _reducing_table(graph, canvas_size), canvas_size)
    rows, columns = (
        graph.node("Gather", f"{name}.weights_of_{axis}", windows, _of_axis(graph, start, number), axis=0)
        for number, axis in enumerate(("rows", "columns"))
    )
    return rows, columns


def _of_axis(graph: GraphBuilder, both: str, number: int) -> str:
    """Emit int32 [N] from [N, 2, 1]."""
    return graph.reshape(f"{both}.{number}.flat", graph.slice(f"{both}.{number}", both, number, number + 1, axis=1), [-1])


def _windows(graph: GraphBuilder, name: str, table: str, canvas_size: int) -> str:
    """Emit all windows of M rows of the tables [K, M, C] below each other: uint8 [K * M + M, M, C].

    M - 1 rows of 0 are above the tables, and M below. Copying one window for each image is much faster than gathering M rows.
    """
    tables = SCAN_SIZES[-1] - canvas_size + 1
    flat = graph.reshape(f"{name}.rows", table, [tables * SCAN_ROWS, canvas_size])
    pads = graph.constant(f"{name}.pads", np.array([SCAN_ROWS - 1, 0, SCAN_ROWS, 0], np.int64))
    padded = graph.node("Pad", f"{name}.padded", flat, pads)
    steps = graph.constant(f"{name}.steps", np.arange(SCAN_ROWS, dtype=np.int32))
    of_tables = graph.constant(f"{name}.first_of_tables", SCAN_ROWS * np.arange(tables + 1, dtype=np.int32)[:, None])
    of_rows = graph.node("Add", f"{name}.of_rows", of_tables, steps)
    firsts = graph.reshape(f"{name}.firsts", of_rows, [(tables + 1) * SCAN_ROWS, 1])
    return graph.node("Gather", name, padded, graph.node("Add", f"{name}.indices", firsts, steps), axis=0)


def _chosen_size(graph: GraphBuilder) -> str:
    """Emit the number of each image's size, int32 [N], which one number of its latent chooses."""
    normal = graph.slice(f"{SCAN}.normal", "z", SIZE_LATENT, SIZE_LATENT + 1, axis=1)
    stored = graph.quantize(f"{SCAN}.stored", graph.reshape(f"{SCAN}.number", normal, [-1]), LATENT_QUANTIZATION)
    latents = LATENT_QUANTIZATION.dequantize(np.arange(256, dtype=np.uint8))
    sizes = graph.constant(f"{SCAN}.sizes", np.searchsorted(SIZE_BOUNDS, latents, side="right").astype(np.uint8))
    place = graph.node("Cast", f"{SCAN}.place", stored, to=TensorProto.INT32)
    chosen = graph.node("Gather", f"{SCAN}.chosen", sizes, place, axis=0)
    return graph.node("Cast", f"{SCAN}.size", chosen, to=TensorProto.INT32)


def _magnifying_table(graph: GraphBuilder, points: int) -> str:
    """Emit `networks.scan.magnifying_table`, uint8 [K, M, points + 1]."""
    name = f"{SCAN}.magnifying"
    middles = graph.node(
        "Sub",
        f"{name}.middles",
        _places(graph, f"{name}.place", SCAN_SIZES, points, 1),
        _integer(graph, f"{name}.half", WHITE // 2),
    )
    zero, one = (_integer(graph, f"{name}.{part}", value) for part, value in (("zero", 0), ("one", 1)))
    nearest = graph.node("Clip", f"{name}.nearest", middles, zero, _integer(graph, f"{name}.last", WHITE * (points - 1)))
    around = graph.node("Abs", f"{name}.around", graph.node("Sub", f"{name}.beyond", middles, nearest))
    distances = graph.node("Abs", f"{name}.distances", _from_points(graph, f"{name}.difference", middles, points))
    shares = graph.node("Sub", f"{name}.shares", _integer(graph, f"{name}.white", WHITE), distances)
    sizes = graph.constant(f"{name}.sizes", np.array(SCAN_SIZES, np.int32)[:, None, None])
    rows = graph.constant(f"{name}.rows", np.arange(SCAN_ROWS, dtype=np.int32)[:, None])
    within = graph.node("Clip", f"{name}.within", graph.node("Sub", f"{name}.to_end", sizes, rows), zero, one)
    weights = graph.node("Concat", f"{name}.weights", graph.node("Clip", f"{name}.clipped", shares, zero), around, axis=2)
    return graph.node("Cast", name, graph.node("Mul", f"{name}.of_sizes", weights, within), to=TensorProto.UINT8)


def _reducing_table(graph: GraphBuilder, points: int) -> str:
    """Emit `networks.scan.reducing_table`, uint8 [K, M, points]."""
    name = f"{SCAN}.reducing"
    zero, white, cut = (_integer(graph, f"{name}.{part}", value) for part, value in (("zero", 0), ("white", WHITE), ("cut", -1)))
    sizes = range(points, SCAN_SIZES[-1] + 1)
    begins, ends = (
        _from_points(graph, f"{name}.{part}.difference", _places(graph, f"{name}.{part}", sizes, points, halves), points)
        for part, halves in (("begin", 0), ("end", 2))
    )
    before = graph.node("Abs", f"{name}.before", graph.node("Clip", f"{name}.begin.clipped", begins, cut, white))
    shares = graph.node("Sub", f"{name}.shares", graph.node("Clip", f"{name}.end.clipped", ends, zero, white), before)
    return graph.node("Cast", name, graph.node("Clip", f"{name}.clipped", shares, zero), to=TensorProto.UINT8)


def _places(graph: GraphBuilder, name: str, sizes: range, points: int, halves: int) -> str:
    """Emit where `halves` of a pixel's width after its start lies, int32 [K, M, 1], in 1 / WHITE of a point.

    Quotients of small whole numbers are far enough from the next whole number to be cut to the right one.
    """
    numbers = WHITE * points * (2 * np.arange(SCAN_ROWS) + halves)
    dividend = graph.constant(f"{name}.dividend", numbers.astype(np.float32)[None, :, None])
    divisor = graph.constant(f"{name}.divisor", 2 * np.array(sizes, np.float32)[:, None, None])
    return graph.node("Cast", name, graph.node("Div", f"{name}.quotient", dividend, divisor), to=TensorProto.INT32)


def _from_points(graph: GraphBuilder, name: str, places: str, points: int) -> str:
    """Emit how far places lie after each point, int32 [K, M, points]."""
    return graph.node("Sub", name, places, graph.constant(f"{name}.points", WHITE * np.arange(points, dtype=np.int32)))


def _integer(graph: GraphBuilder, name: str, value: int) -> str:
    return graph.constant(name, np.asarray(value, np.int32))
