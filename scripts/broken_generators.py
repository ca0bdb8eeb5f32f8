"""Tiny generators for tests/runtime/models that each break the contract of a pocketgan model in one way."""

import numpy as np
import onnx
from onnx import helper, numpy_helper
from tiny_generators import SIDE, tiny_graph, with_nodes


def fixed_batch_graph() -> onnx.GraphProto:
    """Return the tiny generator for exactly one image per call."""
    graph = tiny_graph()
    for tensor in (*graph.input, *graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_value = 1
    return graph


def float_output_graph() -> onnx.GraphProto:
    """Return a generator with float images."""
    graph = with_nodes([helper.make_node("Cast", ["whole"], ["images"], to=onnx.TensorProto.FLOAT)], {}, "whole")
    graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return graph


def constant_bomb_graph() -> onnx.GraphProto:
    """Return a generator that adds 512 MB of constant zeros to its pixels; eight bytes of the file request them."""
    nodes = [
        helper.make_node("ConstantOfShape", ["many"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["nothing"], keepdims=0),
        helper.make_node("Cast", ["nothing"], ["nothing_whole"], to=onnx.TensorProto.UINT8),
        helper.make_node("Max", ["whole", "nothing_whole"], ["images"]),
    ]
    return with_nodes(nodes, {"many": np.array([128 * 2**20], dtype=np.int64)}, "whole")


def fails_when_drawing_graph() -> onnx.GraphProto:
    """Return a generator that reads column 1000 of images with eight columns, which fails only when it runs."""
    columns = np.array([*range(SIDE - 1), 1000])
    return with_nodes([helper.make_node("Gather", ["whole", "columns"], ["images"], axis=2)], {"columns": columns}, "whole")


def draws_twice_as_many_graph() -> onnx.GraphProto:
    """Return a generator that draws each image twice."""
    return with_nodes([helper.make_node("Concat", ["whole", "whole"], ["images"], axis=0)], {}, "whole")


def external(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """Return the tensor with its data in the file weights.bin, which does not exist."""
    moved = onnx.TensorProto()
    moved.CopyFrom(tensor)
    moved.ClearField("raw_data")
    moved.data_location = onnx.TensorProto.EXTERNAL
    entry = moved.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    return moved


def external_initializer_graph() -> onnx.GraphProto:
    """Return a generator whose weights are in another file."""
    graph = tiny_graph()
    graph.initializer[0].CopyFrom(external(graph.initializer[0]))
    return graph


def external_subgraph_graph() -> onnx.GraphProto:
    """Return a generator with a branch that reads another file."""
    value = helper.make_tensor_value_info("value", onnx.TensorProto.FLOAT, [1])
    secret = external(numpy_helper.from_array(np.zeros(1, dtype=np.float32), "secret"))
    branch = helper.make_graph([helper.make_node("Identity", ["secret"], ["value"])], "branch", [], [value], [secret])
    node = helper.make_node("If", ["yes"], ["unused"], then_branch=branch, else_branch=branch)
    return with_nodes([node, helper.make_node("Identity", ["whole"], ["images"])], {"yes": np.array(True)}, "whole")


def external_attribute_graph() -> onnx.GraphProto:
    """Return a generator with a Constant node that reads another file."""
    secret = external(numpy_helper.from_array(np.zeros(1, dtype=np.float32), "secret"))
    node = helper.make_node("Constant", [], ["unused"], value=secret)
    return with_nodes([node, helper.make_node("Identity", ["whole"], ["images"])], {}, "whole")


def function_with_external_default() -> onnx.FunctionProto:
    """Return a function with an attribute whose default value is in another file."""
    constant = helper.make_node("Constant", [], ["y"])
    constant.attribute.add(name="value", ref_attr_name="secret", type=onnx.AttributeProto.TENSOR)
    function = helper.make_function("test", "Read", [], ["y"], [constant], [helper.make_opsetid("", 17)])
    secret = external(numpy_helper.from_array(np.zeros(1, dtype=np.float32), "secret"))
    function.attribute_proto.add(name="secret", type=onnx.AttributeProto.TENSOR, t=secret)
    return function
