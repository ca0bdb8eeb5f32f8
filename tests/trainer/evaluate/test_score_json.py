"""An evaluation as JSON: all that was measured, and nothing that is no JSON."""

import json
from dataclasses import replace
from importlib.metadata import version

import pytest
from quick_evaluation import quick_evaluation

from pocketgan import Generator
from pocketgan_trainer.evaluate.judge import JUDGES
from pocketgan_trainer.evaluate.table import evaluation_json, table_rows


def test_json_holds_every_figure_of_every_seed_as_measured() -> None:
    evaluation = quick_evaluation()
    rows = table_rows(evaluation, False)
    found = json.loads(evaluation_json(evaluation, rows))
    assert found["pocketgan"] == version("pocketgan")
    assert found["judges"] == {name: judge.sha256 for name, judge in JUDGES.items()}
    assert found["plan"] == {"count": 1000, "seeds": 2, "told_apart": True, "cas": True, "classifier_seeds": 2}
    assert [source["name"] for source in found["sources"]] == ["other|digits.npz", "blurred", "mlp"]
    assert [source["sha256"] for source in found["sources"]] == ["0" * 64, None, Generator.load("mlp").sha256]

    for source, scores in zip((found["real"], *found["sources"]), (evaluation.real, *evaluation.sources), strict=True):
        assert len(source["seeds"]) == 2
        for measured, images in zip(source["seeds"], scores.images, strict=True):
            assert measured["against_test"]["frechet"]["first_judge"] == images.against_test.frechet.first_judge
            assert measured["against_test"]["neighbourhood"]["coverage"] == images.against_test.neighbourhood.coverage
            assert measured["classes"]["histogram"] == list(images.classes.histogram)
            assert measured["classes"]["accuracy"] == images.classes.accuracy
            assert measured["memorization"]["closest_pairs"] == images.memorization.closest_pairs.tolist()
        assert source["told_apart"] == list(scores.told_apart or ())
    assert found["sources"][2]["classifier_accuracy"] is None
    assert found["sources"][2]["seeds"][0]["classes"]["accuracy"] is None

    assert [row["figure"] for row in found["table"]] == [row.figure for row in rows]
    for line, row in zip(found["table"], rows, strict=True):
        assert line["real"]["mean"] == row.real.mean
        assert [cell["ratio"] for cell in line["sources"]] == [cell.ratio for cell in row.sources]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_finite_number_is_null(value: float) -> None:
    evaluation = quick_evaluation()
    first = evaluation.sources[0].images[0]
    odd = replace(first, classes=replace(first.classes, divergence=value))
    changed = replace(evaluation, sources=(replace(evaluation.sources[0], images=(odd,)),))
    found = json.loads(evaluation_json(changed, ()))
    assert found["sources"][0]["seeds"][0]["classes"]["divergence"] is None
