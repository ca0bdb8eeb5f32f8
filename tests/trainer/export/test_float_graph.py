"""The float graphs: pixel for pixel what torch draws, and the types that their names promise."""

import numpy as np
import onnx
import onnxruntime
import pytest
from lively_generators import lively_generator
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from torch import nn

from pocketgan.latents import latents
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export.float_graph import FloatType, float_graph
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.layers import Dense, Layer, LeakyRelu, Tanh, ToImage, TransposedConvolution
from pocketgan_trainer.training.sampling import draw

PRESETS = ("dcgan", "mlp")
TYPES: tuple[FloatType, ...] = (np.float32, np.float16)


def built(preset: str, dtype: FloatType) -> onnx.ModelProto:
    """Return the float graph of a lively generator."""
    return float_graph(fold(lively_generator(preset)), 100, dtype)


def drawn(model: onnx.ModelProto, latent: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return onnxruntime's images."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (images,) = session.run(["images"], {"z": latent})
    assert isinstance(images, np.ndarray)
    return images


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("dtype", TYPES)
def test_graph_passes_onnxs_own_checks_and_is_old_enough(preset: str, dtype: FloatType) -> None:
    model = built(preset, dtype)
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert model.ir_version == 8


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("dtype", TYPES)
def test_input_and_output_are_those_of_the_contract(preset: str, dtype: FloatType) -> None:
    graph = built(preset, dtype).graph
    found = {
        value.name: (value.type.tensor_type.elem_type, [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim])
        for value in (*graph.input, *graph.output)
    }
    assert found == {"z": (TensorProto.FLOAT, ["N", 100]), "images": (TensorProto.UINT8, ["N", 28, 28])}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("dtype", TYPES)
def test_all_weights_are_of_the_named_type(preset: str, dtype: FloatType) -> None:
    arrays = [numpy_helper.to_array(entry) for entry in built(preset, dtype).graph.initializer]
    assert {array.dtype for array in arrays if array.size > 4} == {np.dtype(dtype)}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("dtype", "largest", "share"), [(np.float32, 1, 0.001), (np.float16, 2, 0.2)])
def test_pixels_are_those_of_torch(preset: str, dtype: FloatType, largest: int, share: float) -> None:
    expected = draw(lively_generator(preset), 100, seed=1, start=0, count=32).astype(int)
    difference = np.abs(drawn(built(preset, dtype), latents(1, 0, 32, 100)) - expected)
    assert expected.std() > 50
    assert difference.max() <= largest
    assert (difference > 0).mean() < share


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
