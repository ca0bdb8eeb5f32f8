"""The int8 graph: integers only, exactly its own arithmetic, the same for every batch, and readable by old onnxruntimes."""

from collections import Counter
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import quantized_arithmetic
import torch
from lively_generators import POCKET_LATENT_SIZE, lively_generator, lively_pocket
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from rounded_graph import graph_rounded_on, rounded_graph
from torch import nn
from torch.nn import functional

from pocketgan.latents import latents
from pocketgan.model.card import KernelFacts
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export import calibration, weights
from pocketgan_trainer.export.calibration import LATENT_QUANTIZATION, PIXEL_QUANTIZATION, Quantization, calibrate
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.integer_graph import integer_graph
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
    TransposedConvolution,
    activations,
)
from pocketgan_trainer.export.verify import count_kernels, optimized
from pocketgan_trainer.export.weights import largest_neighbour_sum

PRESETS = ("narrow-dcgan", "mlp")


@cache
def built(preset: str) -> onnx.ModelProto:
    """Return the int8 graph of a lively generator, calibrated on fewer images than the exporter uses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "CALIBRATION_IMAGES", 64)
        layers = fold(lively_generator(preset))
        return rounded_graph(layers, calibrate(layers, 100), 100)


def drawn(model: onnx.ModelProto, latent: NDArray[np.float32], label: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
    """Return onnxruntime's images."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (images,) = session.run(["images"], {"z": latent} if label is None else {"z": latent, "label": label})
    assert isinstance(images, np.ndarray)
    return images


def assert_same_but_for_halves(images: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
    """Compare images that onnxruntime drew with those of exact arithmetic.

    onnxruntime scales in float32, so a sum half way between two integers may go to the other one, and later layers spread that
    over the image. It happens to few images, and moves them by little.
    """
    difference = np.abs(images.astype(int) - expected)
    assert (difference.max(axis=(1, 2)) > 0).mean() <= 0.1
    assert difference.max() <= 16


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


@pytest.mark.parametrize(
    ("preset", "convolutions", "kernels"),
    [("narrow-dcgan", 4, 8), ("mlp", 3, 6), pytest.param("dcgan", 7, 11, marks=pytest.mark.slow)],
)
def test_onnxruntime_runs_nothing_but_integer_kernels(preset: str, convolutions: int, kernels: int) -> None:
    # Dense layers are 1x1 convolutions; in the DCGAN, each phase of the first transposed convolution is one.
    operators = Counter(node.op_type for node in built(preset).graph.node)
    assert "ConvTranspose" not in operators
    assert operators["Conv"] == convolutions
    # One for each convolution, one for each table.
    assert count_kernels(optimized(built(preset).SerializeToString())) == KernelFacts(kernels, ())


@pytest.mark.parametrize("preset", PRESETS)
def test_all_weights_are_integers_whose_neighbours_cannot_saturate(preset: str) -> None:
    arrays = {entry.name: numpy_helper.to_array(entry) for entry in built(preset).graph.initializer}
    weights = [array for name, array in arrays.items() if name.endswith(("weight.integers", "weight.narrow"))]
    assert len(weights) == {"narrow-dcgan": 4, "mlp": 3}[preset]
    for weight in weights:
        assert weight.dtype == np.int8
        assert np.abs(weight.astype(int)).max() > 63
        assert largest_neighbour_sum(weight) <= 128
    # Nothing large is stored in floating point: scales alone.
    floats = sum(array.size for array in arrays.values() if array.dtype == np.float32)
    assert floats < 0.03 * sum(weight.size for weight in weights)


@pytest.mark.parametrize("preset", [*PRESETS, pytest.param("dcgan", marks=pytest.mark.slow)])
def test_pixels_are_near_those_of_torch(preset: str) -> None:
    latent = latents(1, 0, 32, 100)
    with torch.inference_mode():
        values = lively_generator(preset)(torch.from_numpy(latent))[:, 0].numpy()
    difference = np.abs(drawn(built(preset), latent) - (values.astype(np.float64) + 1) * 127.5)
    # These images are noise, which loses twice as much as digits. A turned, mirrored or mixed-up image is off by a hundred.
    assert np.sqrt((difference**2).mean()) < 5
    assert difference.max() < 40
    assert values.std() > 0.4


@pytest.mark.parametrize(("preset", "count"), [("mlp", 200), ("narrow-dcgan", 20)])
def test_pixels_are_those_of_the_integer_arithmetic_in_the_file(preset: str, count: int) -> None:
    latent = latents(2, 0, count, 100)
    assert_same_but_for_halves(drawn(built(preset), latent), quantized_arithmetic.run(built(preset), latent))


@pytest.mark.parametrize("preset", PRESETS)
def test_an_image_does_not_depend_on_its_batch(preset: str) -> None:
    latent = latents(3, 0, 33, 100)
    together = drawn(built(preset), latent)
    session = onnxruntime.InferenceSession(built(preset).SerializeToString(), providers=["CPUExecutionProvider"])
    for chosen in ([0], [32], [5, 4, 3], list(range(32, -1, -1)), [7] * 16):
        (images,) = session.run(["images"], {"z": latent[chosen]})
        np.testing.assert_array_equal(images, together[chosen])


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
    quantizations, latent = calibrate(layers, 5), latents(0, 0, 20, 5)
    whole = drawn(rounded_graph(layers, quantizations, 5), latent)
    cut = drawn(rounded_graph([*before, shorter, tanh], quantizations, 5), latent)
    size = 7 - cut_after
    assert cut.shape == (20, size, size)
    np.testing.assert_array_equal(cut, whole[:, :size, :size])


@pytest.mark.parametrize("last", [[], [LeakyRelu(0.2)]], ids=["nothing", "LeakyReLU"])
def test_an_image_that_does_not_end_in_tanh_is_refused(last: list[Layer]) -> None:
    layers = small_generator(np.random.default_rng(0), *last)
    with pytest.raises(ExportError, match="expected layers that end in an image after a tanh"):
        rounded_graph(layers, calibrate(layers, 5), 5)


def test_features_that_never_become_an_image_are_refused() -> None:
    layers: list[Layer] = [Dense(np.eye(5), np.zeros(5)), Tanh()]
    with pytest.raises(ExportError, match="expected layers that end in an image after a tanh"):
        rounded_graph(layers, calibrate(layers, 5), 5)


@pytest.mark.parametrize("tail", [[Tanh(), ToImage(1, 4, 4)], [ToImage(1, 4, 4), Tanh()]], ids=["tanh first", "image first"])
def test_the_tanh_may_come_before_or_after_the_image(tail: list[Layer]) -> None:
    random = np.random.default_rng(0)
    layers: list[Layer] = [Dense(random.normal(size=(16, 8)), random.normal(size=16)), *tail]
    latent = latents(0, 0, 50, 8)
    exact = activations(layers, torch.from_numpy(latent).double())[-1].numpy().reshape(50, 4, 4)
    pixels = drawn(rounded_graph(layers, calibrate(layers, 8), 8), latent)
    assert np.abs(pixels - (exact + 1) * 127.5).mean() < 2


def test_a_leaky_relu_before_the_tanh_is_refused() -> None:
    layers: list[Layer] = [Dense(np.eye(4), np.zeros(4)), LeakyRelu(0.2), Tanh(), ToImage(1, 2, 2)]
    with pytest.raises(ExportError, match="cannot export layer 1, a LeakyRelu: expected weights before the tanh"):
        rounded_graph(layers, calibrate(layers, 4), 4)


@cache
def pocket_layers(activation: str, is_normalized: bool) -> tuple[Layer, ...]:
    """Return the layers of a small lively generator with classes."""
    modules = {"ReLU": nn.ReLU(), "LeakyReLU": nn.LeakyReLU(0.2)}
    return tuple(fold(lively_pocket(activation=modules[activation], is_normalized=is_normalized)))


@cache
def built_pocket(activation: str = "ReLU", is_normalized: bool = True) -> onnx.ModelProto:
    """Return the int8 graph of a small lively generator with classes."""
    layers = list(pocket_layers(activation, is_normalized))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "CALIBRATION_IMAGES", 100)
        return rounded_graph(layers, calibrate(layers, POCKET_LATENT_SIZE), POCKET_LATENT_SIZE)


KINDS = [("ReLU", True), ("LeakyReLU", False)]


@pytest.mark.parametrize(("activation", "is_normalized"), KINDS)
def test_a_pocket_generator_is_integer_from_the_latent_to_the_pixel(activation: str, is_normalized: bool) -> None:
    model = built_pocket(activation, is_normalized)
    onnx.checker.check_model(model, full_check=True)
    kernels = count_kernels(optimized(model.SerializeToString()))
    assert kernels.floating_point == ()
    # One for each layer with weights, which a ReLU is part of; a LeakyReLU has a table of its own.
    assert kernels.integer == {"ReLU": 5, "LeakyReLU": 9}[activation]
    operators = Counter(node.op_type for node in model.graph.node)
    assert not {"Relu", "Clip", "DepthToSpace", "Tanh", "Sigmoid"} & set(operators)


@pytest.mark.parametrize(("activation", "is_normalized"), KINDS)
def test_a_pocket_generators_pixels_are_those_of_the_integer_arithmetic(activation: str, is_normalized: bool) -> None:
    model, latent, label = built_pocket(activation, is_normalized), latents(2, 0, 100, POCKET_LATENT_SIZE), np.arange(100) % 10
    images = drawn(model, latent, label)
    assert images.std() > 60
    assert (images == 0).mean() > 0.05
    assert (images == 255).mean() > 0.01
    assert_same_but_for_halves(images, quantized_arithmetic.run(model, latent, label))


@pytest.mark.parametrize(("activation", "is_normalized"), KINDS)
def test_a_pocket_generators_pixels_are_near_those_of_torch(activation: str, is_normalized: bool) -> None:
    latent, label = latents(1, 0, 100, POCKET_LATENT_SIZE), np.arange(100) % 10
    layers = list(pocket_layers(activation, is_normalized))
    (*_, exact) = activations(layers, torch.from_numpy(latent).double(), torch.from_numpy(label))
    difference = drawn(built_pocket(activation, is_normalized), latent, label) - (exact[:, 0].numpy() + 1) * 127.5
    assert np.sqrt((difference**2).mean()) < 6


def test_inputs_of_a_model_with_classes_are_those_of_the_contract() -> None:
    found = {
        value.name: (value.type.tensor_type.elem_type, [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim])
        for value in built_pocket().graph.input
    }
    assert found == {"z": (TensorProto.FLOAT, ["N", POCKET_LATENT_SIZE]), "label": (TensorProto.INT64, ["N"])}


def test_an_image_of_a_class_does_not_depend_on_its_batch() -> None:
    latent, label = latents(3, 0, 64, POCKET_LATENT_SIZE), np.arange(64) % 10
    together = drawn(built_pocket(), latent, label)
    session = onnxruntime.InferenceSession(built_pocket().SerializeToString(), providers=["CPUExecutionProvider"])
    for size in (1, 16, 63):
        inputs = [{"z": latent[at : at + size], "label": label[at : at + size]} for at in range(0, 64, size)]
        np.testing.assert_array_equal(np.concatenate([session.run(["images"], feed)[0] for feed in inputs]), together)


def test_a_model_of_the_largest_size_is_below_256_kib() -> None:
    layers = fold(lively_pocket(64, (48, 24, 12), 8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "CALIBRATION_IMAGES", 10)
        patch.setattr(weights, "_SCALE_CANDIDATES", np.ones(1))
        model = rounded_graph(layers, calibrate(layers, 64), 64)
    assert len(model.SerializeToString()) < 256 * 1024 - 1024  # and a card


@pytest.mark.parametrize("value", [2.01, 4.0, -4.5])
def test_a_class_input_that_is_not_a_latent_is_refused(value: float) -> None:
    layers: list[Layer] = [ClassInput(10, value), *pocket_layers("ReLU", True)[1:]]
    quantizations: list[Quantization | None] = [LATENT_QUANTIZATION] * len(layers)
    with pytest.raises(ExportError, match=r"a class input of .*: expected a multiple of the latents' step 0.03125 within"):
        integer_graph(layers, quantizations, [None] * len(layers), POCKET_LATENT_SIZE)


def test_a_class_input_elsewhere_than_at_the_beginning_is_refused() -> None:
    layers: list[Layer] = [Dense(np.eye(4), np.zeros(4)), ClassInput(2, 1.0)]
    with pytest.raises(ExportError, match="cannot export layer 1, a ClassInput"):
        rounded_graph(layers, [LATENT_QUANTIZATION, LATENT_QUANTIZATION], 4)


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


def test_a_relu_of_integers_that_can_be_negative_is_refused() -> None:
    layers, quantizations = exact_generator(Relu())
    with pytest.raises(ExportError, match="cannot export layer 3, a Relu: expected"):
        rounded_graph(layers, quantizations, 9)


def test_a_pixel_shuffle_elsewhere_than_after_a_convolution_is_refused() -> None:
    layers: list[Layer] = [Dense(np.eye(36), np.zeros(36)), ToImage(4, 3, 3), PixelShuffle(2), GreyLevels()]
    with pytest.raises(ExportError, match="a pixel shuffle by 2 here: expected it to follow a convolution"):
        rounded_graph(layers, calibrate(layers, 36), 36)


def test_several_channels_at_the_end_are_refused() -> None:
    layers: list[Layer] = [Dense(np.eye(8), np.zeros(8)), ToImage(2, 2, 2), GreyLevels()]
    with pytest.raises(ExportError, match="expected layers that end in an image"):
        rounded_graph(layers, calibrate(layers, 8), 8)
