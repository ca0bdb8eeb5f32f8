"""Calibration: each layer's output gets a grid of its kind, wide enough for what the layer puts out."""

import numpy as np
import pytest
import torch
from lively_generators import POCKET_LATENT_SIZE, lively_generator, lively_pocket
from torch import nn

from pocketgan.latents import latents
from pocketgan_trainer.export import calibration
from pocketgan_trainer.export.calibration import calibrate
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.grids import LATENT_GRID, LOGIT_GRID, PIXEL_GRID
from pocketgan_trainer.export.layers import (
    ClassInput,
    Convolution,
    Dense,
    GreyLevels,
    LeakyRelu,
    PixelShuffle,
    Relu,
    Tanh,
    ToImage,
)


@pytest.fixture
def few_calibration_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibrate on 32 images instead of 512."""
    monkeypatch.setattr(calibration, "CALIBRATION_IMAGES", 32)


@pytest.mark.parametrize("preset", ["dcgan", "mlp"])
@pytest.mark.usefixtures("few_calibration_images")
def test_calibration_gives_each_layer_the_grid_of_its_kind(preset: str) -> None:
    layers = fold(lively_generator(preset))
    grids = calibrate(layers, 100)
    for position, (layer, grid) in enumerate(zip(layers, grids, strict=True)):
        if isinstance(layer, Tanh):
            assert grid == PIXEL_GRID
            assert grids[position - 1] == LOGIT_GRID
        elif isinstance(layer, ToImage):
            assert grid is None
        else:
            assert grid is not None
            assert grid.scale > 0


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.LeakyReLU(0.2)], ids=str)
@pytest.mark.usefixtures("few_calibration_images")
def test_calibration_of_a_pocket_generator_stores_relus_from_zero_and_the_pixel_last(activation: nn.Module) -> None:
    layers = fold(lively_pocket(activation=activation))
    grids = calibrate(layers, POCKET_LATENT_SIZE)
    assert grids[0] == LATENT_GRID
    (*_, last_convolution, grey_levels) = grids
    assert (last_convolution, grey_levels) == (PIXEL_GRID, None)
    for position, (layer, grid) in enumerate(zip(layers[:-2], grids, strict=False)):
        if isinstance(layer, ToImage | PixelShuffle | Relu):
            assert grid is None
        elif isinstance(layer, Dense | Convolution):
            assert grid is not None
            assert (grid.zero_point == 0) == isinstance(activation, nn.ReLU), position


@pytest.mark.usefixtures("few_calibration_images")
def test_the_range_before_a_relu_is_that_of_its_positive_values() -> None:
    dense = Dense(np.diag([1.0, 100.0]), np.array([0.0, -400.0]))  # the second is always negative
    grid, of_relu = calibrate([dense, Relu()], 2)
    assert of_relu is None
    assert grid is not None
    assert grid.zero_point == 0
    assert 1 < 255 * grid.scale < 4


@pytest.mark.usefixtures("few_calibration_images")
def test_calibration_sees_all_classes() -> None:
    # Each class puts out its own number; the latent counts for nothing.
    weight = np.hstack([np.zeros((1, 4)), np.arange(1.0, 11.0)[None] / 2])
    _, grid, *_ = calibrate([ClassInput(10, 2.0), Dense(weight, np.zeros(1)), ToImage(1, 1, 1), Relu(), GreyLevels()], 4)
    assert grid is not None
    assert 255 * grid.scale == pytest.approx(10.0, rel=1e-3)


@pytest.mark.usefixtures("few_calibration_images")
def test_calibration_covers_what_the_layers_put_out() -> None:
    weight = np.random.default_rng(1).normal(size=(20, 100))
    dense, relu = Dense(weight, np.full(20, 3.0)), LeakyRelu(0.2)
    first, second = calibrate([dense, relu], 100)
    assert first is not None
    assert second is not None
    outputs = latents(7, 0, 500, 100) @ weight.T + 3
    for grid, values in ((first, outputs), (second, np.where(outputs > 0, outputs, 0.2 * outputs))):
        low, high = grid.load(np.array([0, 255], dtype=np.uint8))
        inside = (values >= low) & (values <= high)
        assert inside.mean() > 0.99
        assert high - low < 2 * (values.max() - values.min())


@pytest.mark.usefixtures("few_calibration_images")
def test_calibration_is_the_same_every_time_and_leaves_the_random_state() -> None:
    layers, state = fold(lively_generator("mlp")), torch.get_rng_state()
    assert calibrate(layers, 100) == calibrate(layers, 100)
    assert torch.equal(torch.get_rng_state(), state)
