"""What an export made and measured, for people and for programs."""

import json
from dataclasses import asdict

from pocketgan_trainer.export.baselines import SPEED_BATCH
from pocketgan_trainer.export.exporter import ExportReport


def report_rows(report: ExportReport) -> list[tuple[str, str]]:
    """Return the rows of the table: a name, and what was found."""
    rows = [("size", f"{report.size_bytes:,} bytes, {report.size_bytes / report.float_size_bytes:.0%} of float32")]
    rows += [(check.name, check.found) for check in report.checks]
    for name, ratio in report.speed.items():
        spread = f"{ratio.lowest:.2f} to {ratio.highest:.2f}"
        rows.append((f"beside {name}", f"{ratio.median:.2f} times as fast ({spread}), batch {SPEED_BATCH}, one thread"))
    return rows


def warnings(report: ExportReport) -> list[str]:
    """Return what a user should know that did not stop the export: what was forced, and an int8 file that does not pay."""
    problems = [check.problem for check in report.checks if check.problem is not None]
    return problems + [
        f"this int8 file is slower than {name} here: {ratio.median:.3f} times as fast ({ratio.lowest:.2f} to {ratio.highest:.2f})"
        for name, ratio in report.speed.items()
        if report.card.precision == "int8" and ratio.median < 1
    ]


def report_json(report: ExportReport) -> str:
    """Return everything that was measured, and the card, as JSON."""
    return json.dumps(
        {
            "path": str(report.target.absolute()),
            "size_bytes": report.size_bytes,
            "float_size_bytes": report.float_size_bytes,
            "sha256": report.sha256,
            "checks": [asdict(check) for check in report.checks],
            "speed": {name: asdict(ratio) for name, ratio in report.speed.items()},
            "speed_batch": SPEED_BATCH,
            "warnings": warnings(report),
            "card": json.loads(report.card.to_json()),
        },
        indent=2,
    )
