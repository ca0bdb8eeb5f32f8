"""Rounding a generator's weights: nearer to the exact one than each weight to its nearest integer, layer after layer."""

import numpy as np
import pytest
import torch
from lively_generators import POCKET_LATENT_SIZE, lively_generator, lively_pocket
from torch import Tensor, nn

from pocketgan.latents import latents
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export import rounding
from pocketgan_trainer.export.calibration import calibrate
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.grids import LATENT_GRID, PIXEL_GRID, Grid
from pocketgan_trainer.export.input_moments import InputMoments
from pocketgan_trainer.export.integer_weights import IntegerWeights, integer_weights
from pocketgan_trainer.export.layers import (
    Array,
    Convolution,
    Dense,
    GreyLevels,
    Layer,
    PixelShuffle,
    Relu,
    Tanh,
    ToImage,
    TransposedConvolution,
    Weighted,
    labels_in_turn,
)
from pocketgan_trainer.export.reference import activations
from pocketgan_trainer.export.rounding import round_weights
from pocketgan_trainer.export.subpixel import rewrite


def sample(layers: list[Layer], count: int, size: int) -> tuple[Tensor, Tensor | None]:
    """Return latents of the runtime's sampler, and the classes in turn if the layers take any."""
    label = labels_in_turn(layers, count)
    return torch.from_numpy(latents(1, 0, count, size)).double(), None if label is None else torch.from_numpy(label)


def without_regard_to_inputs(
    weight: Array, bias: Array, input_grid: Grid, moments: InputMoments, channels: int | None = None
) -> IntegerWeights:
    """Round each weight to the nearest integer that its neighbours allow."""
    zeros, ones = np.zeros(len(moments.stored)), np.eye(len(moments.stored))
    return integer_weights(weight, bias, input_grid, InputMoments(zeros, zeros, ones, ones), channels)


def with_integer_weights(layers: list[Layer], grids: list[Grid | None], weights: list[IntegerWeights | None]) -> list[Layer]:
    """Return plain layers whose weights are what the integers stand for."""
    replaced: list[Layer] = []
    grid = LATENT_GRID
    for layer, output_grid, rounded in zip(layers, grids, weights, strict=True):
        assert (rounded is not None) == isinstance(layer, Weighted)
        if isinstance(layer, Dense) and rounded is not None:
            replaced.append(Dense(rounded.numbers(), rounded.bias_numbers(grid)))
        elif isinstance(layer, Convolution) and rounded is not None:
            replaced.append(Convolution(rounded.numbers(), rounded.bias_numbers(grid)))
        else:
            replaced.append(layer)
        grid = output_grid or grid
    return replaced


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.LeakyReLU(0.2)])
def test_images_are_nearer_than_with_each_weight_at_its_nearest_integer(
    monkeypatch: pytest.MonkeyPatch, activation: nn.Module
) -> None:
    layers = fold(lively_pocket(activation=activation))
    grids = calibrate(layers, POCKET_LATENT_SIZE)
    seen, unseen = sample(layers, 400, POCKET_LATENT_SIZE), sample(layers, 50, POCKET_LATENT_SIZE)
    (*_, exact) = activations(layers, *unseen)

    def error(weights: list[IntegerWeights | None]) -> float:
        (*_, images) = activations(with_integer_weights(layers, grids, weights), *unseen)
        return float((images - exact).square().mean().sqrt())

    fed_back = error(round_weights(layers, grids, *seen))
    monkeypatch.setattr(rounding, "integer_weights", without_regard_to_inputs)
    # What storing the layers' outputs costs remains, and that is most of it.
    assert fed_back < 0.95 * error(round_weights(layers, grids, *seen))


def test_a_layer_makes_up_for_the_errors_of_the_one_before() -> None:
    # The first layer's output is stored on so narrow a grid that it is cut off, and comes too small on average.
    random = np.random.default_rng(0)
    layers: list[Layer] = [
        Dense(random.normal(size=(6, 8)), np.full(6, 1.5)),
        Relu(),
        Dense(random.normal(size=(4, 6)), np.zeros(4)),
        ToImage(1, 2, 2),
        GreyLevels(),
    ]
    grids = [Grid(3 / 255, 0), None, PIXEL_GRID, None, None]
    latent, _ = sample(layers, 2000, 8)
    weights = round_weights(layers, grids, latent)
    assert weights[0] is not None
    assert weights[2] is not None
    first, _, second, *_ = activations(layers, latent)
    features = Dense(weights[0].numbers(), weights[0].bias_numbers(LATENT_GRID))
    stored = stored_and_loaded(Grid(3 / 255, 0), activations([features], latent)[0])
    assert float(stored.mean()) < 0.8 * float(first.clamp(min=0).mean())
    made = stored @ torch.from_numpy(weights[2].numbers()).T + torch.from_numpy(weights[2].bias_numbers(Grid(3 / 255, 0)))
    as_trained = stored @ torch.from_numpy(trained_weight(layers[2])).T
    np.testing.assert_allclose(made.mean(dim=0), second.mean(dim=0), atol=0.02)
    assert (made - second).square().mean() < 0.6 * (as_trained - second).square().mean()


def stored_and_loaded(grid: Grid, values: Tensor) -> Tensor:
    """Return the numbers that remain of values once they are stored."""
    return torch.from_numpy(grid.load(grid.store(values.numpy())))


def trained_weight(layer: Layer) -> Array:
    """Return a dense layer's trained weight."""
    assert isinstance(layer, Dense)
    return layer.weight


@pytest.mark.parametrize(("stride", "cut_before", "cut_after"), [(1, 1, 1), (2, 0, 1), (2, 1, 1), (3, 0, 0)])
def test_weights_of_a_transposed_convolution_are_those_of_the_plain_one(stride: int, cut_before: int, cut_after: int) -> None:
    random = np.random.default_rng(0)
    transposed = TransposedConvolution(random.normal(size=(2, 3, 3, 3)), random.normal(size=3), stride, cut_before, cut_after)
    size = transposed.output_size(4)
    last = Convolution(random.normal(size=(1, 3, 3, 3)), random.normal(size=1))
    layers: list[Layer] = [Dense(random.normal(size=(32, 6)), random.normal(size=32)), ToImage(2, 4, 4), transposed, last, Tanh()]
    grids = calibrate(layers, 6)
    weights = round_weights(layers, grids, *sample(layers, 200, 6))
    plain = rewrite(transposed, 4)
    assert weights[2] is not None
    assert weights[2].values.shape == plain.weight.shape
    assert np.abs(weights[2].numbers() - plain.weight).mean() < 0.05 * np.abs(plain.weight).max()
    # The layer after it was rounded for the image as it really comes out: were phases or pixels mixed up, its bias would be off.
    assert weights[3] is not None
    (_, _, large, exact, _) = activations(layers, sample(layers, 200, 6)[0])
    grid = grids[2]
    assert grid is not None
    assert large.shape[2] == size
    rounded = Convolution(weights[3].numbers(), weights[3].bias_numbers(grid))
    (made,) = activations([rounded], stored_and_loaded(grid, large))
    assert (made - exact).square().mean().sqrt() < 0.05 * exact.std()


def test_an_images_pixels_share_one_scale_for_each_channel_and_features_do_not() -> None:
    random = np.random.default_rng(0)
    dense = Dense(random.normal(size=(12, 4)) * np.logspace(0, 3, 12)[:, None], np.zeros(12))
    image: list[Layer] = [dense, ToImage(3, 2, 2), PixelShuffle(1), Convolution(np.ones((1, 3, 1, 1)), np.zeros(1)), Tanh()]
    features: list[Layer] = [dense, Relu(), ToImage(3, 2, 2), Convolution(np.ones((1, 3, 1, 1)), np.zeros(1)), Tanh()]
    for layers, scales in ((image, 3), (features, 12)):
        first, *_ = round_weights(layers, calibrate(layers, 4), *sample(layers, 50, 4))
        assert first is not None
        assert first.scales.shape == (scales,)
        np.testing.assert_allclose(first.numbers(), dense.weight, atol=0.03 * 1000)


def test_an_oblong_image_is_refused() -> None:
    layers: list[Layer] = [
        Dense(np.ones((12, 5)), np.zeros(12)),
        ToImage(2, 2, 3),
        TransposedConvolution(np.ones((2, 1, 3, 3)), np.zeros(1), 2, 0, 1),
        Tanh(),
    ]
    with pytest.raises(ExportError, match="a transposed convolution of 2x3 pixels: expected a square"):
        round_weights(layers, calibrate(layers, 5), *sample(layers, 10, 5))


def test_rounding_again_gives_the_same_weights() -> None:
    layers = fold(lively_generator("mlp"))
    grids = calibrate(layers, 100)
    once, again = (round_weights(layers, grids, *sample(layers, 50, 100)) for _ in range(2))
    for one, other in zip(once, again, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            np.testing.assert_array_equal(one.values, other.values)
            np.testing.assert_array_equal(one.scales, other.scales)
            np.testing.assert_array_equal(one.bias, other.bias)
