"""The int8 graph: integers only, right to the pixel, the same for every batch, and readable by old onnxruntimes."""

from collections import Counter
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import quantized_arithmetic
import torch
from lively_generators import lively_generator
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from pocketgan.latents import latents
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export import quantization
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.integer_graph import integer_graph
from pocketgan_trainer.export.layers import Dense, Layer, LeakyRelu, Tanh, ToImage, TransposedConvolution
from pocketgan_trainer.export.quantization import calibrate
from pocketgan_trainer.export.reference import activations
from pocketgan_trainer.export.verify import count_kernels

PRESETS = ("dcgan", "mlp")


@cache
def built(preset: str) -> onnx.ModelProto:
    """Return the int8 graph of a lively generator, calibrated on fewer images than the exporter takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantization, "CALIBRATION_IMAGES", 64)
        layers = fold(lively_generator(preset))
        return integer_graph(layers, calibrate(layers, 100), 100)


def drawn(model: onnx.ModelProto, latent: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return onnxruntime's images."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (images,) = session.run(["images"], {"z": latent})
    assert isinstance(images, np.ndarray)
    return images


@pytest.mark.parametrize("preset", PRESETS)
def test_graph_passes_onnxs_own_checks_and_is_old_enough(preset: str) -> None:
    model = built(preset)
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    assert not model.functions


@pytest.mark.parametrize("preset", PRESETS)
def test_input_and_output_are_those_of_the_contract(preset: str) -> None:
    graph = built(preset).graph
    found = {
        value.name: (value.type.tensor_type.elem_type, [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim])
        for value in (*graph.input, *graph.output)
    }
    assert found == {"z": (TensorProto.FLOAT, ["N", 100]), "images": (TensorProto.UINT8, ["N", 28, 28])}


@pytest.mark.parametrize("preset", PRESETS)
def test_no_transposed_convolution_is_left(preset: str) -> None:
    operators = Counter(node.op_type for node in built(preset).graph.node)
    assert "ConvTranspose" not in operators
    assert operators["Conv"] == {"dcgan": 3, "mlp": 0}[preset]


@pytest.mark.parametrize(("preset", "integer"), [("dcgan", 8), ("mlp", 6)])
def test_onnxruntime_runs_nothing_but_integer_kernels(preset: str, integer: int) -> None:
    # One for each layer with weights, one for each table.
    kernels = count_kernels(built(preset).SerializeToString())
    assert kernels.other == ()
    assert kernels.integer == integer


@pytest.mark.parametrize("preset", PRESETS)
def test_all_weights_are_seven_bit_integers(preset: str) -> None:
    arrays = {entry.name: numpy_helper.to_array(entry) for entry in built(preset).graph.initializer}
    weights = [array for name, array in arrays.items() if name.endswith("weight.integers")]
    assert len(weights) == {"dcgan": 4, "mlp": 3}[preset]
    for weight in weights:
        assert weight.dtype == np.int8
        assert np.abs(weight.astype(int)).max() == 63
    # Nothing large is stored in floating point: scales alone.
    floats = sum(array.size for array in arrays.values() if array.dtype == np.float32)
    assert floats < 0.03 * sum(weight.size for weight in weights)


@pytest.mark.parametrize("preset", PRESETS)
def test_pixels_are_near_those_of_torch(preset: str) -> None:
    latent = latents(1, 0, 32, 100)
    with torch.inference_mode():
        values = lively_generator(preset)(torch.from_numpy(latent))[:, 0].numpy()
    difference = np.abs(drawn(built(preset), latent) - (values.astype(np.float64) + 1) * 127.5)
    # Noise, which these images are, loses twice as much as digits. An image turned, mirrored or mixed up is off by a hundred.
    assert np.sqrt((difference**2).mean()) < 5
    assert difference.max() < 40
    assert values.std() > 0.4


@pytest.mark.parametrize(("preset", "count"), [("mlp", 200), ("dcgan", 3)])
def test_pixels_are_those_of_the_integer_arithmetic_in_the_file(preset: str, count: int) -> None:
    latent = latents(2, 0, count, 100)
    np.testing.assert_array_equal(drawn(built(preset), latent), quantized_arithmetic.run(built(preset), latent))


@pytest.mark.parametrize("preset", PRESETS)
def test_an_image_does_not_depend_on_its_batch(preset: str) -> None:
    latent = latents(3, 0, 33, 100)
    together = drawn(built(preset), latent)
    session = onnxruntime.InferenceSession(built(preset).SerializeToString(), providers=["CPUExecutionProvider"])
    for chosen in ([0], [32], [5, 4, 3], list(range(32, -1, -1)), [7] * 16):
        (images,) = session.run(["images"], {"z": latent[chosen]})
        np.testing.assert_array_equal(images, together[chosen])


@pytest.mark.parametrize("preset", PRESETS)
def test_building_again_gives_the_same_bytes(preset: str) -> None:
    first = built(preset).SerializeToString(deterministic=True)
    built.cache_clear()
    assert built(preset).SerializeToString(deterministic=True) == first


def small_generator(random: np.random.Generator, *last: Layer) -> list[Layer]:
    """Return a dense layer to 2x3x3, a transposed convolution to 1x6x6, and what follows."""
    return [
        Dense(random.normal(size=(18, 5)), random.normal(size=18)),
        LeakyRelu(0.2),
        ToImage(2, 3, 3),
        TransposedConvolution(random.normal(size=(2, 1, 3, 3)), random.normal(size=1), stride=2, cut_before=0, cut_after=1),
        *last,
    ]


@pytest.mark.parametrize("cut_after", [1, 2, 3])
def test_rows_and_columns_are_cut_off_at_the_end(cut_after: int) -> None:
    layers = small_generator(np.random.default_rng(0), Tanh())
    (*before, convolution, tanh) = layers
    assert isinstance(convolution, TransposedConvolution)
    shorter = TransposedConvolution(convolution.weight, convolution.bias, 2, 0, cut_after)
    grids, latent = calibrate(layers, 5), latents(0, 0, 20, 5)
    whole = drawn(integer_graph(layers, grids, 5), latent)
    cut = drawn(integer_graph([*before, shorter, tanh], grids, 5), latent)
    size = 7 - cut_after
    assert cut.shape == (20, size, size)
    np.testing.assert_array_equal(cut, whole[:, :size, :size])


@pytest.mark.parametrize("last", [[], [LeakyRelu(0.2)]], ids=["nothing", "LeakyReLU"])
def test_an_image_that_does_not_end_in_tanh_is_refused(last: list[Layer]) -> None:
    layers = small_generator(np.random.default_rng(0), *last)
    with pytest.raises(ExportError, match="expected layers that end in an image after a tanh"):
        integer_graph(layers, calibrate(layers, 5), 5)


def test_features_that_never_become_an_image_are_refused() -> None:
    layers: list[Layer] = [Dense(np.eye(5), np.zeros(5)), Tanh()]
    with pytest.raises(ExportError, match="expected layers that end in an image after a tanh"):
        integer_graph(layers, calibrate(layers, 5), 5)


def test_an_oblong_image_is_refused() -> None:
    weight = np.ones((2, 1, 3, 3))
    layers: list[Layer] = [
        Dense(np.ones((12, 5)), np.zeros(12)),
        ToImage(2, 2, 3),
        TransposedConvolution(weight, np.zeros(1), 2, 0, 1),
        Tanh(),
    ]
    with pytest.raises(ExportError, match="a transposed convolution of 2x3 pixels: expected a square"):
        integer_graph(layers, calibrate(layers, 5), 5)


@pytest.mark.parametrize("tail", [[Tanh(), ToImage(1, 4, 4)], [ToImage(1, 4, 4), Tanh()]], ids=["tanh first", "image first"])
def test_the_tanh_may_come_before_or_after_the_image(tail: list[Layer]) -> None:
    random = np.random.default_rng(0)
    layers: list[Layer] = [Dense(random.normal(size=(16, 8)), random.normal(size=16)), *tail]
    latent = latents(0, 0, 50, 8)
    exact = activations(layers, torch.from_numpy(latent).double())[-1].numpy().reshape(50, 4, 4)
    pixels = drawn(integer_graph(layers, calibrate(layers, 8), 8), latent)
    assert np.abs(pixels - (exact + 1) * 127.5).mean() < 2


def test_a_leaky_relu_before_the_tanh_is_refused() -> None:
    layers: list[Layer] = [Dense(np.eye(4), np.zeros(4)), LeakyRelu(0.2), Tanh(), ToImage(1, 2, 2)]
    with pytest.raises(ExportError, match="cannot export layer 1, a LeakyRelu: expected weights before the tanh"):
        integer_graph(layers, calibrate(layers, 4), 4)
