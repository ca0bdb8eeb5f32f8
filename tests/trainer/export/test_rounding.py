"""Rounding layer after layer: images are nearer to the exact ones than with each weight at its nearest integer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from lively_generators import POCKET_LATENT_SIZE, lively_pocket
from torch import Tensor

from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export import rounding
from pocketgan_trainer.export.calibration import (
    LATENT_QUANTIZATION,
    PIXEL_QUANTIZATION,
    Quantization,
    calibrate,
    calibration_sample,
)
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import (
    Array,
    Convolution,
    Dense,
    Layer,
    PixelShuffle,
    Relu,
    Tanh,
    ToImage,
    TransposedConvolution,
    Weighted,
    activations,
    apply,
)
from pocketgan_trainer.export.rounding import round_weights
from pocketgan_trainer.export.upscaling import subpixel_convolution
from pocketgan_trainer.export.weights import InputMoments, IntegerWeights, integer_weights


def without_regard_to_inputs(
    weight: Array, bias: Array, input_scale: float, moments: InputMoments, channels: int | None = None
) -> IntegerWeights:
    """Round each weight to the nearest integer that its neighbours allow."""
    zeros, ones = np.zeros(len(moments.covariance)), np.eye(len(moments.covariance))
    return integer_weights(weight, bias, input_scale, InputMoments(zeros, zeros, ones, ones), channels)


def with_integers(layer: Weighted, rounded: IntegerWeights | None, input_scale: float) -> Weighted:
    """Return a layer whose weights are what the integers stand for."""
    assert rounded is not None
    weight, bias = rounded.dequantized(), rounded.dequantized_bias(input_scale)
    # Rounded, a transposed convolution of stride 1 is a plain one.
    return Convolution(weight, bias) if isinstance(layer, TransposedConvolution) else replace(layer, weight=weight, bias=bias)


def with_integer_weights(
    layers: list[Layer], quantizations: list[Quantization | None], weights: list[IntegerWeights | None]
) -> list[Layer]:
    """Return layers whose weights are what the integers stand for."""
    replaced: list[Layer] = []
    quantization = LATENT_QUANTIZATION
    for layer, of_output, rounded in zip(layers, quantizations, weights, strict=True):
        replaced.append(with_integers(layer, rounded, quantization.scale) if isinstance(layer, Weighted) else layer)
        quantization = of_output or quantization
    return replaced


def test_images_are_nearer_than_with_each_weight_at_its_nearest_integer(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = fold(lively_pocket())
    quantizations = calibrate(layers, POCKET_LATENT_SIZE)
    seen = calibration_sample(layers, POCKET_LATENT_SIZE, 400)
    unseen = calibration_sample(layers, POCKET_LATENT_SIZE, 100, seed=1)
    (*_, exact) = activations(layers, *unseen)

    def error(weights: list[IntegerWeights | None]) -> float:
        (*_, images) = activations(with_integer_weights(layers, quantizations, weights), *unseen)
        return float((images - exact).square().mean().sqrt())

    fed_back = error(round_weights(layers, quantizations, *seen))
    monkeypatch.setattr(rounding, "integer_weights", without_regard_to_inputs)
    # What storing the layers' outputs costs remains, and that is most of it: measured 0.86 to 0.94 over some samples.
    assert fed_back < 0.95 * error(round_weights(layers, quantizations, *seen))


NARROW = Quantization(3 / 255, 0)
"""A range so narrow that a layer's output is clipped and too small on average."""


def last_layer(kind: type[Weighted], random: np.random.Generator) -> Weighted:
    """Return a layer from 3x4x4 to 2x4x4, or one with the same numbers of features."""
    if kind is Dense:
        return Dense(random.normal(size=(32, 48)), np.zeros(32))
    if kind is Convolution:
        return Convolution(random.normal(size=(2, 3, 3, 3)), np.zeros(2))
    return TransposedConvolution(random.normal(size=(3, 2, 3, 3)), np.zeros(2), stride=1, cut_before=1, cut_after=1)


@pytest.mark.parametrize("kind", [Dense, Convolution, TransposedConvolution])
def test_a_layer_makes_up_for_the_errors_of_the_one_before(kind: type[Weighted]) -> None:
    random = np.random.default_rng(0)
    shape: list[Layer] = [] if kind is Dense else [ToImage(3, 4, 4)]
    last = last_layer(kind, random)
    first = Dense(random.normal(size=(48, 8)), np.full(48, 1.5))
    layers: list[Layer] = [first, *shape, Relu(), last, Tanh()]
    quantizations: list[Quantization | None] = [NARROW, *[None] * len(shape), None, PIXEL_QUANTIZATION, PIXEL_QUANTIZATION]
    latent, _ = calibration_sample(layers, 8, 2000)
    weights = round_weights(layers, quantizations, latent)
    *_, inputs, exact, _ = activations(layers, latent)
    (features,) = activations([with_integers(first, weights[0], LATENT_QUANTIZATION.scale)], latent)
    stored = stored_and_loaded(NARROW, features).reshape(inputs.shape)
    assert float(stored.mean()) < 0.8 * float(inputs.mean())
    made, as_trained = (apply(layer, stored) for layer in (with_integers(last, weights[-2], NARROW.scale), last))
    # Over all pixels: those at the border and those inside have different means.
    np.testing.assert_allclose(made.mean(), exact.mean(), atol=0.05 * float(exact.std()))
    assert (made - exact).square().mean() < 0.8 * (as_trained - exact).square().mean()


def stored_and_loaded(quantization: Quantization, values: Tensor) -> Tensor:
    """Return values after quantizing and dequantizing them."""
    return torch.from_numpy(quantization.dequantize(quantization.quantize(values.numpy())))


@pytest.mark.parametrize(("stride", "cut_before", "cut_after"), [(1, 1, 1), (2, 0, 1), (2, 1, 1), (3, 0, 0)])
def test_weights_of_a_transposed_convolution_are_those_of_the_plain_one(stride: int, cut_before: int, cut_after: int) -> None:
    random = np.random.default_rng(0)
    transposed = TransposedConvolution(random.normal(size=(2, 3, 3, 3)), random.normal(size=3), stride, cut_before, cut_after)
    size = transposed.output_size(4)
    last = Convolution(random.normal(size=(1, 3, 3, 3)), random.normal(size=1))
    layers: list[Layer] = [Dense(random.normal(size=(32, 6)), random.normal(size=32)), ToImage(2, 4, 4), transposed, last, Tanh()]
    quantizations = calibrate(layers, 6)
    weights = round_weights(layers, quantizations, *calibration_sample(layers, 6, 200))
    plain = subpixel_convolution(transposed, 4)
    assert weights[2] is not None
    assert weights[2].values.shape == plain.weight.shape
    assert np.abs(weights[2].dequantized() - plain.weight).mean() < 0.05 * np.abs(plain.weight).max()
    # The layer after it was rounded for the image as it really comes out: were phases or pixels mixed up, its bias would be off.
    (_, _, large, exact, _) = activations(layers, calibration_sample(layers, 6, 200)[0])
    quantization = quantizations[2]
    assert quantization is not None
    assert large.shape[2] == size
    made = apply(with_integers(last, weights[3], quantization.scale), stored_and_loaded(quantization, large))
    assert (made - exact).square().mean().sqrt() < 0.05 * exact.std()


def test_an_images_pixels_share_one_scale_for_each_channel_and_features_do_not() -> None:
    random = np.random.default_rng(0)
    dense = Dense(random.normal(size=(12, 4)) * np.logspace(0, 3, 12)[:, None], np.zeros(12))
    image: list[Layer] = [dense, ToImage(3, 2, 2), PixelShuffle(1), Convolution(np.ones((1, 3, 1, 1)), np.zeros(1)), Tanh()]
    features: list[Layer] = [dense, Relu(), ToImage(3, 2, 2), Convolution(np.ones((1, 3, 1, 1)), np.zeros(1)), Tanh()]
    for layers, scales in ((image, 3), (features, 12)):
        first, *_ = round_weights(layers, calibrate(layers, 4), *calibration_sample(layers, 4, 50))
        assert first is not None
        assert first.scales.shape == (scales,)
        scale_of_row = np.repeat(first.scales, 12 // scales)
        assert (np.abs(first.dequantized() - dense.weight).max(axis=1) < 3 * scale_of_row).all()


def test_an_oblong_image_is_refused() -> None:
    layers: list[Layer] = [
        Dense(np.ones((12, 5)), np.zeros(12)),
        ToImage(2, 2, 3),
        TransposedConvolution(np.ones((2, 1, 3, 3)), np.zeros(1), 2, 0, 1),
        Tanh(),
    ]
    with pytest.raises(ExportError, match="a transposed convolution of 2x3 pixels: expected a square"):
        round_weights(layers, calibrate(layers, 5), *calibration_sample(layers, 5, 10))
