"""The report of an export: every figure in a table and as JSON, and warnings of problems and of slow files."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pocketgan.model.card import ModelCard, ParityFacts, TrainingFacts
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.comparison import Baseline, SpeedRatio
from pocketgan_trainer.export.exporter import ExportReport, refusal_json, report_json, report_rows, report_warnings
from pocketgan_trainer.export.measured_traits import MeasuredTraits
from pocketgan_trainer.export.verify import Check, RefusedExportError

FINE = Check("kernels", "5 integer", None)
WRONG = Check("against torch", "PSNR 12 dB", "pixels differ")
CARD = ModelCard(
    name="pocket-mnist",
    architecture="pocket",
    latent_size=4,
    latent_step=1 / 32,
    classes=("0", "1"),
    image_height=28,
    image_width=28,
    precision="int8",
    training=TrainingFacts(data_set="mnist", images_seen=3, epochs=1, seed=0, checkpoint_sha256="ab" * 32),
    parity=ParityFacts(images=1000, psnr_db=41.5, mean_error=0.25, largest_error=9),
    kernels=None,
    quality={},
    package_version="0.1.0",
    licence="MIT",
)
REPORT = ExportReport(
    target=Path("model.onnx"),
    size_bytes=25_000,
    float_size_bytes=100_000,
    sha256="cd" * 32,
    checks=(FINE, WRONG),
    baselines={
        "float32": Baseline(100_000, 88.123, SpeedRatio(3.456, 3.001, 4.0)),
        "quantize_static": Baseline(270, 31.0, SpeedRatio(0.9996, 0.9, 1.1)),
    },
    traits=MeasuredTraits(np.array([[0.99, 0.95, 0.9], [0.98, 0.93, 0.5234]]), None),
    faint_share=0.0,
    card=CARD,
)


def test_rows_show_the_size_each_check_and_the_baselines() -> None:
    assert report_rows(REPORT) == [
        ("size", "25,000 bytes, 25% of float32"),
        ("kernels", "5 integer"),
        ("against torch", "PSNR 12 dB"),
        (
            "traits",
            "cannot be chosen (no --slant, --thickness, --width): width of class 1 correlates with the first latents by 0.523, "
            "limit 0.6",
        ),
        ("vs float32", "3.46 times as fast (3.00 to 4.00) at batch 64, one thread; has 100,000 bytes, 88.12 dB"),
        (
            "vs quantize_static",
            "1.00 times as fast (0.90 to 1.10) at batch 64, one thread; has 270 bytes, 31.00 dB",
        ),
    ]


def test_warnings_name_problems_and_slower_int8_files() -> None:
    assert report_warnings(REPORT) == [
        "pixels differ",
        "this int8 file is slower than quantize_static here: 1.000 times as fast (0.90 to 1.10)",
    ]
    assert report_warnings(replace(REPORT, card=replace(CARD, precision="fp16"))) == ["pixels differ"]
    (_, warning, _) = report_warnings(replace(REPORT, faint_share=0.98))
    assert warning.startswith("98% of the images show hardly anything, no pixel brighter than 127 of 255 grey levels: ")


CHECKS = [
    {"name": "kernels", "found": "5 integer", "problem": None},
    {"name": "against torch", "found": "PSNR 12 dB", "problem": "pixels differ"},
]


def test_json_holds_every_figure() -> None:
    found = json.loads(report_json(REPORT))
    assert found["written"] is True
    assert Path(found["path"]).is_absolute()
    assert (found["size_bytes"], found["float_size_bytes"], found["sha256"]) == (25_000, 100_000, "cd" * 32)
    assert found["checks"] == CHECKS
    assert found["comparisons"]["quantize_static"]["speed"] == {"median": 0.9996, "lowest": 0.9, "highest": 1.1}
    assert found["warnings"] == report_warnings(REPORT)
    assert ModelCard.from_json(json.dumps(found["card"])) == CARD


@pytest.mark.parametrize(
    ("error", "checks"),
    [(RefusedExportError([FINE, WRONG]), CHECKS), (ExportError("the training has collapsed"), [])],
    ids=["refused", "failed before its checks"],
)
def test_json_of_a_failure_holds_the_error_and_the_checks(error: ExportError, checks: list[dict[str, str | None]]) -> None:
    assert json.loads(refusal_json(error)) == {"written": False, "error": str(error), "checks": checks}
