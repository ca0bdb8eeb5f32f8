"""The int8 graph: integers only, exactly its own arithmetic, the same for every batch, and readable by old runtimes."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import onnx
import pytest
import quantized_arithmetic
import torch
from built_graphs import assert_valid_graph, drawn, graph_rounded_on, rounded_graph
from lively_generators import POCKET_LATENT_SIZE, lively_generator, lively_pocket
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from pocketgan.latents import latents
from pocketgan.model.card import KernelFacts
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export import calibration, weights
from pocketgan_trainer.export.calibration import PIXEL_QUANTIZATION, Quantization, calibrate
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import (
    ClassInput,
    Convolution,
    Dense,
    GreyLevels,
    Layer,
    LeakyRelu,
    PixelShuffle,
    Relu,
    Tanh,
    ToImage,
    activations,
    class_count,
    labels_in_turn,
)
from pocketgan_trainer.export.verify import check_overflow, count_kernels, optimized

GENERATORS: dict[str, Callable[[], nn.Module]] = {
    "mlp": partial(lively_generator, "mlp"),
    "dcgan": partial(lively_generator, "dcgan"),
    "narrow-dcgan": partial(lively_generator, "narrow-dcgan"),
    "pocket": lively_pocket,
    "leaky-pocket": partial(lively_pocket, activation=nn.LeakyReLU(0.2), is_normalized=False),
}
DCGAN = pytest.param("dcgan", marks=pytest.mark.slow)
FAST = [name for name in GENERATORS if name != "dcgan"]
POCKETS = ["pocket", "leaky-pocket"]


@dataclass(frozen=True)
class Built:
    """The int8 graph of a lively generator."""

    layers: list[Layer]
    latent_size: int
    model: onnx.ModelProto

    def inputs(self, seed: int, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
        """Return latents and, with classes, the labels in turn."""
        return latents(seed, 0, count, self.latent_size), labels_in_turn(class_count(self.layers), count)


@cache
def built(name: str) -> Built:
    """Return one of GENERATORS, calibrated on fewer images than the exporter uses."""
    layers = fold(GENERATORS[name]())
    latent_size = POCKET_LATENT_SIZE if name in POCKETS else 100
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "CALIBRATION_IMAGES", 100)
        return Built(layers, latent_size, rounded_graph(layers, calibrate(layers, latent_size), latent_size))


def assert_same_but_for_halves(images: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
    """Compare images that onnxruntime drew with those of exact arithmetic.

    onnxruntime scales in float32, so a sum half way between two integers may go to the other one, and later layers spread that
    over the image. It happens to few images, and moves them by little.
    """
    difference = np.abs(images.astype(int) - expected)
    assert (difference.max(axis=(1, 2)) > 0).mean() <= 0.1
    assert difference.max() <= 16


@pytest.mark.parametrize("name", FAST)
def test_a_graph_is_valid_and_old_enough(name: str) -> None:
    assert_valid_graph(built(name).model, built(name).latent_size, takes_label=name in POCKETS)


@pytest.mark.parametrize(
    ("name", "convolutions", "kernels"),
    [
        ("narrow-dcgan", 4, 8),
        ("mlp", 3, 6),
        pytest.param("dcgan", 7, 11, marks=pytest.mark.slow),
        ("pocket", 5, 5),
        ("leaky-pocket", 5, 9),
    ],
)
def test_onnxruntime_runs_nothing_but_integer_kernels_that_cannot_overflow(name: str, convolutions: int, kernels: int) -> None:
    # Dense layers are 1x1 convolutions; in the DCGAN, each phase of the first transposed convolution is one.
    operators = Counter(node.op_type for node in built(name).model.graph.node)
    assert not {"ConvTranspose", "Relu", "Clip", "DepthToSpace", "Tanh"} & set(operators)
    assert operators["Conv"] == convolutions
    # One for each convolution, which a ReLU is part of, and one for each table.
    as_run = optimized(built(name).model.SerializeToString())
    assert count_kernels(as_run) == KernelFacts(kernels, ())
    assert check_overflow(as_run).problem is None


@pytest.mark.parametrize("name", [*FAST, DCGAN])
def test_pixels_are_near_those_of_torch(name: str) -> None:
    graph = built(name)
    latent, label = graph.inputs(seed=1, count=100)
    (*_, exact) = activations(graph.layers, torch.from_numpy(latent).double(), None if label is None else torch.from_numpy(label))
    expected = (exact[:, 0].numpy() + 1) * 127.5
    difference = np.abs(drawn(graph.model, latent, label) - expected)
    # These images are noise, which loses twice as much as digits. A turned, mirrored or mixed-up image is off by a hundred.
    assert np.sqrt((difference**2).mean()) < 5
    assert difference.max() < (60 if name in POCKETS else 40)
    assert expected.std() > 50


@pytest.mark.parametrize(("name", "count"), [("mlp", 200), ("narrow-dcgan", 20), ("pocket", 100), ("leaky-pocket", 100)])
def test_pixels_are_those_of_the_integer_arithmetic_in_the_file(name: str, count: int) -> None:
    latent, label = built(name).inputs(seed=2, count=count)
    images = drawn(built(name).model, latent, label)
    assert_same_but_for_halves(images, quantized_arithmetic.run(built(name).model, latent, label))
    if name in POCKETS:
        assert (images == 0).mean() > 0.05
        assert (images == 255).mean() > 0.01


def test_an_image_does_not_depend_on_its_batch() -> None:
    latent, _ = built("narrow-dcgan").inputs(seed=3, count=33)
    together = drawn(built("narrow-dcgan").model, latent)
    for chosen in ([0], [5, 4, 3], list(range(32, -1, -1)), [7] * 16):
        np.testing.assert_array_equal(drawn(built("narrow-dcgan").model, latent[chosen]), together[chosen])


@pytest.mark.parametrize("tail", [[Tanh(), ToImage(1, 4, 4)], [ToImage(1, 4, 4), Tanh()]], ids=["tanh first", "image first"])
def test_the_tanh_may_come_before_or_after_the_image(tail: list[Layer]) -> None:
    random = np.random.default_rng(0)
    layers: list[Layer] = [Dense(random.normal(size=(16, 8)), random.normal(size=16)), *tail]
    latent = latents(0, 0, 50, 8)
    exact = activations(layers, torch.from_numpy(latent).double())[-1].numpy().reshape(50, 4, 4)
    pixels = drawn(rounded_graph(layers, calibrate(layers, 8), 8), latent)
    assert np.abs(pixels - (exact + 1) * 127.5).mean() < 2


def dense(outputs: int) -> Dense:
    """Return a dense layer that passes on latents of 8 numbers."""
    return Dense(np.eye(outputs, 8), np.zeros(outputs))


ENDS_OTHERWISE = "expected layers that end in an image after a tanh"


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([dense(4), ToImage(1, 2, 2)], ENDS_OTHERWISE),
        ([dense(4), LeakyRelu(0.2), ToImage(1, 2, 2)], ENDS_OTHERWISE),
        ([dense(1), Tanh()], ENDS_OTHERWISE),
        ([dense(8), ToImage(2, 2, 2), GreyLevels()], ENDS_OTHERWISE),
        ([dense(4), LeakyRelu(0.2), Tanh(), ToImage(1, 2, 2)], "layer 1, a LeakyRelu: expected weights before the tanh"),
        ([Relu(), dense(4), ToImage(1, 2, 2), GreyLevels()], "layer 0, a Relu: expected"),
        ([dense(4), ClassInput(2, 1.0)], "cannot export layer 1, a ClassInput"),
        ([dense(8), ToImage(4, 1, 2), PixelShuffle(2), GreyLevels()], "a pixel shuffle by 2 here: expected it to follow a conv"),
        *(
            (
                [ClassInput(2, value), Dense(np.eye(4, 10), np.zeros(4)), ToImage(1, 2, 2), GreyLevels()],
                f"a class input of {value}: ",
            )
            for value in (2.01, 4.0, -4.5)
        ),
    ],
)
def test_layers_without_integer_arithmetic_are_refused(layers: list[Layer], message: str) -> None:
    quantizations = calibrate(layers, 8)
    with pytest.raises(ExportError, match=message):
        rounded_graph(layers, quantizations, 8)


def test_a_model_of_the_largest_size_is_below_256_kib() -> None:
    layers = fold(lively_pocket(64, (48, 24, 12), 8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "CALIBRATION_IMAGES", 10)
        patch.setattr(weights, "_SCALE_CANDIDATES", np.ones(1))
        model = rounded_graph(layers, calibrate(layers, 64), 64)
    assert len(model.SerializeToString()) < 256 * 1024 - 1024  # and a card


def exact_generator(*between: Layer, channels: int = 1) -> tuple[list[Layer], list[Quantization | None]]:
    """Return layers and their quantizations that turn a latent k/32 into the grey level 100 + 2k, without any rounding.

    An image of `channels` times 3x3 pixels is stored, copied by a convolution, passed through the layers `between`, and output.
    """
    numbers = channels * 9
    step = Quantization(127 / 4096, 128)
    layers: list[Layer] = [
        Dense(np.eye(numbers) * 127 / 128, np.zeros(numbers)),
        ToImage(channels, 3, 3),
        Convolution(np.eye(channels)[:, :, None, None], np.zeros(channels)),
        *between,
        Convolution(np.full((1, 1, 1, 1), 2 * 4096 / 127 / 255), np.full(1, 100 / 255)),
        GreyLevels(),
    ]
    return layers, [step, None, step, *[None] * len(between), PIXEL_QUANTIZATION, None]


def small_latents(numbers: int) -> NDArray[np.float32]:
    """Return latents from -8/32 to 8/32, [30, numbers]."""
    return np.random.default_rng(0).integers(-8, 9, size=(30, numbers)).astype(np.float32) * np.float32(1 / 32)


@pytest.mark.parametrize("factor", [2, 3])
def test_a_pixel_shuffle_equals_torchs_bit_for_bit(factor: int) -> None:
    layers, quantizations = exact_generator(PixelShuffle(factor), channels=factor**2)
    latent = small_latents(factor**2 * 9)
    brightness = torch.from_numpy(latent).double().reshape(-1, factor**2, 3, 3) * 64 + 100
    expected = functional.pixel_shuffle(brightness, factor)[:, 0]
    np.testing.assert_array_equal(drawn(graph_rounded_on(layers, quantizations, latent), latent), expected.numpy())


@pytest.mark.parametrize("weights", [0, 2], ids=["of a dense layer", "of a convolution"])
def test_a_relu_is_absorbed_exactly(weights: int) -> None:
    layers, quantizations = exact_generator()
    layers.insert(weights + 1, Relu())
    quantizations.insert(weights + 1, None)
    # The same steps from 0 up, as the exporter stores the input of a ReLU.
    quantizations[weights] = Quantization(127 / 4096, 0)
    latent = small_latents(9)
    model = graph_rounded_on(layers, quantizations, latent)
    assert "Relu" not in {node.op_type for node in model.graph.node}
    np.testing.assert_array_equal(drawn(model, latent), 100 + 64 * np.maximum(latent, 0).reshape(30, 3, 3))
