"""Files in floating point use no operator for which onnxruntime has no kernel on CUDA, as far as its documentation says.

A session on CUDA is opened without a way back to the CPU, so a single such operator would make it fail.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import onnx
import onnxruntime
import pytest
from lively_generators import POCKET_LATENT_SIZE, lively_canvas, lively_generator, lively_pocket
from onnx import TensorProto
from torch import nn

from pocketgan_trainer.export.exporter import build_graph
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.graph_builder import OPSET
from pocketgan_trainer.networks.canvas_networks import CanvasWidth

FLOAT, FLOAT16, INT32, UINT8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32, TensorProto.UINT8
ANY = {FLOAT, FLOAT16, INT32, UINT8}
# Types of the first input in this operator set, those that occur here only: onnxruntime, docs/OperatorKernels.md, 2026.
KERNELS = {
    "Add": {FLOAT, INT32},
    "Cast": ANY,
    "Clip": {FLOAT},
    "Concat": ANY,
    "Conv": {FLOAT},
    "ConvTranspose": {FLOAT},
    "DepthToSpace": {FLOAT},
    "DequantizeLinear": {UINT8},
    "Gather": ANY,
    "GatherElements": ANY,
    "Gemm": {FLOAT},
    "LeakyRelu": {FLOAT},
    "MatMul": {FLOAT},
    "Max": {FLOAT, INT32},
    "Mul": {FLOAT, INT32},
    "QuantizeLinear": {FLOAT},
    "ReduceMax": {FLOAT, INT32},
    "Relu": {FLOAT},
    "Reshape": ANY,
    "Round": {FLOAT},
    "Sign": {FLOAT, INT32},
    "Slice": ANY,
    "Sub": {FLOAT, INT32},
    "Tanh": {FLOAT},
    "Transpose": ANY,
}

GENERATORS: Mapping[str, tuple[Callable[[], nn.Module], int]] = {
    "canvas": (lambda: lively_canvas(6, CanvasWidth(8, 6, 4, noise=2)), 6 + 25 * 2),
    "pocket": (lively_pocket, POCKET_LATENT_SIZE),
    "dcgan": (lambda: lively_generator("narrow-dcgan"), 100),
    "mlp": (lambda: lively_generator("mlp"), 100),
}


def with_constants_computed(contents: bytes, folder: Path) -> onnx.ModelProto:
    """Return a model as onnxruntime has it before it assigns operators to a provider."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folder / "basic.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(contents, options, providers=["CPUExecutionProvider"])
    return onnx.shape_inference.infer_shapes(onnx.load(folder / "basic.onnx"))


# In half precision the CPU, where constants are computed here, has no LeakyReLU and no tanh, and gets others in their place.
@pytest.mark.parametrize(
    ("name", "precision"), [*((name, "fp32") for name in GENERATORS), *((name, "fp16") for name in ("canvas", "pocket"))]
)
def test_cuda_has_a_kernel_for_each_operator(tmp_path: Path, name: str, precision: str) -> None:
    make, latent_size = GENERATORS[name]
    model = with_constants_computed(build_graph(fold(make()), latent_size, precision).SerializeToString(), tmp_path)
    assert model.opset_import[0].version == OPSET == 17
    tensors = [*model.graph.value_info, *model.graph.input]
    types = {tensor.name: tensor.type.tensor_type.elem_type for tensor in tensors}
    types |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for node in model.graph.node:
        assert types[node.input[0]] in KERNELS.get(node.op_type, set()), node.name
