"""Makes models of one convolution for scripts/fuzz_models.py, with pads, strides and sizes that no real network has."""

import random
import struct
from collections.abc import Sequence

from fuzz_tree import Field, Tree

from pocketgan.model.graph import FLOAT, INT64, UINT8
from pocketgan.model.protobuf import BYTES, VARINT

_FAR = (64, 65, 127, 255, 2**15, 2**31 - 1, 2**31, 2**60, 2**61, 2**62, 2**63 - 1, -1, -(2**62))


def wild_convolution(chance: random.Random, tree: Tree) -> None:
    """Replace the graph of the model `mlp` by one with a single convolution, plain or transposed, whose input are the latents.

    The output is cut and repeated to the size of an image, whatever its size is.
    """
    latents, side = 100, 28
    channels, height, width = (chance.randint(1, largest) for largest in (20, 12, 12))
    outputs, kernel = chance.randint(1, 20), [chance.randint(1, 8), chance.randint(1, 8)]
    operator = chance.choice(("Conv", "ConvTranspose"))
    weights = [outputs, channels, *kernel] if operator == "Conv" else [channels, outputs, *kernel]
    attributes = {
        "kernel_shape": kernel if chance.random() < 0.9 else _numbers(chance, 2, 1, 8),
        "strides": _numbers(chance, 2, 1, 8),
        "pads": _numbers(chance, 4, 0, 64 if chance.random() < 0.2 else 6),
    }
    if operator == "ConvTranspose":
        attributes["output_padding"] = _numbers(chance, 2, 0, 64 if chance.random() < 0.2 else 4)
    left_out = [name for name in attributes if chance.random() < 0.2]
    for name in left_out:
        del attributes[name]
    if chance.random() < 0.05:
        attributes[chance.choice(("dilations", "group", "auto_pad", "pads"))] = _numbers(chance, chance.randint(0, 5), 0, 9)
    pixels = channels * height * width
    graph = [
        _node("Tile", ["z", "often"], "long"),
        _node("Slice", ["long", "zero", "pixels", "one"], "exact"),
        _node("Reshape", ["exact", "image"], "x"),
        _node(operator, ["x", "weights"], "y", attributes),
        _node("Reshape", ["y", "flat"], "all"),
        _node("Slice", ["all", "zero", "few", "one"], "some"),
        _node("Tile", ["some", "very_often"], "many"),
        _node("Slice", ["many", "zero", "picture", "one"], "grey"),
        _node("QuantizeLinear", ["grey", "scale", "zero_point"], "quantized"),
        _node("Reshape", ["quantized", "shape"], "images"),
        _tensor(
            "weights", FLOAT, weights, struct.pack("<f", chance.uniform(-1, 1)) * (channels * outputs * kernel[0] * kernel[1])
        ),
        _tensor("scale", FLOAT, [], struct.pack("<f", 1 / 255)),
        _tensor("zero_point", UINT8, [], b"\0"),
        *(
            _tensor(name, INT64, [len(values)], struct.pack(f"<{len(values)}q", *values))
            for name, values in {
                "often": [1, -(-pixels // latents)],
                "zero": [0],
                "one": [1],
                "pixels": [pixels],
                "image": [-1, channels, height, width],
                "flat": [0, -1],
                "few": [16],
                "very_often": [1, side * side],
                "picture": [side * side],
                "shape": [-1, side, side],
            }.items()
        ),
    ]
    (old,) = tree.all("graph")
    ends = [field for field in old.fields if isinstance(field.value, Tree) and field.value.kind == "value"]
    old.fields = [*graph, *ends]


def _numbers(chance: random.Random, count: int, least: int, most: int) -> list[int]:
    numbers = [chance.randint(least, most) for _ in range(count)]
    if numbers and chance.random() < 0.15:
        numbers[chance.randrange(count)] = chance.choice(_FAR)
    return numbers


def _node(operator: str, inputs: Sequence[str], output: str, attributes: dict[str, list[int]] | None = None) -> Field:
    fields = [Field(1, BYTES, name.encode()) for name in inputs]
    fields += [Field(2, BYTES, output.encode()), Field(3, BYTES, output.encode()), Field(4, BYTES, operator.encode())]
    for name, values in (attributes or {}).items():
        numbers = [Field(8, VARINT, value) for value in values]
        fields.append(Field(5, BYTES, Tree("attribute", [Field(1, BYTES, name.encode()), *numbers, Field(20, VARINT, 7)])))
    return Field(1, BYTES, Tree("node", fields))


def _tensor(name: str, element_type: int, shape: Sequence[int], data: bytes) -> Field:
    dims = [Field(1, VARINT, size) for size in shape]
    fields = [*dims, Field(2, VARINT, element_type), Field(8, BYTES, name.encode()), Field(9, BYTES, data)]
    return Field(5, BYTES, Tree("tensor", fields))
