"""Enlarging with integers: exactly torch's transposed convolution, with all phases together and with each on its own."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from rounded_graph import rounded_graph
from torch import nn
from transposed_shapes import SHAPES, Shape, folded

from pocketgan.latents import latents
from pocketgan_trainer.export import integer_layers, integer_upscaling
from pocketgan_trainer.export.calibration import calibrate
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.grids import LATENT_GRID
from pocketgan_trainer.export.layers import ToImage, TransposedConvolution
from pocketgan_trainer.export.nodes import GraphNotes
from pocketgan_trainer.export.packing import Packing
from pocketgan_trainer.export.reference import activations
from pocketgan_trainer.export.subpixel import rewrite
from pocketgan_trainer.export.weights import IntegerWeights


def enlarging_graph(layer: TransposedConvolution, channels: int, size: int) -> onnx.ModelProto:
    """Return a graph that enlarges its latents, an image [channels, size, size], to [N, H, W*out] on the latents' grid."""
    plain = rewrite(layer, size)
    weights = IntegerWeights(
        plain.weight.astype(np.int8), np.ones(len(plain.bias), np.float32), (plain.bias * 32).astype(np.int32)
    )
    notes = GraphNotes()
    latent = integer_layers.latent(notes, channels * size * size)
    image = integer_layers.to_image(notes, "image", ToImage(channels, size, size), latent)
    larger = integer_upscaling.transposed_convolution(notes, "larger", layer, weights, 1.0, image, LATENT_GRID)
    width = larger.width * larger.channels
    notes.reshape("images", larger.name, [-1, larger.height, width])
    return notes.model(channels * size * size, larger.height, width)


def drawn(model: onnx.ModelProto, latent: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return what onnxruntime makes of latents."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    images: NDArray[np.uint8] = session.run(["images"], {"z": latent})[0]
    return images


@pytest.mark.parametrize("is_apart", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_transposed_convolution_is_torchs(monkeypatch: pytest.MonkeyPatch, shape: Shape, is_apart: bool) -> None:
    # Phases apart have as many outputs as the layer, together more: of these the cost is made the larger or the smaller.
    def cost(kernel: tuple[int, ...], height: int, width: int) -> Packing:
        return Packing(1, cost=10**6 if (kernel[0] > 3) == is_apart else 1)

    monkeypatch.setattr(integer_upscaling, "best_packing", cost)
    module = shape.layer(2, 3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.sign_()
            if parameter.ndim == 1:
                parameter.div_(32)
    for size in filter(shape.fits, (1, 2, 5)):
        ticks = torch.randint(-3, 4, (4, 2, size, size)).double()
        wanted = module(ticks / 32)
        assert wanted.abs().max() < 127 / 32
        model = enlarging_graph(folded(module), 2, size)
        operators = Counter(node.op_type for node in model.graph.node)
        assert operators["Conv"] == (shape.stride**2 if is_apart and shape.stride > 1 else 1)
        # [N, C, H, W] in torch, channels last in the graph
        latent = (ticks / 32).permute(0, 2, 3, 1).float().reshape(4, -1).numpy()
        expected = LATENT_GRID.store(wanted.detach().permute(0, 2, 3, 1).numpy())
        np.testing.assert_array_equal(drawn(model, latent), expected.reshape(4, wanted.shape[2], -1))


@pytest.mark.parametrize(("outputs", "convolutions"), [(128, 4), (1, 1)])
def test_phases_are_apart_where_that_costs_less(outputs: int, convolutions: int) -> None:
    layer = TransposedConvolution(np.ones((64, outputs, 3, 3)), np.zeros(outputs), stride=2, cut_before=0, cut_after=1)
    operators = Counter(node.op_type for node in enlarging_graph(layer, 64, 7).graph.node)
    assert operators["Conv"] == convolutions


@pytest.mark.parametrize(
    ("outputs", "operators"),
    [(1, "Transpose"), (2, "Transpose"), (3, "Gather"), (4, "Transpose"), (6, "Gather")],
)
def test_interleaving_is_a_transpose_where_that_is_quick(outputs: int, operators: str) -> None:
    notes = GraphNotes()
    latent = integer_layers.latent(notes, 9 * 4 * outputs)
    image = integer_layers.to_image(notes, "image", ToImage(4 * outputs, 3, 3), latent)
    phases = integer_layers.Stored(image.name, image.grid, 3, 3, 4 * outputs, stride=2)
    larger = integer_upscaling._interleaved(notes, "larger", phases)
    assert (larger.height, larger.width, larger.channels, larger.stride) == (6, 6, outputs, 1)
    notes.reshape("images", larger.name, [-1, 6, 6 * outputs])
    model = notes.model(36 * outputs, 6, 6 * outputs)
    assert {node.op_type for node in model.graph.node} & {"Transpose", "Gather"} == {operators}
    ticks = np.random.default_rng(0).integers(-128, 128, size=(2, 3, 3, 2, 2, outputs))
    images = drawn(model, (ticks / 32).astype(np.float32).reshape(2, -1))
    np.testing.assert_array_equal(
        images.reshape(2, 6, 6, outputs), ticks.transpose(0, 1, 3, 2, 4, 5).reshape(2, 6, 6, outputs) + 128
    )


def test_a_packed_image_may_be_enlarged_in_packed_phases() -> None:
    torch.manual_seed(0)
    generator = nn.Sequential(
        nn.Linear(8, 784),
        nn.Unflatten(1, (16, 7, 7)),
        nn.ReLU(),
        nn.Conv2d(16, 4, 3, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 16, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 1, 3, padding=1),
        nn.Tanh(),
    ).eval()
    layers = fold(generator)
    latent = latents(0, 0, 20, 8)
    (*_, exact) = activations(layers, torch.from_numpy(latent).double())
    wanted = (exact[:, 0].numpy() + 1) * 127.5
    for cost in (1, 10**9):
        # Phases of their own, then all in one.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                integer_upscaling, "best_packing", lambda kernel, *_, cost=cost: Packing(1, cost if kernel[0] == 16 else 10**6)
            )
            images = drawn(rounded_graph(layers, calibrate(layers, 8), 8), latent)
        assert np.abs(images - wanted).max() < 8
