"""What a card says of classes: their numbers in the training data, where their names do not say them."""

from dataclasses import replace
from pathlib import Path

import pytest

from pocketgan.model.card import ParityFacts
from pocketgan_trainer.data.images import DataFacts
from pocketgan_trainer.export.exporter import model_card
from pocketgan_trainer.training.checkpoint import Checkpoint
from pocketgan_trainer.training.presets import PRESETS
from pocketgan_trainer.training.progress import Progress


@pytest.mark.parametrize(
    ("preset", "classes", "class_labels", "labels"),
    [
        ("nano", ("A", "B", "Z"), (1, 2, 26), (1, 2, 26)),
        ("nano", ("3", "8"), None, (3, 8)),
        ("nano", ("boot", "bag"), None, (0, 1)),
        ("mlp", ("A", "B", "Z"), (1, 2, 26), ()),
    ],
)
def test_classes_keep_the_numbers_that_the_data_gives_them(
    preset: str, classes: tuple[str, ...], class_labels: tuple[int, ...] | None, labels: tuple[int, ...]
) -> None:
    data = DataFacts("own", "/own", False, 28, classes, "ab" * 32, class_labels)
    config = replace(PRESETS[preset].config, data=data)
    checkpoint = Checkpoint(Path("best.safetensors"), "cd" * 32, config, Progress(), threads=1, tensors={})
    card = model_card(checkpoint, (28, 28), "int8", ParityFacts(1, 40.0, 0.5, 3), None, "NOASSERTION", {})
    assert card.labels == labels
    assert ("class_labels" in card.to_json()) is (preset == "nano" and class_labels is not None)
