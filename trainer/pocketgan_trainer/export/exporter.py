"""Exports a checkpoint to one verified ONNX or C file, and reports what was measured on the way."""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from pocketgan.errors import OutputError
from pocketgan.files import named_file, refuse_other_file, remove_temporaries, whole_file
from pocketgan.generator import Generator
from pocketgan.latents import LATENT_STEP
from pocketgan.model.card import CARD_KEY, PRECISIONS, UNSTATED_LICENCE, KernelFacts, ModelCard, ParityFacts, TrainingFacts
from pocketgan.model.session import Provider, open_session
from pocketgan.trait_table import ClassTraits
from pocketgan.version import VERSION
from pocketgan_trainer.data.remarks import DARK_PEAK
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.c_source import C_SUFFIX, c_source, check_c_source
from pocketgan_trainer.export.calibration import Quantization, calibrate, calibration_sample, with_shared_scales
from pocketgan_trainer.export.comparison import SPEED_BATCH, Baseline, baseline_files, measure_baselines
from pocketgan_trainer.export.float_graph import float_graph
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.integer_graph import integer_graph
from pocketgan_trainer.export.layers import Layer, class_count, labels_in_turn, model_inputs
from pocketgan_trainer.export.measured_traits import MeasuredTraits, describe_traits, measure_traits
from pocketgan_trainer.export.rounding import ROUNDING_IMAGES, round_weights
from pocketgan_trainer.export.verify import (
    PARITY_IMAGES,
    PARITY_SEED,
    SAME_PIXELS_IMAGES,
    Check,
    RefusedExportError,
    before_scan,
    check_kernels,
    check_overflow,
    check_parity,
    check_same_pixels,
    check_scan,
    count_kernels,
    measure_parity,
    optimized,
    require_variety,
    usual_least_psnr_db,
)
from pocketgan_trainer.export.weights import IntegerWeights
from pocketgan_trainer.networks.conditional import remove_scan
from pocketgan_trainer.training.checkpoint import Checkpoint, restore_generator
from pocketgan_trainer.training.drawing import draw
from pocketgan_trainer.training.presets import PRESETS, generator_classes, latent_size

_MOST_FAINT = 0.5
"""The share of images that show hardly anything above which the user is warned."""
UNMEASURED: Mapping[str, float] = MappingProxyType({})
"""The quality of a model that has not been evaluated."""


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote and measured."""

    target: Path
    size_bytes: int
    float_size_bytes: int
    """Size of the same generator as a float32 file, without a card."""
    sha256: str
    """Digest of the file."""
    checks: tuple[Check, ...]
    """A check with a problem is among them only if the file was written with `force`."""
    baselines: Mapping[str, Baseline]
    """Other files of the same generator by name, see comparison.py."""
    traits: MeasuredTraits | None
    """None if it was not trained with traits, or the file is C."""
    faint_share: float
    """Share of dark images, see DARK_PEAK."""
    card: ModelCard


def export(
    checkpoint: Checkpoint,
    target: Path,
    precision: str,
    least_psnr_db: float | None = None,
    force: bool = False,
    overwrite: bool = False,
    licence: str = UNSTATED_LICENCE,
    quality: Mapping[str, float] = UNMEASURED,
) -> ExportReport:
    """Write the checkpoint's generator to `target` as `int8`, `fp16` or `fp32`, and return what was measured on the way.

    The file appears only after these checks: onnx.checker; the kernels that onnxruntime makes of it; the sums that its weights
    can reach; its pixels on PARITY_IMAGES latents with the classes in turn, which must be near to torch's; with a scan, that
    the fields are near to torch's and the images exactly those that torch makes of these fields; that the pixels are the same in
    any batch; and opening it with the runtime, or, for a target that ends in .c, compiling it. `least_psnr_db` replaces the
    preset's own limit. `force` writes the file even if a `verify.Check` finds a problem; the card then holds the figures, but not
    that they were too low. `overwrite` replaces an older file, even if it was not made from this checkpoint. `licence`, an SPDX
    identifier, and `quality`, figures by name, go into the card.

    Raises CheckpointError if the weights do not fit, RefusedExportError if a check fails, ExportError if the layers cannot be
    exported or all images are the same, OutputError if the file cannot be written or may not be replaced.
    """
    file = _file_to_write(target)
    if not overwrite:
        made_from = f"was not made from {checkpoint.path}"  # whose digest is in the file
        refuse_other_file(file, checkpoint.sha256.encode(), f"{made_from}: choose another PATH, or --overwrite replaces it")
    if target.suffix == C_SUFFIX and precision != "int8":
        raise ExportError(f"{target} computes with whole numbers alone: expected int8, not {precision}")
    preset, size = PRESETS[checkpoint.config.preset], latent_size(checkpoint.config)
    generator = restore_generator(checkpoint)
    layers = fold(generator)
    integers = integers_of(layers, size) if precision == "int8" else None
    model = build_graph(layers, size, precision) if integers is None else integer_graph(*integers, size)
    onnx.checker.check_model(model, full_check=True)
    without_card = model.SerializeToString(deterministic=True)
    as_run = optimized(without_card)
    kernels = count_kernels(as_run)

    classes = class_count(layers)
    inputs = model_inputs(size, classes, PARITY_SEED, PARITY_IMAGES)
    session = open_session(without_card, precision, Provider.cpu).session
    (images,) = session.run(["images"], inputs)
    require_variety(images, classes)
    scan = remove_scan(generator)
    pixels = images
    if scan is not None:
        (pixels,) = open_session(before_scan(without_card), precision, Provider.cpu).session.run(None, inputs)
    reference = draw(generator, size, PARITY_SEED, 0, PARITY_IMAGES, labels_in_turn(classes, PARITY_IMAGES))
    parity = measure_parity(pixels, reference)

    limit = usual_least_psnr_db(preset, precision, scan is not None) if least_psnr_db is None else least_psnr_db
    checks = [check_kernels(kernels, precision), check_parity(parity, limit)]
    if scan is not None:
        checks.append(check_scan(scan, pixels, inputs["z"], images))
    if precision == "int8":
        checks += [check_overflow(as_run), check_same_pixels(without_card, inputs, images)]
    if not force and any(check.problem is not None for check in checks):
        raise RefusedExportError(checks)
    with suppress(OutputError):  # leftovers take up space but do no harm
        remove_temporaries(file.parent, lambda name: name == file.name, is_alone=False)
    float_model = build_graph(layers, size, "fp32")
    baselines: Mapping[str, Baseline] = {}
    if target.suffix != C_SUFFIX:  # these are ONNX files, whose speed says nothing about C
        baselines = measure_baselines(baseline_files(float_model, precision, classes, size), without_card, inputs, reference)

    # onnxruntime turns a float graph into other kernels on other processors, and the file must be the same on all of them.
    in_card = kernels if precision == "int8" else None
    # A C file takes the latents as they are.
    has_traits = checkpoint.config.trait_weight and target.suffix != C_SUFFIX
    traits = measure_traits(session, size, classes) if has_traits else None
    table = None if traits is None else traits.table
    card = model_card(checkpoint, images.shape[1:], precision, parity, in_card, licence, quality, table)
    entry = model.metadata_props.add()
    entry.key, entry.value = CARD_KEY, card.to_json()
    if target.suffix == C_SUFFIX and integers is not None:
        about = f"{card.name} ({card.architecture}), licence {card.licence_in_words}\n * Checkpoint: SHA-256 {checkpoint.sha256}"
        contents = c_source(*integers, size, about).encode()
        checks.append(check_c_source(contents, inputs, images))
        if not force and checks[-1].problem is not None:
            raise RefusedExportError(checks)
        with whole_file(file) as temporary:
            temporary.write_bytes(contents)
    else:
        contents = model.SerializeToString(deterministic=True)
        _write(contents, file, images[:SAME_PIXELS_IMAGES])
    sha256 = hashlib.sha256(contents).hexdigest()
    return ExportReport(
        target,
        len(contents),
        float_model.ByteSize(),
        sha256,
        tuple(checks),
        MappingProxyType(dict(baselines)),
        traits,
        float((images.max(axis=(1, 2)) < DARK_PEAK).mean()),
        card,
    )


def _file_to_write(target: Path) -> Path:
    """Return the file to write: the target, or the file behind it if it is a link.

    Raises OutputError if no file can be written there; better now than after a minute of work.
    """
    if os.path.isdir(target):
        raise OutputError(f"cannot write {target}: it is a folder; expected a file name such as {target / 'model.onnx'}")
    file = named_file(target)
    try:
        TemporaryFile(dir=file.parent).close()
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror}; choose a PATH in a folder that you may write") from error
    return file


class Integers(NamedTuple):
    """Layers, the quantizations of their outputs, and their weights: what an integer file is made of."""

    layers: list[Layer]
    quantizations: list[Quantization | None]
    weights: list[IntegerWeights | None]


def integers_of(layers: list[Layer], latent_size: int) -> Integers:
    """Return the integers of layers, calibrated and rounded."""
    quantizations = calibrate(layers, latent_size)
    layers = with_shared_scales(layers, quantizations)
    weights = round_weights(layers, quantizations, *calibration_sample(layers, latent_size, ROUNDING_IMAGES))
    return Integers(layers, quantizations, weights)


def build_graph(layers: list[Layer], latent_size: int, precision: str) -> onnx.ModelProto:
    """Return the ONNX model of a generator's layers in one of the precisions of `card.PRECISIONS`, without a card.

    Raises ExportError if the precision is not known, or the layers cannot be written in ONNX.
    """
    if precision == "int8":
        return integer_graph(*integers_of(layers, latent_size), latent_size)
    if precision not in PRECISIONS:
        raise ExportError(f"precision {precision!r} is not known: expected one of {', '.join(PRECISIONS)}")
    return float_graph(layers, latent_size, np.float16 if precision == "fp16" else np.float32)


def model_card(
    checkpoint: Checkpoint,
    image_shape: tuple[int, int],
    precision: str,
    parity: ParityFacts,
    kernels: KernelFacts | None,
    licence: str,
    quality: Mapping[str, float],
    traits: tuple[ClassTraits, ...] | None,
) -> ModelCard:
    """Return the card of a checkpoint's generator, exported in a precision, with what was measured of the file.

    `image_shape` is height and width; `kernels` is None if they depend on the processor. The caller chooses
    `licence`, an SPDX identifier, `quality`, figures by name, and `traits`, None if they cannot be chosen.
    """
    config, progress = checkpoint.config, checkpoint.progress
    classes = generator_classes(config)
    return ModelCard(
        name=f"{config.preset}-{config.data.name}",
        architecture=config.preset,
        latent_size=latent_size(config),
        latent_step=LATENT_STEP,
        classes=classes,
        image_height=image_shape[0],
        image_width=image_shape[1],
        precision=precision,
        training=TrainingFacts(
            data_set=config.data.name,
            images_seen=progress.images_seen,
            epochs=progress.epoch,
            seed=config.seed,
            checkpoint_sha256=checkpoint.sha256,
        ),
        parity=parity,
        kernels=kernels,
        quality=dict(quality),
        package_version=VERSION,
        licence=licence,
        class_labels=config.data.class_labels if classes else None,
        traits=traits,
    )


def _write(contents: bytes, file: Path, images: NDArray[np.uint8]) -> None:
    """Write the finished file, if the runtime draws these `images` of PARITY_SEED from it."""
    with whole_file(file) as temporary:
        temporary.write_bytes(contents)
        from_file = Generator.load(temporary, Provider.cpu).generate(len(images), seed=PARITY_SEED)
        if not np.array_equal(from_file, images):
            raise ExportError(
                "the runtime draws other pixels from the finished file than were measured; nothing was written: report this"
            )


def report_rows(report: ExportReport) -> list[tuple[str, str]]:
    """Return the rows of the printed table: a name, and what was found."""
    is_c = report.target.suffix == C_SUFFIX
    share = "of C source" if is_c else f"{report.size_bytes / report.float_size_bytes:.0%} of float32"
    rows = [("size", f"{report.size_bytes:,} bytes, {share}")]
    rows += [(check.name, check.found) for check in report.checks]
    if report.traits is not None:
        rows.append(("traits", describe_traits(report.traits, report.card.classes)))
    for name, other in report.baselines.items():
        speed = f"{other.speed.median:.2f} times as fast ({other.speed.lowest:.2f} to {other.speed.highest:.2f})"
        figures = f"has {other.size_bytes:,} bytes, {other.psnr_db:.2f} dB"
        rows.append((f"vs {name}", f"{speed} at batch {SPEED_BATCH}, one thread; {figures}"))
    return rows


def report_warnings(report: ExportReport) -> list[str]:
    """Return the problems that `force` overrode, and warnings of images that show nothing and of baselines that are faster."""
    problems = [check.problem for check in report.checks if check.problem is not None]
    if report.faint_share > _MOST_FAINT:
        problems.append(
            f"{report.faint_share:.0%} of the images show hardly anything, no pixel brighter than {DARK_PEAK - 1} of 255 grey "
            "levels: train longer, unless the training images are as dark"
        )
    return problems + [
        f"this int8 file is slower than {name} here: {other.speed.median:.3f} times as fast "
        f"({other.speed.lowest:.2f} to {other.speed.highest:.2f})"
        for name, other in report.baselines.items()
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
            "trait_correlations": None if report.traits is None else dict(report.traits.means),
            "comparisons": {name: asdict(other) for name, other in report.baselines.items()},
            "speed_batch": SPEED_BATCH,
            "warnings": report_warnings(report),
            "card": json.loads(report.card.to_json()),
        },
        indent=2,
    )


def refusal_json(error: ExportError) -> str:
    """Return as JSON why a file was not written, and what each check found if the export got that far."""
    checks = [asdict(check) for check in error.checks] if isinstance(error, RefusedExportError) else []
    return json.dumps({"written": False, "error": str(error), "checks": checks}, indent=2)
