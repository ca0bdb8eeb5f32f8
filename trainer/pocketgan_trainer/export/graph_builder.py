"""Builds one ONNX graph: nodes and constants whose names show which layer they belong to."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.calibration import Quantization

OPSET, IR_VERSION = 17, 8
"""Old enough for the versions of onnxruntime on boards that no longer get updates."""


class GraphBuilder:
    """Collects the parts of a graph. Each method adds nodes or constants and returns the name of the resulting tensor."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._quantizations: dict[Quantization, tuple[str, str]] = {}
        self._names: set[str] = set()

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        """Add a constant. Raises ExportError if the name is taken."""
        self._take(name)
        self._constants.append(numpy_helper.from_array(values, name))
        return name

    def node(self, operator: str, name: str, *inputs: str, **attributes: int | float | str | list[int]) -> str:
        """Add a node of the standard operator set with one output, called `name`; keywords are the node's attributes.

        Raises ExportError if the name is taken.
        """
        self._take(name)
        node = helper.make_node(operator, list(inputs), [name], name=f"{name}/{operator}")
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self._nodes.append(node)
        return name

    def reshape(self, name: str, tensor: str, shape: Sequence[int]) -> str:
        """Add a change of shape; -1 stands for the batch."""
        return self.node("Reshape", name, tensor, self.constant(f"{name}.shape", np.asarray(shape, dtype=np.int64)))

    def transpose(self, name: str, tensor: str, order: list[int]) -> str:
        """Add a permutation of the axes."""
        return self.node("Transpose", name, tensor, perm=order)

    def slice(self, name: str, tensor: str, start: int, end: int, axis: int) -> str:
        """Add a cut from `start` to before `end` along an axis."""
        limits = (("start", start), ("end", end), ("axis", axis))
        constants = [self.constant(f"{name}.{part}", np.asarray([value], dtype=np.int64)) for part, value in limits]
        return self.node("Slice", name, tensor, *constants)

    def quantize(self, name: str, tensor: str, quantization: Quantization) -> str:
        """Add the step from numbers to uint8."""
        return self.node("QuantizeLinear", name, tensor, *self._parameters(quantization))

    def dequantize(self, name: str, tensor: str, quantization: Quantization) -> str:
        """Add the step from uint8 to numbers."""
        return self.node("DequantizeLinear", name, tensor, *self._parameters(quantization))

    def product(self, name: str, left: tuple[str, Quantization], right: tuple[str, Quantization], output: Quantization) -> str:
        """Add the product of two matrices that are stored as uint8, or of two for each image, stored as `output`."""
        numbers = [
            self.dequantize(f"{name}.{side}", tensor, quantization)
            for side, (tensor, quantization) in (("left", left), ("right", right))
        ]
        return self.quantize(name, self.node("MatMul", f"{name}.product", *numbers), output)

    def dequantize_rows(self, name: str, integers: str, rows: int, scales: NDArray[np.float32]) -> str:
        """Add the step from integers [rows, ...] to numbers, in which row r has scale r modulo the number of scales.

        If there are fewer scales than rows, a Tile node repeats them, to keep the file small.
        """
        scale = self.constant(f"{name}.scale", scales)
        if rows > len(scales):
            repeats = self.constant(f"{name}.repeats", np.asarray([rows // len(scales)], dtype=np.int64))
            scale = self.node("Tile", f"{name}.scales", scale, repeats)
        # Without a zero point, ONNX uses 0.
        return self.node("DequantizeLinear", name, integers, scale, axis=0)

    def model(self, latent_size: int, height: int, width: int, takes_label: bool = False) -> onnx.ModelProto:
        """Return the model with input `z` float32 [N, latent_size] and output `images` uint8 [N, height, width], N at least 1.

        With `takes_label`, there is a second input, `label` int64 [N]. The nodes that read and write tensors of these names must
        have been added before.
        """
        inputs = [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", latent_size])]
        if takes_label:
            inputs.append(helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]))
        graph = helper.make_graph(
            self._nodes,
            "generator",
            inputs,
            [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", height, width])],
            self._constants,
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="pocketgan"
        )

    def _take(self, name: str) -> None:
        if name in self._names:
            raise ExportError(f"cannot export: two tensors would be called {name}; report this with the layers")
        self._names.add(name)

    def _parameters(self, quantization: Quantization) -> tuple[str, str]:
        """Return the names of a quantization's scale and zero point, which are added once."""
        if quantization not in self._quantizations:
            name = f"grid{len(self._quantizations)}"
            self._quantizations[quantization] = (
                self.constant(f"{name}.scale", np.asarray(quantization.scale, dtype=np.float32)),
                self.constant(f"{name}.zero_point", np.asarray(quantization.zero_point, dtype=np.uint8)),
            )
        return self._quantizations[quantization]
