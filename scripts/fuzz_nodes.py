"""Damages the nodes of a graph for scripts/fuzz_models.py: changes operators, adds and removes nodes, rewires inputs.

Many results are still graphs that gan-export could have written, so onnxruntime optimizes and runs them.
"""

import random
import struct
from collections.abc import Sequence

from fuzz_tree import Field, Tree

from pocketgan.model.protobuf import BYTES, FIXED32, VARINT

OPERATORS = (
    "ConstantOfShape Expand Range Loop If Scan Constant NonZero OneHot EyeLike RandomNormal Pad Resize Upsample Identity MatMul "
    "Einsum LSTM Optional SequenceEmpty StringNormalizer QLinearConv Add Cast Clip Concat Conv ConvTranspose DepthToSpace "
    "DequantizeLinear Gather Gemm LeakyRelu Mul QuantizeLinear Relu Reshape Round Sigmoid Slice Tanh Tile Transpose"
)
DOMAINS = (b"com.microsoft", b"ai.onnx.ml", b"com.microsoft.nchwc", b"ai.onnx.training", b"test", b"ai.onnx")

_INPUT, _OUTPUT, _NAME, _OPERATOR, _ATTRIBUTE, _DOMAIN = 1, 2, 3, 4, 5, 7
_NODE, _ATTRIBUTE_INTEGERS, _ATTRIBUTE_FLOAT = 1, 7, 1


def change_operator(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    """Change the operator of a node, or its domain to that of another vendor."""
    node = chance.choice(tree.all("node"))
    if chance.random() < 0.2:
        node.fields.append(Field(_DOMAIN, BYTES, chance.choice(DOMAINS)))
    elif (operator := node.field(_OPERATOR)) is not None:
        operator.value = chance.choice(OPERATORS.split()).encode()


def insert_node(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    """Insert a node, usually one that preserves shapes, before an input of another node."""
    graph = tree.all("graph")[0]
    places = [place for place, field in enumerate(graph.fields) if isinstance(field.value, Tree) and field.value.kind == "node"]
    place = chance.choice(places)
    later = graph.fields[place].value
    assert isinstance(later, Tree)
    used = chance.choice(_fields(later, _INPUT))
    name, before = b"extra%d" % chance.randrange(10**6), used.value
    assert isinstance(before, bytes)
    operator = chance.choice(("Relu", "LeakyRelu", "Sigmoid", "Tanh", "Round", "Transpose", "Concat", "Mul", "Add", "copy"))
    template = chance.choice(tree.all("node"))
    inputs = [before] * (1 + (operator in ("Mul", "Add")))
    attributes: list[Field] = []
    if operator == "Transpose":
        axes = list(range(chance.choice((4, 4, 2, 3, 5))))
        order = [Field(8, VARINT, axis) for axis in chance.sample(axes, len(axes))]
        attributes = [_attribute(b"perm", _ATTRIBUTE_INTEGERS, order)]
    elif operator == "LeakyRelu":
        attributes = [_attribute(b"alpha", _ATTRIBUTE_FLOAT, [Field(2, FIXED32, struct.pack("<f", chance.uniform(-2, 2)))])]
    elif operator == "Concat":
        attributes = [_attribute(b"axis", 2, [Field(3, VARINT, chance.randrange(4))])]
    elif operator == "copy":
        operator = _text(template, _OPERATOR).decode(errors="replace")
        inputs = [before, *(value for field in _fields(template, _INPUT)[1:] if isinstance(value := field.value, bytes))]
        attributes = _fields(template, _ATTRIBUTE)
    node = Tree("node", [Field(_INPUT, BYTES, one) for one in inputs])
    node.fields += [
        Field(_OUTPUT, BYTES, name),
        Field(_NAME, BYTES, name),
        Field(_OPERATOR, BYTES, operator.encode()),
        *attributes,
    ]
    graph.fields.insert(place, Field(_NODE, BYTES, node))
    used.value = name


def remove_node(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    """Remove a node; later nodes use its first input in place of its output."""
    graph = tree.all("graph")[0]
    field = chance.choice([field for field in graph.fields if isinstance(field.value, Tree) and field.value.kind == "node"])
    assert isinstance(field.value, Tree)
    before, after = _text(field.value, _INPUT), _text(field.value, _OUTPUT)
    graph.fields = [other for other in graph.fields if other is not field]
    for node in tree.all("node"):
        for used in _fields(node, _INPUT):
            used.value = before if used.value == after else used.value


def rewire_input(chance: random.Random, tree: Tree, others: Sequence[Tree]) -> None:
    """Let a node use another tensor, usually one computed before it."""
    nodes = tree.all("node")
    place = chance.randrange(len(nodes))
    sources = nodes[:place] if chance.random() < 0.9 else nodes
    names = [_text(node, _OUTPUT) for node in sources] + [_text(tensor, 8) for tensor in tree.all("tensor")]
    chance.choice(_fields(nodes[place], _INPUT)).value = chance.choice(names)


def _attribute(name: bytes, kind: int, values: Sequence[Field]) -> Field:
    return Field(_ATTRIBUTE, BYTES, Tree("attribute", [Field(1, BYTES, name), *values, Field(20, VARINT, kind)]))


def _fields(message: Tree, number: int) -> list[Field]:
    return [field for field in message.fields if field.number == number]


def _text(message: Tree, number: int) -> bytes:
    field = message.field(number)
    return field.value if field is not None and isinstance(field.value, bytes) else b""
