"""What an export made and measured, for people and for programs."""

import json
from collections import Counter
from dataclasses import asdict

from pocketgan_trainer.export.exporter import ExportReport
from pocketgan_trainer.export.integer_weights import LARGEST_NEIGHBOURS


def report_rows(report: ExportReport) -> list[tuple[str, str]]:
    """Return the rows of the table: a name, and what was found."""
    kernels, parity = report.kernels, report.card.parity
    in_float = ", ".join(f"{operator} x{count}" for operator, count in Counter(kernels.other).items()) or "none"
    rows = [
        ("size", f"{report.size_bytes:,} bytes, {report.size_bytes / report.float_size_bytes:.0%} of float32"),
        ("kernels", f"{kernels.integer} integer; in floating point: {in_float}"),
        (
            "against torch",
            f"PSNR {parity.psnr_db:.1f} dB over {parity.images:,} images; mean error {parity.mean_error:.2f}, largest "
            f"{parity.largest_error} of 255 grey levels",
        ),
    ]
    if report.card.precision == "int8":
        summed = f"two neighbouring weights add up to {kernels.largest_neighbour_sum} at most"
        rows.append(("overflow", f"{summed}; to {LARGEST_NEIGHBOURS}, 16 bits hold two products on any processor"))
        if not report.problems:
            rows.append(("same pixels", "in batches of 1, 16 and 64, on one thread and on two"))
    for name, ratio in report.speed.items():
        rows.append(
            (f"speed, {name}", f"{ratio.median:.2f}x ({ratio.lowest:.2f} to {ratio.highest:.2f}), batch 64, one thread, same run")
        )
    return [*rows, ("sha256", report.sha256)]


def warnings(report: ExportReport) -> list[str]:
    """Return what a user should know that did not stop the export: what was forced, and an int8 file that does not pay."""
    slower = [
        f"this int8 file is slower than {name} here: {ratio.median:.2f}x"
        for name, ratio in report.speed.items()
        if report.card.precision == "int8" and ratio.median < 1
    ]
    return [*report.problems, *slower]


def report_json(report: ExportReport) -> str:
    """Return everything that was measured, and the card, as JSON."""
    values = {name: value for name, value in vars(report).items() if name not in ("target", "card", "kernels", "speed")}
    return json.dumps(
        {
            "path": str(report.target),
            **values,
            "kernels": asdict(report.kernels),
            "speed": {name: asdict(ratio) for name, ratio in report.speed.items()},
            "card": json.loads(report.card.to_json()),
            "warnings": warnings(report),
        },
        indent=2,
    )
