"""The end of every graph: pixels become images, and fields are scanned first, as `networks.scan` does it, in integers.

The weights of all sizes of scans are computed from their sizes, which onnxruntime does once, when it opens the file.
Each of the four products is one of uint8 matrices between DequantizeLinear and QuantizeLinear nodes, which onnxruntime fuses into
one integer kernel on CPUs. The result of the second is stored in steps of 1 / 255**3 of full brightness, so whatever is above 0
becomes white, and all else black. onnxruntime computes products of two uint8 matrices with sums of 32 bits, so none saturates,
unlike those with int8 weights on some processors, see `weights.py`.
"""

import numpy as np
from onnx import TensorProto

from pocketgan_trainer.export.calibration import LATENT_QUANTIZATION, PIXEL_QUANTIZATION, Quantization
from pocketgan_trainer.export.graph_builder import GraphBuilder
from pocketgan_trainer.export.layers import Layer, Scanned
from pocketgan_trainer.export.placement import emit_placement
from pocketgan_trainer.networks.canvas import CANVAS_SIZES
from pocketgan_trainer.networks.scan import BOX_LEVEL, LARGEST_STRETCH, SCAN_SIZES, SIZE_BOUNDS, THRESHOLD_LEVEL, WHITE

SCAN = "scan"
"""The names of all nodes of a scan begin with it."""
_WEIGHT_QUANTIZATION = Quantization(scale=float(np.float32(1 / WHITE)), zero_point=0)
_INK_QUANTIZATION = Quantization(scale=PIXEL_QUANTIZATION.scale, zero_point=THRESHOLD_LEVEL)
_SCAN_QUANTIZATION = Quantization(scale=float(np.float32(1 / 255**3)), zero_point=0)
"""The products are whole multiples of 1 / 255**2, so the least one above 0 is stored as 255."""


def emit_images(graph: GraphBuilder, pixels: str, height: int, width: int, last: Layer) -> tuple[int, int]:
    """Emit the output `images` from `pixels` uint8 of height and width, scanned if the last layer says so; return its own."""
    if not isinstance(last, Scanned):
        graph.reshape("images", pixels, [-1, height, width])
        return height, width
    field = graph.reshape(f"{SCAN}.field", pixels, [-1, height, width])
    canvas_size = CANVAS_SIZES[last.image_size]
    emit_placement(graph, _scan(graph, field, last.field_size, canvas_size), canvas_size, last.image_size)
    return last.image_size, last.image_size


def _scan(graph: GraphBuilder, field: str, field_size: int, canvas_size: int) -> str:
    """Emit canvases uint8 [N, C, C] from fields uint8 [N, F, F]."""
    field = _stretched(graph, field, field_size)
    size = _chosen_size(graph)
    magnifying = _of_each_image(graph, _magnifying_table(graph, field_size), size)
    reducing = _of_each_image(graph, _reducing_table(graph, canvas_size), size)
    weights = _WEIGHT_QUANTIZATION
    magnified = _product(graph, "magnified", (magnifying[0], weights), (field, _INK_QUANTIZATION), _INK_QUANTIZATION)
    scan = _product(graph, "black_and_white", (magnified, _INK_QUANTIZATION), (magnifying[1], weights), _SCAN_QUANTIZATION)
    rows = _product(graph, "rows", (reducing[1], weights), (scan, PIXEL_QUANTIZATION), PIXEL_QUANTIZATION)
    return _product(graph, "canvas", (rows, PIXEL_QUANTIZATION), (reducing[0], weights), PIXEL_QUANTIZATION)


def _stretched(graph: GraphBuilder, field: str, points: int) -> str:
    """Emit fields uint8 [N, F, F] in which the box of the ink reaches two opposite sides, see `networks.scan`."""
    name = f"{SCAN}.stretched"
    numbers = np.arange(points, dtype=np.int32)
    zero, one, all_points, threshold, least_side = (
        _integer(graph, f"{name}.{part}", value)
        for part, value in (
            ("zero", 0),
            ("one", 1),
            ("points", points),
            ("threshold", THRESHOLD_LEVEL + BOX_LEVEL),
            ("least_side", points // LARGEST_STRETCH),
        )
    )
    rows = graph.reshape(f"{name}.rows", graph.node("ReduceMax", f"{name}.of_rows", field, axes=[2]), [-1, 1, points])
    columns = graph.node("ReduceMax", f"{name}.columns", field, axes=[1])
    largest = graph.node(
        "Cast", f"{name}.largest", graph.node("Concat", f"{name}.both", rows, columns, axis=1), to=TensorProto.INT32
    )
    with_ink = graph.node("Clip", f"{name}.with_ink", graph.node("Sub", f"{name}.levels", largest, threshold), zero, one)
    to_end, from_start = (
        graph.node("ReduceMax", f"{name}.{part}", graph.node("Mul", f"{name}.{part}.each", with_ink, distances), axes=[2])
        for part, distances in (
            ("to_end", graph.constant(f"{name}.to_end.numbers", points - numbers)),
            ("from_start", graph.constant(f"{name}.from_start.numbers", numbers + 1)),
        )
    )
    longer = graph.node("ReduceMax", f"{name}.longer", graph.node("Add", f"{name}.lengths", to_end, from_start), axes=[1])
    side = graph.node("Clip", f"{name}.side", graph.node("Sub", f"{name}.length", longer, all_points), least_side)
    beyond = graph.node("Clip", f"{name}.beyond", graph.node("Sub", f"{name}.missing", side, to_end), zero)
    from_begin = graph.node("Add", f"{name}.from_begin", to_end, beyond)  # the larger one of `side` and `to_end`
    sides = graph.reshape(f"{name}.sides", side, [-1, 1])
    steps = graph.node("Gather", f"{name}.steps", _steps(graph, f"{name}.steps", points), sides, axis=0)
    places = graph.node("Sub", f"{name}.places", steps, from_begin)  # [N, 2, F]
    row_length = graph.constant(f"{name}.row_length", np.array([[points], [1]], np.int32))
    in_memory = graph.node("Mul", f"{name}.in_memory", places, row_length)
    of_rows = graph.reshape(f"{name}.row_places", graph.slice(f"{name}.in_rows", in_memory, 0, 1, axis=1), [-1, points, 1])
    of_points = graph.node("Add", f"{name}.of_points", of_rows, graph.slice(f"{name}.in_columns", in_memory, 1, 2, axis=1))
    flat_places, flat = (graph.reshape(f"{name}.flat.{tensor}", tensor, [-1, points**2]) for tensor in (of_points, field))
    return graph.reshape(name, graph.node("GatherElements", f"{name}.flat", flat, flat_places, axis=1), [-1, points, points])


def _steps(graph: GraphBuilder, name: str, points: int) -> str:
    """Emit which row each row repeats if a box of each side up to `points` begins at row -points, int32 [points + 1, points]."""
    numbers = np.arange(points + 1, dtype=np.float32)
    sides, rows, divisor = (
        graph.constant(f"{name}.{part}", values)
        for part, values in (("of_sides", numbers[:, None]), ("of_rows", numbers[:-1]), ("divisor", numbers[-1]))
    )
    quotient = graph.node("Div", f"{name}.quotient", graph.node("Mul", f"{name}.dividend", sides, rows), divisor)
    whole = graph.node("Cast", f"{name}.whole", quotient, to=TensorProto.INT32)
    return graph.node("Add", f"{name}.table", whole, _integer(graph, f"{name}.points", points))


def _chosen_size(graph: GraphBuilder) -> str:
    """Emit the number of each image's size, int32 [N], which the first number of its latent chooses."""
    normal = graph.slice(f"{SCAN}.normal", "z", 0, 1, axis=1)
    stored = graph.quantize(f"{SCAN}.stored", graph.reshape(f"{SCAN}.number", normal, [-1]), LATENT_QUANTIZATION)
    latents = LATENT_QUANTIZATION.dequantize(np.arange(256, dtype=np.uint8))
    sizes = graph.constant(f"{SCAN}.sizes", np.searchsorted(SIZE_BOUNDS, latents, side="right").astype(np.uint8))
    place = graph.node("Cast", f"{SCAN}.place", stored, to=TensorProto.INT32)
    chosen = graph.node("Gather", f"{SCAN}.chosen", sizes, place, axis=0)
    return graph.node("Cast", f"{SCAN}.size", chosen, to=TensorProto.INT32)


def _magnifying_table(graph: GraphBuilder, points: int) -> str:
    """Emit `networks.scan.magnifying_table`, uint8 [K, M, points]."""
    name = f"{SCAN}.magnifying"
    from_edge = graph.node(
        "Sub", f"{name}.from_edge", _places(graph, f"{name}.place", points, 1), _integer(graph, f"{name}.half", WHITE // 2)
    )
    limits = (_integer(graph, f"{name}.first", 0), _integer(graph, f"{name}.last", WHITE * (points - 1)))
    middles = graph.node("Clip", f"{name}.middles", from_edge, *limits)
    distances = graph.node("Abs", f"{name}.distances", _from_points(graph, f"{name}.difference", middles, points))
    shares = graph.node("Sub", f"{name}.shares", _integer(graph, f"{name}.white", WHITE), distances)
    return graph.node("Cast", name, graph.node("Clip", f"{name}.clipped", shares, limits[0]), to=TensorProto.UINT8)


def _reducing_table(graph: GraphBuilder, points: int) -> str:
    """Emit `networks.scan.reducing_table`, uint8 [K, M, points]."""
    name = f"{SCAN}.reducing"
    zero, white, cut = (_integer(graph, f"{name}.{part}", value) for part, value in (("zero", 0), ("white", WHITE), ("cut", -1)))
    begins, ends = (
        _from_points(graph, f"{name}.{part}.difference", _places(graph, f"{name}.{part}", points, halves), points)
        for part, halves in (("begin", 0), ("end", 2))
    )
    before = graph.node("Abs", f"{name}.before", graph.node("Clip", f"{name}.begin.clipped", begins, cut, white))
    shares = graph.node("Sub", f"{name}.shares", graph.node("Clip", f"{name}.end.clipped", ends, zero, white), before)
    return graph.node("Cast", name, graph.node("Clip", f"{name}.clipped", shares, zero), to=TensorProto.UINT8)


def _places(graph: GraphBuilder, name: str, points: int, halves: int) -> str:
    """Emit where `halves` of a pixel's width after its start lies, int32 [K, M, 1], in 1 / WHITE of a point.

    Quotients of small whole numbers are far enough from the next whole number to be cut to the right one.
    """
    numbers = WHITE * points * (2 * np.arange(SCAN_SIZES[-1]) + halves)
    dividend = graph.constant(f"{name}.dividend", numbers.astype(np.float32)[None, :, None])
    divisor = graph.constant(f"{name}.divisor", 2 * np.array(SCAN_SIZES, np.float32)[:, None, None])
    return graph.node("Cast", name, graph.node("Div", f"{name}.quotient", dividend, divisor), to=TensorProto.INT32)


def _from_points(graph: GraphBuilder, name: str, places: str, points: int) -> str:
    """Emit how far places lie after each point, int32 [K, M, points]."""
    return graph.node("Sub", name, places, graph.constant(f"{name}.points", WHITE * np.arange(points, dtype=np.int32)))


def _integer(graph: GraphBuilder, name: str, value: int) -> str:
    return graph.constant(name, np.asarray(value, np.int32))


def _of_each_image(graph: GraphBuilder, table: str, size: str) -> tuple[str, str]:
    """Emit the weights of each image's size, and the same transposed."""
    transposed = graph.transpose(f"{table}.transposed", table, [0, 2, 1])
    of_images = graph.node("Gather", f"{table}.weights", table, size, axis=0)
    return of_images, graph.node("Gather", f"{table}.transposed_weights", transposed, size, axis=0)


def _product(
    graph: GraphBuilder, name: str, left: tuple[str, Quantization], right: tuple[str, Quantization], output: Quantization
) -> str:
    """Emit the product of two matrices for each image, stored as `output`."""
    numbers = [
        graph.dequantize(f"{SCAN}.{name}.{side}", tensor, quantization)
        for side, (tensor, quantization) in (("left", left), ("right", right))
    ]
    return graph.quantize(f"{SCAN}.{name}", graph.node("MatMul", f"{SCAN}.{name}.product", *numbers), output)
