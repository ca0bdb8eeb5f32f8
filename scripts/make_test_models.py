"""Write the ONNX files that tests/runtime works with: tests/runtime/models/*.onnx, a few kilobytes each.

Two are tiny generators that obey the contract of a pocketgan model (tiny.onnx and, with classes, tiny_conditional.onnx), one is
the same in float; all the others break the contract, each in the one way that its name says. A run writes the same bytes again
(these are from onnx 1.23).

Needs the onnx package, which the tests themselves do not:

    .venv/bin/python scripts/make_test_models.py
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import broken_generators as broken
import onnx
from onnx import helper
from tiny_generators import CLASSES, LATENT_SIZE, SIDE, tiny_conditional_graph, tiny_float_graph, tiny_graph

from pocketgan.model.card import CARD_KEY, ModelCard, ParityFacts, TrainingFacts

FOLDER = Path(__file__).parents[1] / "tests" / "runtime" / "models"

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
    kernels=None,
    quality={"frechet": 1.5},
    package_version="0.1.0",
    licence="MIT",
)
CONDITIONAL_CARD = replace(CARD, name="tiny_conditional", classes=tuple(str(label) for label in range(CLASSES)))
FLOAT_CARD = replace(CARD, name="tiny_float", precision="fp32")


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

    write("fixed_batch", broken.fixed_batch_graph(), card)
    write("float_output", broken.float_output_graph(), card)
    write("constant_bomb", broken.constant_bomb_graph(), card)
    write("fails_when_drawing", broken.fails_when_drawing_graph(), card)
    write("draws_twice_as_many", broken.draws_twice_as_many_graph(), card, check=False)

    write("external_initializer", broken.external_initializer_graph(), card, check=False)
    write("external_subgraph", broken.external_subgraph_graph(), card, check=False)
    write("external_attribute", broken.external_attribute_graph(), card, check=False)
    write("external_function", tiny_graph(), card, [broken.function_with_external_default()], check=False)


if __name__ == "__main__":
    main()
