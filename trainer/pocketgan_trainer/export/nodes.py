"""A notepad for one ONNX graph: nodes and constants, with names that tell where they belong."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.grids import Grid

OPSET, IR_VERSION = 17, 8
"""Old enough for onnxruntime on boards that are not updated any more."""


class GraphNotes:
    """Collects the parts of a graph; each method adds something and returns the name of the tensor that comes out."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._grids: dict[Grid, tuple[str, str]] = {}
        self._names: set[str] = set()

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        """Add a constant. Raises ExportError if the name is taken."""
        self._take(name)
        self._constants.append(numpy_helper.from_array(values, name))
        return name

    def node(self, operator: str, name: str, *inputs: str, **attributes: int | float | str | list[int]) -> str:
        """Add a node of the standard operator set with one output, which bears the node's name; keywords are its attributes.

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

    def store(self, name: str, tensor: str, grid: Grid) -> str:
        """Add the step from numbers to integers of `grid`."""
        return self.node("QuantizeLinear", name, tensor, *self._grid(grid))

    def load(self, name: str, tensor: str, grid: Grid) -> str:
        """Add the step from integers of `grid` to numbers."""
        return self.node("DequantizeLinear", name, tensor, *self._grid(grid))

    def load_weights(self, name: str, values: NDArray[np.generic], scales: NDArray[np.float32]) -> str:
        """Add constant integers as numbers, see `load_channels`."""
        return self.load_channels(name, self.constant(f"{name}.integers", values), len(values), scales)

    def load_channels(self, name: str, integers: str, entries: int, scales: NDArray[np.float32]) -> str:
        """Add the step from integers to numbers, of which entry r of the first axis has scale r modulo the number of scales.

        If there are more `entries` than scales, the repetition is left to whoever loads the model, to keep the file small.
        """
        scale = self.constant(f"{name}.scale", scales)
        if entries > len(scales):
            repeats = self.constant(f"{name}.repeats", np.asarray([entries // len(scales)], dtype=np.int64))
            scale = self.node("Tile", f"{name}.scales", scale, repeats)
        # Without a zero point: that is 0, as ONNX says.
        return self.node("DequantizeLinear", name, integers, scale, axis=0)

    def model(self, latent_size: int, height: int, width: int, takes_label: bool = False) -> onnx.ModelProto:
        """Return the model with input `z` float32 [N, latent_size] and output `images` uint8 [N, height, width], N at least 1.

        If it `takes_label`, there is the input `label` int64 [N] too. Nodes that use and make tensors of these names must have
        been added.
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

    def _grid(self, grid: Grid) -> tuple[str, str]:
        """Return the names of a grid's scale and zero point, which are added once."""
        if grid not in self._grids:
            name = f"grid{len(self._grids)}"
            self._grids[grid] = (
                self.constant(f"{name}.scale", np.asarray(grid.scale, dtype=np.float32)),
                self.constant(f"{name}.zero_point", np.asarray(grid.zero_point, dtype=np.uint8)),
            )
        return self._grids[grid]
