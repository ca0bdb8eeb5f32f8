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

from pocketgan.card import CARD_KEY, PRECISIONS, ModelCard, ParityFacts, TrainingFacts
from pocketgan.errors import OutputError
from pocketgan.files import whole_file
from pocketgan.generator import Generator
from pocketgan.latents import LATENT_STEP
from pocketgan.session import Provider, open_session
from pocketgan_trainer.data.mnist import DATA_SET
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.calibration import calibrate, calibration_sample
from pocketgan_trainer.export.float_graph import float_graph
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.integer_graph import integer_graph
from pocketgan_trainer.export.layers import Layer, classes, labels_in_turn
from pocketgan_trainer.export.rounding import ROUNDING_IMAGES, round_weights
from pocketgan_trainer.export.speed import SpeedRatio, speed_ratio
from pocketgan_trainer.export.verify import (
    PARITY_IMAGES,
    PARITY_SEED,
    Kernels,
    check_kernels,
    check_sums,
    compare,
    count_kernels,
    parity_latents,
)
from pocketgan_trainer.training.checkpoint import Checkpoint, restore_generator
from pocketgan_trainer.training.presets import PRESETS, Preset
from pocketgan_trainer.training.sampling import draw

_SPEED_BATCH = 64
_SPEED_ROUNDS = 7
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
    kernels: Kernels
    speed: SpeedRatio
    """Speed against the float32 file, at batch 64 on one thread."""
    card: ModelCard


def export(
    checkpoint: Checkpoint,
    target: Path,
    precision: str,
    licence: str = UNSTATED_LICENCE,
    quality: Mapping[str, float] = UNMEASURED,
) -> ExportReport:
    """Write the checkpoint's generator to `target` as `int8`, `fp16` or `fp32`, and return what was measured on the way.

    The file appears only after it has been checked: by onnx.checker, by the kernels that onnxruntime makes of it, by the sums
    that its weights can reach, by its pixels against torch's on PARITY_IMAGES latents, with the classes in turn, and by opening
    it with the runtime. `licence`, an SPDX word, and `quality`, figures by their names, go into the card. Raises CheckpointError
    if the weights do not fit, ExportError if a check fails, OutputError if the file cannot be written.
    """
    if os.path.isdir(target):
        raise OutputError(f"cannot write {target}: it is a folder; expected a file name such as {target / 'model.onnx'}")
    preset = PRESETS[checkpoint.config.preset]
    generator = restore_generator(checkpoint)
    layers = fold(generator)
    model = build_graph(layers, preset.latent_size, precision)
    onnx.checker.check_model(model, full_check=True)
    without_card = model.SerializeToString(deterministic=True)
    kernels = count_kernels(without_card)
    check_kernels(kernels, precision)
    check_sums(model)

    labels = labels_in_turn(layers, PARITY_IMAGES)
    feeds: dict[str, NDArray[np.generic]] = {"z": parity_latents(preset.latent_size)}
    if labels is not None:
        feeds["label"] = labels
    session = open_session(without_card, precision, Provider.cpu).session
    (images,) = session.run(["images"], feeds)
    # Of a generator with classes, which come in turn, all images of a class.
    firsts = images[: max(1, classes(layers))]
    if (images == firsts[np.arange(PARITY_IMAGES) % len(firsts)]).all():
        of_class = " of a class" if labels is not None else ""
        raise ExportError(
            f"all images{of_class} among {PARITY_IMAGES:,} are the same: the training has collapsed; take another checkpoint"
        )
    parity = compare(images, draw(generator, preset.latent_size, PARITY_SEED, 0, PARITY_IMAGES, labels), precision)

    float_model = build_graph(layers, preset.latent_size, "fp32").SerializeToString(deterministic=True)
    one_batch = {name: values[:_SPEED_BATCH] for name, values in feeds.items()}
    speed = speed_ratio(without_card, float_model, one_batch, _SPEED_ROUNDS)

    card = _card(checkpoint, preset, images.shape[1:], precision, parity, licence, quality)
    entry = model.metadata_props.add()
    entry.key, entry.value = CARD_KEY, card.to_json()
    contents = model.SerializeToString(deterministic=True)
    with whole_file(target) as temporary:
        temporary.write_bytes(contents)
        drawn = Generator.load(temporary, Provider.cpu).generate(_SPEED_BATCH, seed=PARITY_SEED)
        if not np.array_equal(drawn, images[:_SPEED_BATCH]):
            raise ExportError("the runtime draws other pixels from the finished file than were measured")
    return ExportReport(target, len(contents), len(float_model), hashlib.sha256(contents).hexdigest(), kernels, speed, card)


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
        quality=dict(quality),
        package_version=version("pocketgan"),
        licence=licence,
    )
