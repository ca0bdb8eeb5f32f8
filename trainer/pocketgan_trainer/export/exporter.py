"""From a checkpoint to one verified ONNX file, step by step."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
from numpy.typing import NDArray

from pocketgan.card import CARD_KEY, PRECISIONS, KernelFacts, ModelCard, ParityFacts, TrainingFacts
from pocketgan.errors import OutputError
from pocketgan.files import whole_file
from pocketgan.generator import Generator
from pocketgan.latents import LATENT_STEP, latents
from pocketgan.session import Provider, open_session
from pocketgan_trainer.data.mnist import DATA_SET
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.calibration import CALIBRATION_SEED, calibrate, calibration_sample
from pocketgan_trainer.export.float_graph import float_graph
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.integer_graph import integer_graph
from pocketgan_trainer.export.layers import Layer, classes, labels_in_turn
from pocketgan_trainer.export.limits import Limits, default_limits
from pocketgan_trainer.export.naive_quantization import NAIVE_IMAGES, naive_int8
from pocketgan_trainer.export.rounding import ROUNDING_IMAGES, round_weights
from pocketgan_trainer.export.speed import SpeedRatio, speed_ratios
from pocketgan_trainer.export.verify import (
    PARITY_IMAGES,
    PARITY_SEED,
    compare,
    count_kernels,
    kernel_problem,
    largest_sum,
    parity_problem,
    same_pixels_problem,
    sum_problem,
)
from pocketgan_trainer.training.checkpoint import Checkpoint, restore_generator
from pocketgan_trainer.training.presets import PRESETS, Preset
from pocketgan_trainer.training.sampling import draw

_SPEED_BATCH = 64
_SPEED_ROUNDS = 7
FLOAT_FILE, NAIVE_FILE = "float32", "quantize_static"
"""What speed is compared with: the same generator in float32, and what onnxruntime's own quantizer makes of that."""
UNSTATED_LICENCE = "NOASSERTION"
"""SPDX's word for weights whose licence nobody has stated."""
UNMEASURED: Mapping[str, float] = MappingProxyType({})
"""The quality of a model that nobody has scored."""


@dataclass(frozen=True)
class ExportReport:
    """What an export made and measured."""

    target: Path
    size_bytes: int
    float_size_bytes: int
    """Size of the same generator as a float32 file."""
    sha256: str
    """Digest of the file."""
    kernels: KernelFacts
    speed: Mapping[str, SpeedRatio]
    """Speed at batch 64 on one thread, against other files of the same generator by their names, all timed in one run."""
    problems: tuple[str, ...]
    """What is wrong with the file, which was written all the same because that was asked for."""
    card: ModelCard


def export(
    checkpoint: Checkpoint,
    target: Path,
    precision: str,
    limits: Limits | None = None,
    licence: str = UNSTATED_LICENCE,
    quality: Mapping[str, float] = UNMEASURED,
) -> ExportReport:
    """Write the checkpoint's generator to `target` as `int8`, `fp16` or `fp32`, and return what was measured on the way.

    The file appears only after it has been checked: by onnx.checker, by the kernels that onnxruntime makes of it, by the sums
    that its weights can reach, by its pixels, which must be near to torch's on PARITY_IMAGES latents with the classes in turn
    and the same in any batch, and by opening it with the runtime. `limits` are those of the preset unless told otherwise;
    `licence`, an SPDX word, and `quality`, figures by their names, go into the card. Raises CheckpointError if the weights do
    not fit, ExportError if a check fails, OutputError if the file cannot be written.
    """
    if os.path.isdir(target):
        raise OutputError(f"cannot write {target}: it is a folder; expected a file name such as {target / 'model.onnx'}")
    preset = PRESETS[checkpoint.config.preset]
    limits = limits or default_limits(preset, precision)
    generator = restore_generator(checkpoint)
    layers = fold(generator)
    model = build_graph(layers, preset.latent_size, precision)
    onnx.checker.check_model(model, full_check=True)
    without_card = model.SerializeToString(deterministic=True)
    kernels = count_kernels(without_card)

    feeds = _feeds(layers, preset.latent_size, PARITY_SEED, PARITY_IMAGES)
    (images,) = open_session(without_card, precision, Provider.cpu).session.run(["images"], feeds)
    _check_variety(images, classes(layers))
    labels = labels_in_turn(layers, PARITY_IMAGES)
    parity = compare(images, draw(generator, preset.latent_size, PARITY_SEED, 0, PARITY_IMAGES, labels))

    found = [
        kernel_problem(kernels, precision),
        sum_problem(model),
        parity_problem(parity, precision, limits.least_psnr_db),
        same_pixels_problem(without_card, feeds, images) if precision == "int8" else None,
    ]
    problems = tuple(problem for problem in found if problem is not None)
    if problems and not limits.is_forced:
        raise ExportError("; ".join(problems) + ". Take another checkpoint or another --precision, or --force it")

    float_model = build_graph(layers, preset.latent_size, "fp32")
    float_contents = float_model.SerializeToString(deterministic=True)
    baselines = {FLOAT_FILE: float_contents}
    if precision == "int8":
        baselines[NAIVE_FILE] = naive_int8(float_model, _feeds(layers, preset.latent_size, CALIBRATION_SEED, NAIVE_IMAGES))
    one_batch = {name: values[:_SPEED_BATCH] for name, values in feeds.items()}
    speed = dict(zip(baselines, speed_ratios(without_card, list(baselines.values()), one_batch, _SPEED_ROUNDS), strict=True))

    facts = KernelFacts(kernels.integer, kernels.other, largest_sum(model))
    card = _card(checkpoint, preset, images.shape[1:], precision, parity, facts, licence, quality)
    entry = model.metadata_props.add()
    entry.key, entry.value = CARD_KEY, card.to_json()
    contents = model.SerializeToString(deterministic=True)
    with whole_file(target) as temporary:
        temporary.write_bytes(contents)
        drawn = Generator.load(temporary, Provider.cpu).generate(_SPEED_BATCH, seed=PARITY_SEED)
        if not np.array_equal(drawn, images[:_SPEED_BATCH]):
            raise ExportError("the runtime draws other pixels from the finished file than were measured")
    sha256 = hashlib.sha256(contents).hexdigest()
    return ExportReport(target, len(contents), len(float_contents), sha256, facts, MappingProxyType(speed), problems, card)


def _feeds(layers: list[Layer], latent_size: int, seed: int, count: int) -> dict[str, NDArray[np.generic]]:
    """Return a model's inputs by name: latents of a seed, and the classes in turn if it has any."""
    labels = labels_in_turn(layers, count)
    feeds: dict[str, NDArray[np.generic]] = {"z": latents(seed, 0, count, latent_size)}
    return feeds if labels is None else {**feeds, "label": labels}


def _check_variety(images: NDArray[np.uint8], class_count: int) -> None:
    """Raise ExportError if all images, of which the classes come in turn, are the same, or all of a class."""
    firsts = images[: max(1, class_count)]
    if (images == firsts[np.arange(len(images)) % len(firsts)]).all():
        of_class = " of a class" if class_count else ""
        raise ExportError(
            f"all images{of_class} among {len(images):,} are the same: the training has collapsed; take another checkpoint"
        )


def build_graph(layers: list[Layer], latent_size: int, precision: str) -> onnx.ModelProto:
    """Return the ONNX model of a generator's layers in one of the precisions of `card.PRECISIONS`, without a card.

    Raises ExportError if the precision is not known, or the layers cannot be written in ONNX.
    """
    if precision == "int8":
        grids = calibrate(layers, latent_size)
        weights = round_weights(layers, grids, *calibration_sample(layers, latent_size, ROUNDING_IMAGES))
        return integer_graph(layers, grids, weights, latent_size)
    if precision not in PRECISIONS:
        raise ExportError(f"precision {precision!r} is not known: expected one of {', '.join(PRECISIONS)}")
    return float_graph(layers, latent_size, np.float16 if precision == "fp16" else np.float32)


def _card(
    checkpoint: Checkpoint,
    preset: Preset,
    image_shape: tuple[int, int],
    precision: str,
    parity: ParityFacts,
    kernels: KernelFacts,
    licence: str,
    quality: Mapping[str, float],
) -> ModelCard:
    config, progress = checkpoint.config, checkpoint.progress
    return ModelCard(
        name=f"{config.preset}-{DATA_SET}",
        architecture=config.preset,
        latent_size=preset.latent_size,
        latent_step=LATENT_STEP,
        classes=preset.classes,
        image_height=image_shape[0],
        image_width=image_shape[1],
        precision=precision,
        training=TrainingFacts(
            data_set=DATA_SET,
            images_seen=progress.images_seen,
            epochs=progress.epoch,
            seed=config.seed,
            checkpoint_sha256=checkpoint.sha256,
        ),
        parity=parity,
        kernels=kernels,
        quality=dict(quality),
        package_version=version("pocketgan"),
        licence=licence,
    )
