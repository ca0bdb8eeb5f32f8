"""Layers with integers, one at a time: exactly torch's numbers where nothing needs rounding, however they are packed."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from pocketgan.latents import LATENT_STEP
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export import integer_layers
from pocketgan_trainer.export.calibration import LATENT_QUANTIZATION, Quantization
from pocketgan_trainer.export.graph_builder import GraphBuilder
from pocketgan_trainer.export.integer_layers import Kernel, Packing, QuantizedTensor
from pocketgan_trainer.export.layers import Noise, ToImage
from pocketgan_trainer.export.weights import IntegerWeights

SUMS = Quantization(1 / 32, 128)
"""The quantization of latents, which stores sums of a few small multiples of 1/32 exactly."""


def small_weights(outputs: int, inputs: int, rows: int, columns: int) -> IntegerWeights:
    """Return weights with different scales whose sums stay within the range for images of small numbers."""
    random = np.random.default_rng(0)
    values = np.zeros((outputs, inputs * rows * columns), np.int8)
    for row in values:
        chosen = random.choice(values.shape[1], min(6, values.shape[1]), replace=False)
        row[chosen] = random.integers(-2, 3, len(chosen))
    scales = random.choice([0.5, 1.0, 2.0], outputs).astype(np.float32)
    bias = random.integers(-5, 6, outputs).astype(np.int32) * 2
    return IntegerWeights(values.reshape(outputs, inputs, rows, columns), scales, bias)


def kernel(weights: IntegerWeights) -> Kernel:
    """Return the weights as a kernel, in the same order."""
    return Kernel(weights.values, weights.scales, weights.bias)


def ticks(count: int, *shape: int) -> NDArray[np.float32]:
    """Return latents that are -2, 0 or 2 times 1/32, [count, *shape]."""
    return (np.random.default_rng(1).integers(-1, 2, size=(count, *shape)) * 2 / 32).astype(np.float32)


def run(graph: GraphBuilder, result: QuantizedTensor, latent: NDArray[np.float32]) -> NDArray[np.float64]:
    """Run a graph on latents and return the numbers of its image, [N, H, W, C]."""
    height, width = result.height, result.width * result.channels
    graph.reshape("images", result.name, [-1, height, width])
    contents = graph.model(latent.shape[1], height, width).SerializeToString()
    (stored,) = onnxruntime.InferenceSession(contents, providers=["CPUExecutionProvider"]).run(["images"], {"z": latent})
    return result.quantization.dequantize(stored).reshape(len(latent), height, result.width, result.channels)


def expected(image: NDArray[np.float32], weights: IntegerWeights, pads: tuple[int, int, int, int]) -> NDArray[np.float64]:
    """Return torch's convolution of an image [N, H, W, C]."""
    top, left, bottom, right = pads
    padded = functional.pad(torch.from_numpy(image).double().permute(0, 3, 1, 2), (left, right, top, bottom))
    kernel, bias = torch.from_numpy(weights.dequantized()), torch.from_numpy(weights.dequantized_bias(LATENT_STEP))
    result: NDArray[np.float64] = functional.conv2d(padded, kernel, bias).permute(0, 2, 3, 1).numpy()
    return result


@pytest.mark.parametrize("columns", [1, 2, 3, 6])
@pytest.mark.parametrize(
    ("rows", "size", "pads"),
    [(1, 1, (0, 0, 0, 0)), (3, 3, (1, 1, 1, 1)), (2, 3, (1, 2, 0, 0)), (5, 5, (2, 2, 2, 2)), (3, 1, (0, 0, 2, 0))],
    ids=str,
)
def test_a_convolution_is_torchs_however_many_columns_are_made_at_once(
    monkeypatch: pytest.MonkeyPatch, rows: int, size: int, pads: tuple[int, int, int, int], columns: int
) -> None:
    monkeypatch.setattr(integer_layers, "best_packing", lambda *_: Packing(columns, 0))
    weights, image = small_weights(5, 3, rows, size), ticks(4, 5, 6, 3)
    graph = GraphBuilder()
    rows_of_latents = integer_layers.latent(graph, 90)
    pixels = integer_layers.to_image(graph, "image", ToImage(3, 5, 6), rows_of_latents)
    result = integer_layers.convolve(graph, "convolved", kernel(weights), 1.0, pads, pixels, SUMS)
    assert result.columns == columns
    wanted = expected(image, weights, pads)
    assert np.abs(wanted).max() < 127 / 32
    np.testing.assert_array_equal(run(graph, result, image.reshape(4, -1)), wanted)


def test_a_convolution_after_a_packed_one_sees_the_same_image(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, image = small_weights(2, 3, 3, 3), small_weights(3, 2, 3, 3), ticks(3, 4, 6, 3)
    images = []
    for columns in ((1, 1), (3, 1), (2, 6), (6, 2)):
        chosen = iter(columns)
        monkeypatch.setattr(integer_layers, "best_packing", lambda *_, chosen=chosen: Packing(next(chosen), 0))
        graph = GraphBuilder()
        pixels = integer_layers.to_image(graph, "image", ToImage(3, 4, 6), integer_layers.latent(graph, 72))
        middle = integer_layers.convolve(graph, "first", kernel(first), 1.0, (1, 1, 1, 1), pixels, SUMS)
        result = integer_layers.convolve(graph, "second", kernel(second), 1.0, (1, 1, 1, 1), middle, SUMS)
        images.append(run(graph, result, image.reshape(3, -1)))
    assert images[0].std() > 0
    for other in images[1:]:
        np.testing.assert_array_equal(other, images[0])


@pytest.mark.parametrize("count", [1, 2, 33])
def test_a_dense_layer_takes_the_images_of_a_batch_one_by_one(count: int) -> None:
    weights = small_weights(6, 10, 1, 1)
    flat = IntegerWeights(weights.values[:, :, 0, 0], weights.scales, weights.bias)
    latent, graph = ticks(count, 10), GraphBuilder()
    features = integer_layers.dense(graph, "dense", flat, None, 1.0, integer_layers.latent(graph, 10), SUMS)
    assert (features.height, features.channels) == (integer_layers.FLAT, 6)
    result = integer_layers.to_image(graph, "image", ToImage(1, 2, 3), features)
    wanted = latent.astype(np.float64) @ flat.dequantized().T + flat.dequantized_bias(LATENT_STEP)
    np.testing.assert_array_equal(run(graph, result, latent).reshape(count, 6), wanted)


def test_the_cost_decides_how_a_convolution_is_packed() -> None:
    graph = GraphBuilder()
    pixels = integer_layers.to_image(graph, "image", ToImage(8, 28, 28), integer_layers.latent(graph, 8 * 28 * 28))
    assert (
        integer_layers.convolve(graph, "last", kernel(small_weights(1, 8, 3, 3)), 1.0, (1, 1, 1, 1), pixels, SUMS).columns == 14
    )


@pytest.mark.parametrize("columns", [1, 3])
def test_outputs_may_share_scales_in_turn(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(integer_layers, "best_packing", lambda *_: Packing(columns, 0))
    weights, image = small_weights(4, 3, 3, 3), ticks(2, 4, 6, 3)
    shared = np.array([0.5, 2.0], np.float32)
    graph = GraphBuilder()
    pixels = integer_layers.to_image(graph, "image", ToImage(3, 4, 6), integer_layers.latent(graph, 72))
    layer = Kernel(weights.values, shared, weights.bias)
    result = integer_layers.convolve(graph, "convolved", layer, 1.0, (1, 1, 1, 1), pixels, SUMS)
    wanted = expected(image, IntegerWeights(weights.values, np.tile(shared, 2), weights.bias), (1, 1, 1, 1))
    assert np.abs(wanted).max() < 127 / 32
    np.testing.assert_array_equal(run(graph, result, image.reshape(2, -1)), wanted)


@pytest.mark.parametrize(("zero_point", "gain", "fits"), [(0, 0.5, True), (3, 0.5, False), (0, 1.0, False)])
def test_noise_must_share_the_quantization_of_its_features(zero_point: int, gain: float, fits: bool) -> None:
    graph = GraphBuilder()
    image = integer_layers.to_image(graph, "image", ToImage(2, 2, 2), integer_layers.latent(graph, 12, 8))
    features = replace(image, quantization=Quantization(2 * LATENT_QUANTIZATION.scale, zero_point))
    if fits:
        assert integer_layers.noise(graph, "noise", Noise(8, 1, gain), features).channels == 3
    else:
        with pytest.raises(ExportError, match=r"^cannot export noise here: expected it after a ReLU, and a convolution next$"):
            integer_layers.noise(graph, "noise", Noise(8, 1, gain), features)
