"""What onnxruntime really runs: the graph that it makes of a file, with its kernels and their weights."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper

from pocketgan.card import KernelFacts
from pocketgan.errors import OutputError, first_line
from pocketgan_trainer.errors import ExportError

_CONVOLUTION = "QLinearConv"
_INTEGER_KERNELS = {_CONVOLUTION, "QGemm", "QLinearLeakyRelu", "QLinearSigmoid"}
# All that may stand beside them in an int8 model: moving pixels about, and storing the latent at the very beginning.
_MOVING = {"Reshape", "Transpose", "Slice", "Identity", "Gather", "Concat", "QuantizeLinear"}


def optimized(contents: bytes) -> onnx.ModelProto:
    """Return a model as onnxruntime runs it on this CPU, constants worked out.

    Raises ExportError if onnxruntime does not load the model, OutputError if there is no room for a temporary file.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "optimized.onnx"
            options = onnxruntime.SessionOptions()
            options.optimized_model_filepath = str(target)
            options.log_severity_level = 4
            try:
                onnxruntime.InferenceSession(contents, options, providers=["CPUExecutionProvider"])
            except Exception as error:  # onnxruntime's errors have no public root class
                raise ExportError(f"onnxruntime does not load the exported model: {first_line(error)}") from error
            return onnx.load(target)
    except OSError as error:
        raise OutputError(f"cannot write temporary files to {tempfile.gettempdir()}: {error.strerror}") from error


def count_kernels(model: onnx.ModelProto) -> KernelFacts:
    """Return the kernels of an optimized model."""
    operators = Counter(node.op_type for node in model.graph.node)
    integer = sum(count for operator, count in operators.items() if operator in _INTEGER_KERNELS)
    in_float = sorted(operator for operator in operators.elements() if operator not in _INTEGER_KERNELS | _MOVING)
    return KernelFacts(integer, tuple(in_float))


def convolution_weights(model: onnx.ModelProto) -> Iterator[tuple[str, NDArray[np.generic] | None]]:
    """Yield name and weights, [out, in, k, l], of each integer convolution of an optimized model, by the order of its nodes.

    The name is the node's; the weights are None where they are no constant.
    """
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == _CONVOLUTION:
            weights = tensors.get(node.input[3])
            yield node.name, None if weights is None else numpy_helper.to_array(weights)


def other_int8_constants(model: onnx.ModelProto) -> list[str]:
    """Return the names of an optimized model's int8 constants of two or more dimensions that no integer convolution has."""
    known = {node.input[3] for node in model.graph.node if node.op_type == _CONVOLUTION}
    tensors = (tensor for tensor in model.graph.initializer if tensor.name not in known)
    return [tensor.name for tensor in tensors if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1]
