"""The float graphs: pixel for pixel what torch draws, and the types that their names promise."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from lively_generators import POCKET_LATENT_SIZE, lively_generator, lively_pocket
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from torch import nn
from torch.nn import functional

from pocketgan.latents import latents
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.float_graph import FloatType, float_graph
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import (
    ClassInput,
    Convolution,
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

PRESETS = ("narrow-dcgan", "mlp")
TYPES: tuple[FloatType, ...] = (np.float32, np.float16)


def built(preset: str, dtype: FloatType) -> onnx.ModelProto:
    """Return the float graph of a lively generator."""
    return float_graph(fold(lively_generator(preset)), 100, dtype)


def drawn(model: onnx.ModelProto, latent: NDArray[np.float32], label: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
    """Return onnxruntime's images."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (images,) = session.run(["images"], {"z": latent} if label is None else {"z": latent, "label": label})
    assert isinstance(images, np.ndarray)
    return images


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("dtype", TYPES)
def test_a_graph_is_valid_and_old_enough_with_weights_of_its_type(preset: str, dtype: FloatType) -> None:
    model = built(preset, dtype)
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    found = {
        value.name: (value.type.tensor_type.elem_type, [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim])
        for value in (*model.graph.input, *model.graph.output)
    }
    assert found == {"z": (TensorProto.FLOAT, ["N", 100]), "images": (TensorProto.UINT8, ["N", 28, 28])}
    arrays = [numpy_helper.to_array(entry) for entry in model.graph.initializer]
    assert {array.dtype for array in arrays if array.size > 4} == {np.dtype(dtype)}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("dtype", "largest", "share"), [(np.float32, 1, 0.001), (np.float16, 2, 0.2)])
def test_pixels_are_those_of_torch(preset: str, dtype: FloatType, largest: int, share: float) -> None:
    expected = draw(lively_generator(preset), 100, seed=1, start=0, count=32).astype(int)
    difference = np.abs(drawn(built(preset, dtype), latents(1, 0, 32, 100)) - expected)
    assert expected.std() > 50
    assert difference.max() <= largest
    assert (difference > 0).mean() < share


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.LeakyReLU(0.2)], ids=str)
@pytest.mark.parametrize(("dtype", "largest", "share"), [(np.float32, 1, 0.001), (np.float16, 2, 0.3)])
def test_a_pocket_generators_pixels_are_those_of_torch(
    dtype: FloatType, activation: nn.Module, largest: int, share: float
) -> None:
    generator, label = lively_pocket(activation=activation), np.arange(40) % 10
    model = float_graph(fold(generator), POCKET_LATENT_SIZE, dtype)
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["z", "label"]
    assert model.graph.input[1].type.tensor_type.elem_type == TensorProto.INT64
    expected = draw(generator, POCKET_LATENT_SIZE, seed=1, start=0, count=40, labels=label).astype(int)
    difference = np.abs(drawn(model, latents(1, 0, 40, POCKET_LATENT_SIZE), label) - expected)
    assert expected.std() > 50
    assert difference.max() <= largest
    assert (difference > 0).mean() < share


def test_a_class_input_adds_its_value_at_the_place_of_the_label() -> None:
    layers: list[Layer] = [ClassInput(3, 0.5), Dense(np.eye(4), np.zeros(4)), ToImage(1, 2, 2), GreyLevels()]
    images = drawn(float_graph(layers, 1, np.float32), np.array([[1], [0], [1]], dtype=np.float32), np.array([0, 1, 2]))
    assert images.reshape(3, 4).tolist() == [[255, 128, 0, 0], [0, 0, 128, 0], [255, 0, 0, 128]]


@pytest.mark.parametrize("factor", [2, 3])
def test_a_pixel_shuffle_is_that_of_torch(factor: int) -> None:
    rows = np.random.default_rng(0).normal(size=(factor**2 * 6, 4))
    convolution = Convolution(np.ones((1, 1, 1, 1)), np.zeros(1))
    layers: list[Layer] = [
        Dense(rows, np.zeros(len(rows))),
        ToImage(factor**2, 2, 3),
        PixelShuffle(factor),
        convolution,
        GreyLevels(),
    ]
    latent = latents(0, 0, 20, 4)
    brightness = torch.from_numpy(latent.astype(np.float64) @ rows.T).reshape(-1, factor**2, 2, 3)
    expected = functional.pixel_shuffle(brightness, factor)[:, 0].clamp(0, 1).mul(255).round().numpy()
    assert np.abs(drawn(float_graph(layers, 4, np.float32), latent) - expected).max() <= 1


def test_brightness_is_cut_off_and_rounded_to_the_nearest_grey_level() -> None:
    layers: list[Layer] = [Dense(np.eye(4) / 255, np.zeros(4)), ToImage(1, 2, 2), GreyLevels()]
    latent = np.array([[-4, 100.4, 100.6, 300]], dtype=np.float32)
    assert drawn(float_graph(layers, 4, np.float32), latent).ravel().tolist() == [0, 100, 101, 255]


@pytest.mark.parametrize("convolution", [nn.ConvTranspose2d(2, 1, 3, 2, 1, 1), nn.ConvTranspose2d(2, 1, 4, 2, 1)], ids=str)
def test_torchs_own_paddings_are_written_too(convolution: nn.ConvTranspose2d) -> None:
    generator = nn.Sequential(nn.Linear(5, 18), nn.Unflatten(1, (2, 3, 3)), convolution, nn.Tanh())
    images = drawn(float_graph(fold(generator), 5, np.float32), latents(0, 0, 20, 5))
    expected = draw(generator, 5, seed=0, start=0, count=20).astype(int)
    assert images.shape == (20, 6, 6)
    assert np.abs(images - expected).max() <= 1


def test_grey_levels_go_from_0_to_255() -> None:
    layers: list[Layer] = [Dense(100 * np.eye(4), np.zeros(4)), Tanh(), ToImage(1, 2, 2)]
    images = drawn(float_graph(layers, 4, np.float32), np.array([[-4, 4, 0, 0.001]], dtype=np.float32))
    assert images[0].ravel().tolist() == [0, 255, 128, 140]


def test_layers_that_never_become_an_image_are_refused() -> None:
    with pytest.raises(ExportError, match="expected layers that end in an image"):
        float_graph([Dense(np.eye(4), np.zeros(4)), LeakyRelu(0.2), Tanh()], 4, np.float32)


def test_rows_added_at_the_top_are_refused() -> None:
    convolution = TransposedConvolution(np.ones((1, 1, 3, 3)), np.zeros(1), stride=2, cut_before=-1, cut_after=0)
    with pytest.raises(ExportError, match="adds rows at the top"):
        float_graph([Dense(np.eye(4), np.zeros(4)), ToImage(1, 2, 2), convolution, Tanh()], 4, np.float32)
