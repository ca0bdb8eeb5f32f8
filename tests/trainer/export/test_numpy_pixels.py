"""Int8 files of random small generators of all kinds: numpy draws the pixels that onnxruntime draws."""

from collections.abc import Callable

import numpy as np
import pytest
from built_graphs import drawn, rounded_graph
from lively_generators import lively_canvas, lively_generator, lively_pocket
from torch import nn

from pocketgan.latents import latents
from pocketgan.model.numpy_session import NumpySession
from pocketgan_trainer.export import calibration
from pocketgan_trainer.export.calibration import calibrate, with_shared_scales
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import class_count, labels_in_turn
from pocketgan_trainer.networks.canvas_networks import CanvasWidth

CLASSIC_LATENTS = 100


def classic(preset: str, random: np.random.Generator) -> tuple[nn.Module, int]:
    """Return one of the classics with random weights, and its number of latents."""
    return lively_generator(preset, int(random.integers(2**31))), CLASSIC_LATENTS


def small_pocket(random: np.random.Generator) -> tuple[nn.Module, int]:
    """Return a pocket of random size."""
    latent_size, size = int(random.integers(1, 40)), int(random.choice([28, 32]))
    coarse, middle, fine, detail = random.integers(1, 17, 4).tolist()
    activation = nn.LeakyReLU(0.2) if random.random() < 0.3 else None
    seed = int(random.integers(2**31))
    return lively_pocket(latent_size, (coarse, middle, fine), detail, activation, activation is None, seed, size), latent_size


def small_canvas(random: np.random.Generator) -> tuple[nn.Module, int]:
    """Return a canvas of random size."""
    latent_size, size = int(random.integers(4, 40)), int(random.choice([28, 32]))
    width = CanvasWidth(*random.integers(1, 17, 4).tolist())
    return lively_canvas(latent_size, width, size, int(random.integers(2**31))), latent_size + width.noise_size(size)


KINDS: tuple[Callable[[np.random.Generator], tuple[nn.Module, int]], ...] = (
    lambda random: classic("mlp", random),
    lambda random: classic("narrow-dcgan", random),
    small_pocket,
    small_pocket,
    small_canvas,
    small_canvas,
)


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=pytest.mark.slow if seed >= 12 else ()) for seed in range(204)])
def test_numpy_draws_what_onnxruntime_draws(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "CALIBRATION_IMAGES", 60)
    generator, latent_size = KINDS[seed % len(KINDS)](np.random.default_rng(seed))
    layers = fold(generator)
    quantizations = calibrate(layers, latent_size)
    layers = with_shared_scales(layers, quantizations)
    model = rounded_graph(layers, quantizations, latent_size)
    latent, label = latents(seed, 0, 50, latent_size), labels_in_turn(class_count(layers), 50)
    feeds = {"z": latent} if label is None else {"z": latent, "label": label}
    (images,) = NumpySession(model.SerializeToString()).run(["images"], feeds)
    np.testing.assert_array_equal(images, drawn(model, latent, label))
