"""Our files compared with those of torch.onnx.export, which does not fold, rewrite or quantize."""

from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
from built_graphs import rounded_graph
from lively_generators import lively_canvas, lively_generator, lively_pocket
from numpy.typing import NDArray
from torch import nn
from torch_export import torch_export

from pocketgan_trainer.export import calibration
from pocketgan_trainer.export.calibration import calibrate
from pocketgan_trainer.export.float_graph import float_graph
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import model_inputs
from pocketgan_trainer.training.presets import PRESETS, latent_size, preset_config

IMAGES = 50


@cache
def generator(preset: str) -> nn.Module:
    """Return an untrained generator of a preset that uses its whole range: without a canvas, or nano's with one, `canvas`."""
    if preset in ("dcgan", "mlp"):
        return lively_generator(preset)
    nano = PRESETS["nano"]
    if preset == "canvas":
        assert nano.canvas is not None
        return lively_canvas(nano.latent_size, nano.canvas.width)
    sizes = {"pocket": (64, (48, 24, 12), 8), "nano": (24, (20, 12, 6), 4)}
    return lively_pocket(*sizes[preset])


LATENT_SIZES = {
    **{name: preset.latent_size for name, preset in PRESETS.items()},
    "canvas": latent_size(preset_config("nano", canvas=True)),
}
CONDITIONAL = ("nano", "pocket", "canvas")


def run(contents: bytes, preset: str) -> NDArray[np.float64]:
    """Return onnxruntime's output of a file for the same latents, and classes if there are any."""
    inputs = model_inputs(LATENT_SIZES[preset], 10 if preset in CONDITIONAL else 0, 5, IMAGES)
    session = onnxruntime.InferenceSession(contents, providers=["CPUExecutionProvider"])
    (images,) = session.run(["images"], inputs)
    assert isinstance(images, np.ndarray)
    return images.astype(np.float64)


@cache
def reference(preset: str) -> NDArray[np.float64]:
    """Return the grey levels of torch's own file, not rounded, [N, 28, 28]."""
    contents = torch_export(generator(preset), LATENT_SIZES[preset], preset in CONDITIONAL)
    levels: NDArray[np.float64] = (run(contents, preset)[:, 0] + 1) * 127.5
    return levels


@pytest.mark.parametrize("preset", list(LATENT_SIZES))
def test_torchs_file_has_the_operators_of_the_generator(preset: str) -> None:
    contents = torch_export(generator(preset), LATENT_SIZES[preset], preset in CONDITIONAL)
    operators = {node.op_type for node in onnx.load_from_string(contents).graph.node}
    assert ("ConvTranspose" in operators) == (preset == "dcgan")
    assert ("BatchNormalization" in operators) == (preset != "mlp")
    assert reference(preset).shape == (IMAGES, 28, 28)
    assert reference(preset).std() > 40


@pytest.mark.parametrize("preset", list(LATENT_SIZES))
def test_our_float32_file_draws_torchs_pixels(preset: str) -> None:
    model = float_graph(fold(generator(preset)), LATENT_SIZES[preset], np.float32)
    difference = np.abs(run(model.SerializeToString(), preset) - reference(preset))
    # Half a level is rounding; pocket's own rounding may fall on the other side of a half.
    assert (difference > 0.51).mean() < 1e-3
    assert difference.max() < 1.01


@pytest.mark.parametrize(
    "preset", ["mlp", "nano", *(pytest.param(preset, marks=pytest.mark.slow) for preset in ("dcgan", "pocket"))]
)
def test_our_int8_file_draws_nearly_torchs_pixels(monkeypatch: pytest.MonkeyPatch, preset: str) -> None:
    monkeypatch.setattr(calibration, "CALIBRATION_IMAGES", 64)
    layers, size = fold(generator(preset)), LATENT_SIZES[preset]
    model = rounded_graph(layers, calibrate(layers, size), size)
    difference = run(model.SerializeToString(), preset) - reference(preset)
    psnr_db = 10 * np.log10(255**2 / (difference**2).mean())
    # Untrained generators, whose images are noise, lose more than trained ones; a mistake in a layer costs 20 dB and more.
    assert psnr_db > 30
