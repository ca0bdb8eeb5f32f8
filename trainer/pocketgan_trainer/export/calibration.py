"""Quantizes activations to 8 bits; calibration chooses the scale and the zero point of each layer's output."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketgan.latents import LATENT_STEP, latents
from pocketgan_trainer.export.layers import (
    Array,
    ClassInput,
    Convolution,
    GreyLevels,
    Layer,
    Noise,
    PixelShuffle,
    Relu,
    Scanned,
    Tanh,
    ToImage,
    activations,
    class_count,
    is_followed_by,
    labels_in_turn,
)


@dataclass(frozen=True)
class Quantization:
    """How ONNX's QuantizeLinear stores a number x: as the uint8 round(x / scale) + zero_point, clipped to 0..255."""

    scale: float
    zero_point: int

    def quantize(self, values: Array) -> NDArray[np.uint8]:
        """Return the integers for `values`, any shape."""
        integers: NDArray[np.uint8] = np.clip(np.rint(values / self.scale) + self.zero_point, 0, 255).astype(np.uint8)
        return integers

    def dequantize(self, integers: NDArray[np.uint8]) -> Array:
        """Return the numbers that integers stand for, any shape."""
        return (integers.astype(np.float64) - self.zero_point) * self.scale


LATENT_QUANTIZATION = Quantization(scale=LATENT_STEP, zero_point=128)
"""Latents are multiples of this scale within its range, so they are stored exactly."""

# Beyond this, 255 * sigmoid(x) rounds to 0 or 255, so a logit's range never needs to be wider.
_LARGEST_LOGIT = 6.24
LOGIT_QUANTIZATION = Quantization(scale=float(np.float32(_LARGEST_LOGIT / 127)), zero_point=128)
"""For twice the input of the last tanh, since (tanh(x) + 1) / 2 = sigmoid(2x)."""

PIXEL_QUANTIZATION = Quantization(scale=float(np.float32(1 / 255)), zero_point=0)
"""For grey levels from 0 to 1: the stored integer is the pixel. A whole number is stored as 255 if it is above 0, else as 0."""

WHOLE_QUANTIZATION = Quantization(scale=1, zero_point=0)
"""For whole numbers from 0 to 255, as they are."""

WEIGHTED_QUANTIZATION = Quantization(scale=255, zero_point=0)
"""For sums of products of whole numbers, of which one is in units of 1 / 255."""

CALIBRATION_IMAGES = 512
CALIBRATION_SEED = 2**32 + 1
"""Neither the seed of the validation score nor a small number that a user may choose: what is measured has other latents."""


def calibrate(layers: list[Layer], latent_size: int) -> list[Quantization | None]:
    """Return the quantization of each layer's output, None for layers that do not change the stored integers.

    The ranges are measured on CALIBRATION_IMAGES latents of the runtime's own sampler, with the classes in turn. The input of the
    last tanh and the grey levels at the end have fixed ranges. The input of a ReLU gets zero point 0, so storing it already clips
    negative numbers.
    """
    latent, label = calibration_sample(layers, latent_size, CALIBRATION_IMAGES)
    with torch.inference_mode():
        outputs = activations(layers, latent, label)
    quantizations: list[Quantization | None] = []
    for position, (layer, output) in enumerate(zip(layers, outputs, strict=True)):
        if isinstance(layer, ToImage | PixelShuffle | Relu | GreyLevels | Noise | Scanned):
            quantizations.append(None)
        elif isinstance(layer, ClassInput):
            quantizations.append(LATENT_QUANTIZATION)
        elif isinstance(layer, Tanh) or is_followed_by(layers, position, GreyLevels):
            quantizations.append(PIXEL_QUANTIZATION)
        elif is_followed_by(layers, position, Tanh):
            quantizations.append(LOGIT_QUANTIZATION)
        elif is_followed_by(layers, position, Relu):
            quantizations.append(best_quantization(output.clamp(min=0).numpy().ravel()))
        else:
            quantizations.append(best_quantization(output.numpy().ravel()))
    return quantizations


def with_shared_scales(layers: list[Layer], quantizations: list[Quantization | None]) -> list[Layer]:
    """Return layers whose noise is stored exactly in the quantization of the features that it is appended to.

    The noise is divided by a gain, and the next weights for it are multiplied by it.
    """
    changed = list(layers)
    quantization = LATENT_QUANTIZATION
    for position, layer in enumerate(layers):
        quantization = quantizations[position] or quantization
        following = layers[position + 1] if position + 1 < len(layers) else None
        if isinstance(layer, Noise) and isinstance(following, Convolution):
            gain = LATENT_QUANTIZATION.scale / quantization.scale
            weight = following.weight.copy()
            weight[:, -layer.channels :] *= gain / layer.gain
            changed[position] = replace(layer, gain=gain)
            changed[position + 1] = replace(following, weight=weight)
    return changed


def calibration_sample(
    layers: list[Layer], latent_size: int, count: int, seed: int = CALIBRATION_SEED
) -> tuple[Tensor, Tensor | None]:
    """Return latents float64 [count, latent_size] to measure on and, with classes, the labels in turn, int64 [count]."""
    latent = torch.from_numpy(latents(seed, 0, count, latent_size)).double()
    label = labels_in_turn(class_count(layers), count)
    return latent, None if label is None else torch.from_numpy(label)


# Candidates for the share of the values that may be clipped on each side.
_TAILS = (0.0, 1e-6, 1e-5, 1e-4, 5e-4)


def best_quantization(values: Array) -> Quantization:
    """Return the quantization with the least mean squared error for a sample of values, among a few ways to clip the tails."""
    candidates = [_without_tails(values, tail) for tail in _TAILS]
    errors = [float(np.mean((each.dequantize(each.quantize(values)) - values) ** 2)) for each in candidates]
    return candidates[int(np.argmin(errors))]


def _without_tails(values: Array, tail: float) -> Quantization:
    """Return a quantization that spans all but a share `tail` of the values on each side, and 0, which must be exact."""
    low, high = (float(limit) for limit in np.quantile(values, [tail, 1 - tail]))
    low, high = min(low, 0.0), max(high, 0.0)
    # Rounded to float32, the type that the file stores.
    scale = float(np.float32((high - low) / 255)) or 1.0
    return Quantization(scale, round(-low / scale))
