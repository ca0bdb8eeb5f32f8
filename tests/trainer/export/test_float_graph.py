"""The float graphs draw the same pixels as torch, and their weights have the requested type."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from built_graphs import assert_valid_graph, drawn
from lively_generators import POCKET_LATENT_SIZE, lively_generator, lively_pocket
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

from pocketgan.latents import latents
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.float_graph import FloatType, float_graph
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import (
    Dense,
    GreyLevels,
    Layer,
    LeakyRelu,
    PixelShuffle,
    Tanh,
    ToImage,
    TransposedConvolution,
)
from pocketgan_trainer.training.drawing import draw

GENERATORS: dict[str, Callable[[], nn.Module]] = {
    "mlp": partial(lively_generator, "mlp"),
    "narrow-dcgan": partial(lively_generator, "narrow-dcgan"),
    "pocket": lively_pocket,
    "leaky-pocket": partial(lively_pocket, activation=nn.LeakyReLU(0.2)),
}


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_graph_is_valid_and_its_pixels_are_those_of_torch(name: str, dtype: FloatType) -> None:
    generator, takes_label = GENERATORS[name](), "pocket" in name
    latent_size, label = (POCKET_LATENT_SIZE, np.arange(40) % 10) if takes_label else (100, None)
    model = float_graph(fold(generator), latent_size, dtype)
    assert_valid_graph(model, latent_size, takes_label)
    arrays = [numpy_helper.to_array(entry) for entry in model.graph.initializer]
    assert {array.dtype for array in arrays if array.size > 4} == {np.dtype(dtype)}
    expected = draw(generator, latent_size, seed=1, start=0, count=40, labels=label).astype(int)
    difference = np.abs(drawn(model, latents(1, 0, 40, latent_size), label) - expected)
    assert expected.std() > 50
    assert difference.max() <= (1 if dtype is np.float32 else 2)
    assert (difference > 0).mean() < (0.001 if dtype is np.float32 else 0.3 if takes_label else 0.2)


def test_a_pixel_shuffle_is_that_of_torch() -> None:
    layers: list[Layer] = [Dense(np.eye(54) / 4, np.full(54, 0.5)), ToImage(9, 2, 3), PixelShuffle(3), GreyLevels()]
    latent = latents(0, 0, 20, 54)
    expected = functional.pixel_shuffle(torch.from_numpy(latent).reshape(-1, 9, 2, 3) / 4 + 0.5, 3)
    levels = expected[:, 0].clamp(0, 1).mul(255).round().numpy()
    assert np.abs(drawn(float_graph(layers, 54, np.float32), latent) - levels).max() <= 1


@pytest.mark.parametrize("convolution", [nn.ConvTranspose2d(2, 1, 3, 2, 1, 1), nn.ConvTranspose2d(2, 1, 4, 2, 1)], ids=str)
def test_torchs_own_paddings_are_written_too(convolution: nn.ConvTranspose2d) -> None:
    generator = nn.Sequential(nn.Linear(5, 18), nn.Unflatten(1, (2, 3, 3)), convolution, nn.Tanh())
    images = drawn(float_graph(fold(generator), 5, np.float32), latents(0, 0, 20, 5))
    expected = draw(generator, 5, seed=0, start=0, count=20).astype(int)
    assert images.shape == (20, 6, 6)
    assert np.abs(images - expected).max() <= 1


@pytest.mark.parametrize(
    ("last", "values", "expected"),
    [
        (Tanh(), [-400, 400, 0, 0.1], [0, 255, 128, 140]),
        (GreyLevels(), [-4 / 255, 100.4 / 255, 100.6 / 255, 300 / 255], [0, 100, 101, 255]),
    ],
    ids=["tanh", "grey levels"],
)
def test_pixels_go_from_0_to_255_and_are_rounded(last: Layer, values: list[float], expected: list[int]) -> None:
    layers: list[Layer] = [Dense(np.eye(4), np.zeros(4)), ToImage(1, 2, 2), last]
    images = drawn(float_graph(layers, 4, np.float32), np.array([values], dtype=np.float32))
    assert images.ravel().tolist() == expected


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([LeakyRelu(0.2), Tanh()], "expected layers that end in an image"),
        ([ToImage(1, 2, 2), LeakyRelu(0.2)], "expected layers that end in an image"),
        ([Tanh(), ToImage(1, 2, 2), Tanh()], "expected layers that end in an image"),
        ([ToImage(1, 2, 2), TransposedConvolution(np.ones((1, 1, 3, 3)), np.zeros(1), 2, -1, 0), Tanh()], "adds rows at the top"),
    ],
    ids=["no image", "no end", "two ends", "rows at the top"],
)
def test_layers_that_cannot_be_written_are_refused(layers: list[Layer], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        float_graph([Dense(np.eye(4), np.zeros(4)), *layers], 4, np.float32)
