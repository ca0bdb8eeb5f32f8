"""What an export made and measured, for people and for programs."""

import json
from dataclasses import asdict

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.comparison import SPEED_BATCH
from pocketgan_trainer.export.exporter import ExportReport
from pocketgan_trainer.export.verify import RefusedExportError


def report_rows(report: ExportReport) -> list[tuple[str, str]]:
    """Return the rows of the table: a name, and what was found."""
    rows = [("size", f"{report.size_bytes:,} bytes, {report.size_bytes / report.float_size_bytes:.0%} of float32")]
    rows += [(check.name, check.found) for check in report.checks]
    for name, other in report.comparisons.items():
        speed = f"{other.speed.median:.2f} times as fast ({other.speed.lowest:.2f} to {other.speed.highest:.2f})"
        its = f"has {other.size_bytes:,} bytes, {other.psnr_db:.2f} dB"
        rows.append((f"beside {name}", f"{speed} at batch {SPEED_BATCH}, one thread; {its}"))
    return rows


def warnings(report: ExportReport) -> list[str]:
    """Return what a user should know that did not stop the export: what was forced, and an int8 file that does not pay."""
    problems = [check.problem for check in report.checks if check.problem is not None]
    return problems + [
        f"this int8 file is slower than {name} here: {other.speed.median:.3f} times as fast "
        f"({other.speed.lowest:.2f} to {other.speed.highest:.2f})"
        for name, other in report.comparisons.items()
        if report.card.precision == "int8" and other.speed.median < 1
    ]


def report_json(report: ExportReport) -> str:
    """Return everything that was measured, and the card, as JSON."""
    return json.dumps(
        {
            "written": True,
            "path": str(report.target.absolute()),
            "size_bytes": report.size_bytes,
            "float_size_bytes": report.float_size_bytes,
            "sha256": report.sha256,
            "checks": [asdict(check) for check in report.checks],
            "comparisons": {name: asdict(other) for name, other in report.comparisons.items()},
            "speed_batch": SPEED_BATCH,
            "warnings": warnings(report),
            "card": json.loads(report.card.to_json()),
        },
        indent=2,
    )


def refusal_json(error: ExportError) -> str:
    """Return why a file was not written, and what each check found if it came to these, as JSON."""
    checks = [asdict(check) for check in error.checks] if isinstance(error, RefusedExportError) else []
    return json.dumps({"written": False, "error": str(error), "checks": checks}, indent=2)
