"""`gan-info`: shows what is installed, what is used and whether it works, for bug reports."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from pocketgan import shared_options
from pocketgan.console import (
    cli_errors,
    command_line,
    limit_numpy_threads,
    print_output,
    printable,
    run_and_exit,
)
from pocketgan.errors import PocketganError
from pocketgan.help_page import PlainCommand, examples
from pocketgan.model.session import Provider
from pocketgan.trait_table import TRAITS, VALUES_PER_UNIT, common_range

if TYPE_CHECKING:
    from pocketgan.cpus import Cpu
    from pocketgan.installation import Installation
    from pocketgan.model.card import ModelCard
    from pocketgan.model_check import DrawingCheck, ModelFacts

Rows: TypeAlias = list[tuple[str, str]]
"""Rows of the table: label and value."""

_SPACE = ("", "")
_LABEL_WIDTH = 18
_LONGEST_VALUE = 500
_NOT_KNOWN = "not known"
_NOT_INSTALLED = "not installed: numpy draws int8 models"
_EXPLAINED = {"asimddp": "asimddp (dot product)", "i8mm": "i8mm (matrix product)"}

app = command_line()


@app.command(
    cls=PlainCommand,
    epilog=examples(
        "gan-info",
        "gan-info --model model.onnx",
    ),
)
def info(
    model: shared_options.Model = None,
    provider: shared_options.ProviderChoice = Provider.auto,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
    version: shared_options.Version = False,
) -> None:
    """Show what is installed, what is used and whether it works. Paste the output into bug reports.

    Opens onnxruntime sessions, reads the model's card, draws images and measures the time. Exits with code 1 if anything is
    broken.
    """
    with cli_errors():
        problems = _print_facts(model, provider, as_json)
        if problems:
            raise PocketganError(problems[0])


def _print_facts(model: str | None, provider: Provider, as_json: bool) -> list[str]:
    """Print all facts, and return the problems, with the cause of others first."""
    from pocketgan.installation import find_installation
    from pocketgan.model.checked import CheckedModel, inspect_model
    from pocketgan.model_check import check_drawing, facts_of

    # Rows are printed as soon as they are known, because a model may be slow or even crash the process.
    show: Callable[[Rows], None] = _print_rows if not as_json else lambda rows: None
    installation = find_installation()
    show(_installation_rows(installation))
    found = inspect_model(model)
    file = facts_of(found)
    show([_SPACE, *_model_rows(file)])
    drawing = None
    if not installation.problems and isinstance(found, CheckedModel):
        drawing = check_drawing(found, file.bundled, provider)
        show([_SPACE, *_drawing_rows(drawing)])
    possible = [*installation.problems, file.problem, None if drawing is None else drawing.problem]
    problems = [problem for problem in possible if problem is not None]
    show([("problem", problem) for problem in problems])
    if as_json:
        print_output(_as_json(installation, file, drawing, problems))
    return problems


def _installation_rows(installation: "Installation") -> Rows:
    cpus, runtime = installation.cpus, installation.onnxruntime
    by_affinity = "" if cpus.affinity is None else f"{cpus.affinity} by affinity, "
    installed = ", ".join(f"{found.name} {found.version}" for found in runtime.distributions) or "none"
    is_absent = runtime.version is None and installation.problems == ()
    states = {True: "live", False: "not live", None: "not used by pocketgan"}
    return [
        ("pocketgan", installation.pocketgan),
        ("python", installation.python),
        ("platform", installation.platform),
        ("cpu", f"{installation.cpu.name or _NOT_KNOWN} ({installation.cpu.machine})"),
        ("cpu features", _features(installation.cpu)),
        ("cpus", f"{cpus.usable} usable; {by_affinity}{cpus.machine or _NOT_KNOWN} in the machine"),
        ("numpy", installation.numpy.version or "cannot be imported"),
        ("onnxruntime", _NOT_INSTALLED if is_absent else f"{runtime.version or 'not usable'}; distributions: {installed}"),
        *(
            ("provider", f"{state.name}: {states[state.is_live]}" + (f" ({state.reason})" if state.reason else ""))
            for state in runtime.providers
        ),
    ]


def _features(cpu: "Cpu") -> str:
    if cpu.features is None:
        return _NOT_KNOWN
    present, absent = (
        ", ".join(_EXPLAINED.get(name, name) for name, is_present in cpu.features.items() if is_present is wanted)
        for wanted in (True, False)
    )
    return (present or "none") + (f"; not {absent}" if absent else "")


def _model_rows(file: "ModelFacts") -> Rows:
    rows = [("model", "none" if file.path is None else f"{file.path} ({file.reason})")]
    if file.size_bytes is not None:
        rows += [("size", f"{file.size_bytes:,} bytes"), ("sha256", str(file.sha256)), ("bundled", file.bundled or "no")]
    return rows + ([] if file.card is None else _card_rows(file.card))


def _card_rows(card: "ModelCard") -> Rows:
    training, parity, kernels = card.training, card.parity, card.kernels
    kernel_counts = _NOT_KNOWN
    if kernels is not None:
        kernel_counts = f"{kernels.integer} integer; in floating point: {', '.join(kernels.floating_point) or 'none'}"
    return [
        ("name", card.name),
        ("architecture", card.architecture),
        ("precision", card.precision),
        ("latents", f"{card.latent_size} in steps of {card.latent_step:g}"),
        ("classes", ", ".join(_classes(card)) or "none"),
        ("image", f"{card.image_height} x {card.image_width} pixels"),
        ("traits", _chosen_traits(card)),
        ("trained on", f"{training.data_set}: {training.images_seen:,} images, {training.epochs} epochs, seed {training.seed}"),
        ("checkpoint", f"sha256 {training.checkpoint_sha256}"),
        (
            "against torch",
            f"PSNR {parity.psnr_db:.2f} dB over {parity.images:,} images; mean error {parity.mean_error:.2f}, "
            f"largest {parity.largest_error} of 255 grey levels",
        ),
        ("kernels", kernel_counts),
        ("quality", ", ".join(f"{name} {value:.4g}" for name, value in card.quality.items()) or "not in the file"),
        ("exported by", f"pocketgan {card.package_version}"),
        ("licence", card.licence_in_words),
    ]


def _classes(card: "ModelCard") -> list[str]:
    """Return the name of each class, with its label in parentheses unless the label follows from the name."""
    if card.class_labels is None:
        return list(card.classes)
    return [f"{name} ({label})" for name, label in zip(card.classes, card.class_labels, strict=True)]


def _chosen_traits(card: "ModelCard") -> str:
    """Return the values of each trait that can be asked for in all classes."""
    if card.traits is None:
        return "cannot be chosen"
    ranges = []
    for name, unit in TRAITS.items():
        least, most = (value / VALUES_PER_UNIT for value in common_range(card.traits, name))
        ranges.append(f"{name} {least:g} to {most:g} {unit}" if least <= most else f"{name} by class, none that all classes have")
    return ", ".join(ranges)


def _drawing_rows(drawing: "DrawingCheck") -> Rows:
    rows = [("drawn on", f"{drawing.provider.value} ({drawing.provider_reason})")] if drawing.provider is not None else []
    if drawing.golden is not None:
        golden = drawing.golden.expected
        which = f"images 0 to {golden.count - 1} of seed {golden.seed}"
        rows.append(("golden pixels", f"{which} are {'as released' if drawing.golden.holds else 'NOT as released'}"))
    for timing in drawing.timings:
        usual = f"{timing.median_microseconds:.4g} microseconds per image, one thread, median of {timing.runs}"
        rows.append((f"in batches of {timing.batch_size}", f"{usual}; the first {timing.first_microseconds:.4g}"))
    return rows


def _as_json(installation: "Installation", file: "ModelFacts", drawing: "DrawingCheck | None", problems: list[str]) -> str:
    card = None if file.card is None else json.loads(file.card.to_json())
    facts = {
        "installation": asdict(installation),
        "model": asdict(file) | {"card": card},
        "drawing": None if drawing is None else asdict(drawing),
        "problems": problems,
    }
    return json.dumps(_plain(facts), indent=2, allow_nan=False)


def _plain(value: object) -> object:
    """Return a value for JSON: a path becomes text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _print_rows(rows: Rows) -> None:
    """Print rows of the table. Long values are cut, and characters that are not printable are replaced."""
    for label, value in rows:
        shown = value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}... ({len(value):,} characters)"
        _put_encoded(f"{label:<{_LABEL_WIDTH}}{printable(shown)}".rstrip())


def _put_encoded(text: str) -> None:
    """Print to stdout, with question marks for characters that its encoding does not have."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print_output(text.encode(encoding, "replace").decode(encoding))


def main() -> None:
    """Run `gan-info`."""
    limit_numpy_threads()
    run_and_exit(app)


if __name__ == "__main__":
    main()
