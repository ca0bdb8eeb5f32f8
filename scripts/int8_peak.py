"""Counts the multiply-adds of a generator, and runs a large integer convolution to measure this processor's peak."""

from collections.abc import Callable

import numpy as np
import onnx
from cpu_session import cpu_session

from pocketgan_trainer.export.calibration import Quantization
from pocketgan_trainer.export.graph_builder import GraphBuilder

_CHANNELS, _SIZE = 256, 28
PEAK_MULTIPLY_ADDS = _CHANNELS * _CHANNELS * 9 * _SIZE * _SIZE
"""The multiply-adds of one run of `large_convolution`."""


def large_convolution(threads: int) -> Callable[[], object]:
    """Return a function that runs one integer convolution, so large that it does little other than multiply."""
    random, graph, quantization = np.random.default_rng(0), GraphBuilder(), Quantization(0.05, 128)
    weight = random.integers(-63, 64, size=(_CHANNELS, _CHANNELS, 3, 3)).astype(np.int8)
    scales = np.full(_CHANNELS, 1e-3, np.float32)
    # Channels last outside, as in the exporter's convolutions, so that the kernel's own transposes cancel.
    pixels = graph.reshape("pixels", graph.quantize("stored", "z", quantization), [-1, _SIZE, _SIZE, _CHANNELS])
    image = graph.dequantize("image", graph.transpose("first", pixels, [0, 3, 1, 2]), quantization)
    product = graph.node(
        "Conv",
        "product",
        image,
        graph.dequantize_rows("weight", graph.constant("weight.integers", weight), _CHANNELS, scales),
        pads=[1, 1, 1, 1],
    )
    last = graph.transpose("last", graph.quantize("result", product, quantization), [0, 2, 3, 1])
    graph.reshape("images", last, [-1, _SIZE, _SIZE * _CHANNELS])
    numbers = _SIZE * _SIZE * _CHANNELS
    session = cpu_session(graph.model(numbers, _SIZE, _SIZE * _CHANNELS).SerializeToString(), threads)
    inputs = {"z": random.normal(size=(1, numbers)).astype(np.float32)}
    return lambda: session.run(["images"], inputs)


def multiply_adds(model: onnx.ModelProto) -> int:
    """Return the multiply-adds for one image of a float model's layers with weights, and of the products of its scan."""
    inferred = onnx.shape_inference.infer_shapes(model)
    shapes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim] for value in inferred.graph.value_info
    }
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type in ("Gemm", "Conv", "ConvTranspose"):
            # A transposed convolution does all its products for each input pixel, the others for each output pixel.
            places = shapes[node.input[0] if node.op_type == "ConvTranspose" else node.output[0]][2:]
            total += int(np.prod(weights[node.input[1]])) * int(np.prod(places))
        elif node.op_type == "MatMul":
            total += shapes[node.input[0]][-1] * int(np.prod(shapes[node.output[0]][1:]))
    return total
