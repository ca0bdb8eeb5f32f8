"""An evaluation as JSON: every figure of every seed as it was measured, what it was measured of and with."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch

from pocketgan.version import VERSION
from pocketgan_trainer.evaluate.judge import JUDGES
from pocketgan_trainer.evaluate.score_rows import Cell, Row
from pocketgan_trainer.evaluate.scores import Evaluation, SourceScores


def evaluation_json(evaluation: Evaluation, rows: Sequence[Row]) -> str:
    """Return one JSON object: versions, the CPU threads, `plan`, `judges` (SHA-256), `real`, `sources` and `table`.

    Sources hold all figures of each seed, `table` the means of the rows. `closest_pairs` are rows of the images of that seed, as
    they were drawn, and of the 55,000 training digits. What is no finite number is null.
    """
    contents = {
        "pocketgan": VERSION,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "plan": asdict(evaluation.plan),
        "judges": {name: judge.sha256 for name, judge in JUDGES.items()},
        "real": _source(evaluation.real),
        "sources": [_source(source) for source in evaluation.sources],
        "table": [
            {"figure": row.figure, "real": _cell(row.real), "sources": [_cell(cell) for cell in row.sources]} for row in rows
        ],
    }
    return json.dumps(_plain(contents), indent=2, allow_nan=False)


def _source(scores: SourceScores) -> dict[str, object]:
    return {
        "name": scores.name,
        "sha256": scores.sha256,
        "has_classes": scores.has_classes,
        "seeds": [asdict(images) for images in scores.images],
        "told_apart": scores.told_apart,
        "classifier_accuracy": scores.classifier_accuracy,
    }


def _cell(cell: Cell) -> dict[str, object]:
    return {"mean": cell.mean, "deviation": cell.deviation, "ratio": cell.ratio}


def _plain(value: object) -> object:
    """Return the value in what JSON knows: arrays and tuples as lists, infinite and undefined numbers as None."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
