"""The end of every graph: pixels become images, and fields are scanned first, as `networks.scan` does it, in integers.

Each of the four products is one of uint8 matrices between DequantizeLinear and QuantizeLinear nodes, which onnxruntime fuses into
one integer kernel on CPUs. The result of the second is stored in steps of 1 / 255**3 of full brightness, so whatever is above 0
becomes white, and all else black. onnxruntime computes products of two uint8 matrices with sums of 32 bits, so none saturates,
unlike those with int8 weights on some processors, see `weights.py`.
"""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from pocketgan_trainer.export.calibration import LATENT_QUANTIZATION, PIXEL_QUANTIZATION, Quantization
from pocketgan_trainer.export.graph_builder import GraphBuilder
from pocketgan_trainer.export.layers import Layer, Scanned
from pocketgan_trainer.export.placement import emit_placement
from pocketgan_trainer.networks.canvas import CANVAS_SIZES
from pocketgan_trainer.networks.scan import SIZE_BOUNDS, THRESHOLD_LEVEL, WHITE, magnifying_table, reducing_table

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
    emit_placement(graph, _scan(graph, field, canvas_size), canvas_size, last.image_size)
    return last.image_size, last.image_size


def _scan(graph: GraphBuilder, field: str, canvas_size: int) -> str:
    """Emit canvases uint8 [N, canvas_size, canvas_size] from fields uint8 [N, F, F]."""
    size = _chosen_size(graph)
    magnifying = _tables(graph, "magnifying", magnifying_table(canvas_size), size)
    reducing = _tables(graph, "reducing", reducing_table(canvas_size), size)
    weights = _WEIGHT_QUANTIZATION
    magnified = _product(graph, "magnified", (magnifying[0], weights), (field, _INK_QUANTIZATION), _INK_QUANTIZATION)
    scan = _product(graph, "black_and_white", (magnified, _INK_QUANTIZATION), (magnifying[1], weights), _SCAN_QUANTIZATION)
    rows = _product(graph, "rows", (reducing[0], weights), (scan, PIXEL_QUANTIZATION), PIXEL_QUANTIZATION)
    return _product(graph, "canvas", (rows, PIXEL_QUANTIZATION), (reducing[1], weights), PIXEL_QUANTIZATION)


def _chosen_size(graph: GraphBuilder) -> str:
    """Emit the number of each image's size, int32 [N], which the first number of its latent chooses."""
    normal = graph.slice(f"{SCAN}.normal", "z", 0, 1, axis=1)
    stored = graph.quantize(f"{SCAN}.stored", graph.reshape(f"{SCAN}.number", normal, [-1]), LATENT_QUANTIZATION)
    latents = LATENT_QUANTIZATION.dequantize(np.arange(256, dtype=np.uint8))
    sizes = graph.constant(f"{SCAN}.sizes", np.searchsorted(SIZE_BOUNDS, latents, side="right").astype(np.int32))
    return graph.node("Gather", f"{SCAN}.size", sizes, graph.node("Cast", f"{SCAN}.place", stored, to=TensorProto.INT32), axis=0)


def _tables(graph: GraphBuilder, name: str, table: NDArray[np.uint8], size: str) -> tuple[str, str]:
    """Emit the weights of each image's size, and the same transposed."""
    of_all = graph.constant(f"{SCAN}.{name}", table)
    transposed = graph.transpose(f"{SCAN}.{name}.transposed", of_all, [0, 2, 1])
    of_images = graph.node("Gather", f"{SCAN}.{name}.weights", of_all, size, axis=0)
    return of_images, graph.node("Gather", f"{SCAN}.{name}.transposed_weights", transposed, size, axis=0)


def _product(
    graph: GraphBuilder, name: str, left: tuple[str, Quantization], right: tuple[str, Quantization], output: Quantization
) -> str:
    """Emit the product of two matrices for each image, stored as `output`."""
    numbers = [
        graph.dequantize(f"{SCAN}.{name}.{side}", tensor, quantization)
        for side, (tensor, quantization) in (("left", left), ("right", right))
    ]
    return graph.quantize(f"{SCAN}.{name}", graph.node("MatMul", f"{SCAN}.{name}.product", *numbers), output)
