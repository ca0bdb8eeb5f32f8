"""Write the ONNX files that tests/runtime works with: tests/runtime/models/*.onnx, a few kilobytes each.

Two are tiny generators that obey the contract of a pocketgan model (tiny.onnx and, with classes, tiny_conditional.onnx), one is
the same in float; all the others break the contract, each in the one way that its name says. Their weights come from a formula:
a run writes the same bytes again (these are from onnx 1.23). The tests hold digests of the pixels: whoever changes a generator
here must change them there.

Needs the onnx package, which the tests themselves do not:

    .venv/bin/python scripts/make_test_models.py
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from pocketgan.card import CARD_KEY, ModelCard, ParityFacts, TrainingFacts

FOLDER = Path(__file__).parents[1] / "tests" / "runtime" / "models"

LATENT_SIZE, CLASSES, SIDE = 16, 10, 8
PIXELS = SIDE * SIDE

CARD = ModelCard(
    name="tiny",
    architecture="test",
    latent_size=LATENT_SIZE,
    latent_step=1 / 32,
    classes=(),
    image_height=SIDE,
    image_width=SIDE,
    precision="int8",
    training=TrainingFacts(data_set="none", images_seen=0, epochs=0, seed=0, checkpoint_sha256="0" * 64),
    parity=ParityFacts(images=1, psnr_db=100.0, mean_error=0.0, largest_error=0),
    quality={"frechet": 1.5},
    package_version="0.1.0",
    licence="MIT",
)
CONDITIONAL_CARD = replace(CARD, name="tiny_conditional", classes=tuple(str(label) for label in range(CLASSES)))
FLOAT_CARD = replace(CARD, name="tiny_float", precision="fp32")

Z = helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["N", LATENT_SIZE])
LABEL = helper.make_tensor_value_info("label", onnx.TensorProto.INT64, ["N"])
IMAGES = helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["N", SIDE, SIDE])


def seven_bit_weights(rows: int, columns: int, largest: int = 63) -> NDArray[np.int8]:
    """Return weights int8 [rows, columns] from -largest-1 to largest that look random: 1, 2, 3, ... through splitmix64.

    In seven bits no two of them can saturate a processor's 16-bit sum of two products.
    """
    mixed = np.arange(1, rows * columns + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    scaled = (mixed >> np.uint64(48)) * np.uint64(2 * largest + 2) >> np.uint64(16)
    return (scaled.astype(np.int64) - largest - 1).astype(np.int8).reshape(rows, columns)


def constants(values: Mapping[str, NDArray[np.generic]]) -> list[onnx.TensorProto]:
    """Return named initializers."""
    return [numpy_helper.from_array(value, name) for name, value in values.items()]


def quantization_constants() -> dict[str, NDArray[np.generic]]:
    """Return the scales and zero points of the integer generators, and the shape of their images."""
    return {
        "z_scale": np.array(1 / 32, dtype=np.float32),
        "z_zero": np.array(128, dtype=np.uint8),
        "weight_scale": np.array(1 / 512, dtype=np.float32),
        "weight_zero": np.array(0, dtype=np.int8),
        "bias_scale": np.array(1 / 32 / 512, dtype=np.float32),
        "bias_zero": np.array(0, dtype=np.int32),
        "pixel_scale": np.array(1 / 255, dtype=np.float32),
        "pixel_zero": np.array(0, dtype=np.uint8),
        # A medium grey: 110 levels of 1/255, in units of the accumulator.
        "bias": np.full(PIXELS, round(110 / 255 * 32 * 512), dtype=np.int32),
        "image_shape": np.array([-1, SIDE, SIDE], dtype=np.int64),
    }


def integer_layer(quantized: str) -> list[onnx.NodeProto]:
    """Return the nodes from a quantized uint8 [N, features] to `images`."""
    return [
        helper.make_node("DequantizeLinear", [quantized, "z_scale", "z_zero"], ["features"]),
        helper.make_node("DequantizeLinear", ["weights", "weight_scale", "weight_zero"], ["weights_real"]),
        helper.make_node("DequantizeLinear", ["bias", "bias_scale", "bias_zero"], ["bias_real"]),
        helper.make_node("Gemm", ["features", "weights_real", "bias_real"], ["grey"]),
        helper.make_node("QuantizeLinear", ["grey", "pixel_scale", "pixel_zero"], ["pixels"]),
        helper.make_node("Reshape", ["pixels", "image_shape"], ["images"]),
    ]


def tiny_graph() -> onnx.GraphProto:
    """Return the unconditional integer generator."""
    nodes = [helper.make_node("QuantizeLinear", ["z", "z_scale", "z_zero"], ["quantized"]), *integer_layer("quantized")]
    weights: dict[str, NDArray[np.generic]] = {"weights": seven_bit_weights(LATENT_SIZE, PIXELS)}
    return helper.make_graph(nodes, "tiny", [Z], [IMAGES], constants(weights | quantization_constants()))


def tiny_conditional_graph() -> onnx.GraphProto:
    """Return the integer generator with a class: its picture is mostly the class's pattern."""
    nodes = [
        helper.make_node("QuantizeLinear", ["z", "z_scale", "z_zero"], ["quantized"]),
        helper.make_node("Gather", ["class_codes", "label"], ["code"]),
        helper.make_node("Concat", ["quantized", "code"], ["both"], axis=1),
        *integer_layer("both"),
    ]
    weights: dict[str, NDArray[np.generic]] = {
        "weights": np.concatenate([seven_bit_weights(LATENT_SIZE, PIXELS, 15), seven_bit_weights(CLASSES, PIXELS)]),
        "class_codes": (128 + 127 * np.eye(CLASSES)).astype(np.uint8),
    }
    return helper.make_graph(nodes, "tiny_conditional", [Z, LABEL], [IMAGES], constants(weights | quantization_constants()))


def tiny_float_graph() -> onnx.GraphProto:
    """Return the unconditional generator in float; whole grey levels come out by rounding down."""
    nodes = [
        helper.make_node("Gemm", ["z", "weights", "bias"], ["grey"]),
        helper.make_node("Clip", ["grey", "black", "white"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["pixels"], to=onnx.TensorProto.UINT8),
        helper.make_node("Reshape", ["pixels", "image_shape"], ["images"]),
    ]
    values: dict[str, NDArray[np.generic]] = {
        "weights": (seven_bit_weights(LATENT_SIZE, PIXELS) / 2).astype(np.float32),
        "bias": np.full(PIXELS, 110, dtype=np.float32),
        "black": np.array(0, dtype=np.float32),
        "white": np.array(255, dtype=np.float32),
        "image_shape": np.array([-1, SIDE, SIDE], dtype=np.int64),
    }
    return helper.make_graph(nodes, "tiny_float", [Z], [IMAGES], constants(values))


def with_nodes(nodes: Sequence[onnx.NodeProto], values: Mapping[str, NDArray[np.generic]], after: str) -> onnx.GraphProto:
    """Return the tiny generator with its `images` called `after`, and `nodes` that make `images` from it."""
    graph = tiny_graph()
    graph.node[-1].output[0] = after
    graph.node.extend(nodes)
    graph.initializer.extend(constants(values))
    return graph


def fixed_batch_graph() -> onnx.GraphProto:
    """Return the tiny generator for exactly one image a call."""
    graph = tiny_graph()
    for tensor in (*graph.input, *graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_value = 1
    return graph


def float_output_graph() -> onnx.GraphProto:
    """Return a generator whose images are float."""
    graph = with_nodes([helper.make_node("Cast", ["whole"], ["images"], to=onnx.TensorProto.FLOAT)], {}, "whole")
    graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return graph


def constant_bomb_graph() -> onnx.GraphProto:
    """Return a generator that adds 512 MB of constant zeros to its pixels, asked for with eight bytes."""
    nodes = [
        helper.make_node("ConstantOfShape", ["many"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["nothing"], keepdims=0),
        helper.make_node("Cast", ["nothing"], ["nothing_whole"], to=onnx.TensorProto.UINT8),
        helper.make_node("Max", ["whole", "nothing_whole"], ["images"]),
    ]
    return with_nodes(nodes, {"many": np.array([128 * 2**20], dtype=np.int64)}, "whole")


def fails_when_drawing_graph() -> onnx.GraphProto:
    """Return a generator that looks up row 1000 of a table of two rows, which only shows when it runs."""
    nodes = [
        helper.make_node("ReduceMax", ["whole"], ["some_pixel"], keepdims=0),
        helper.make_node("Cast", ["some_pixel"], ["small"], to=onnx.TensorProto.INT64),
        helper.make_node("Add", ["small", "thousand"], ["row"]),
        helper.make_node("Gather", ["table", "row"], ["found"]),
        helper.make_node("Max", ["whole", "found"], ["images"]),
    ]
    return with_nodes(nodes, {"thousand": np.array(1000), "table": np.zeros((2, 1), dtype=np.uint8)}, "whole")


def draws_twice_as_many_graph() -> onnx.GraphProto:
    """Return a generator that draws each image twice."""
    return with_nodes([helper.make_node("Concat", ["whole", "whole"], ["images"], axis=0)], {}, "whole")


def external(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """Return the tensor with its data kept in the file weights.bin, which there is not."""
    moved = onnx.TensorProto()
    moved.CopyFrom(tensor)
    moved.ClearField("raw_data")
    moved.data_location = onnx.TensorProto.EXTERNAL
    entry = moved.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    return moved


def external_initializer_graph() -> onnx.GraphProto:
    """Return a generator whose weights lie in another file."""
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
    """Return a function with an attribute whose default value lies in another file."""
    constant = helper.make_node("Constant", [], ["y"])
    constant.attribute.add(name="value", ref_attr_name="secret", type=onnx.AttributeProto.TENSOR)
    function = helper.make_function("test", "Read", [], ["y"], [constant], [helper.make_opsetid("", 17)])
    secret = external(numpy_helper.from_array(np.zeros(1, dtype=np.float32), "secret"))
    function.attribute_proto.add(name="secret", type=onnx.AttributeProto.TENSOR, t=secret)
    return function


def write(
    name: str, graph: onnx.GraphProto, card: str | None, functions: Sequence[onnx.FunctionProto] = (), check: bool = True
) -> None:
    """Write one model file, with `card` in its metadata."""
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(function.domain, 1) for function in functions)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="pocketgan", functions=functions)
    if card is not None:
        helper.set_model_props(model, {CARD_KEY: card})
    if check:
        onnx.checker.check_model(model, full_check=True)
    (FOLDER / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def main() -> None:
    """Write all models."""
    FOLDER.mkdir(exist_ok=True)
    card = CARD.to_json()
    write("tiny", tiny_graph(), card)
    write("tiny_conditional", tiny_conditional_graph(), CONDITIONAL_CARD.to_json())
    write("tiny_float", tiny_float_graph(), FLOAT_CARD.to_json())

    write("no_card", tiny_graph(), None)
    write("card_of_schema_2", tiny_graph(), json.dumps(json.loads(card) | {"schema": 2}))
    write("card_lies_about_image_size", tiny_graph(), replace(CARD, image_width=28).to_json())
    write("card_lies_about_latent_size", tiny_graph(), replace(CARD, latent_size=100).to_json())
    write("card_lies_about_latent_step", tiny_graph(), replace(CARD, latent_step=1 / 16).to_json())
    write("card_promises_classes", tiny_graph(), CONDITIONAL_CARD.to_json())
    write("card_hides_classes", tiny_conditional_graph(), card)

    write("fixed_batch", fixed_batch_graph(), card)
    write("float_output", float_output_graph(), card)
    write("constant_bomb", constant_bomb_graph(), card)
    write("fails_when_drawing", fails_when_drawing_graph(), card)
    write("draws_twice_as_many", draws_twice_as_many_graph(), card, check=False)

    write("external_initializer", external_initializer_graph(), card, check=False)
    write("external_subgraph", external_subgraph_graph(), card, check=False)
    write("external_attribute", external_attribute_graph(), card, check=False)
    write("external_function", tiny_graph(), card, [function_with_external_default()], check=False)


if __name__ == "__main__":
    main()
