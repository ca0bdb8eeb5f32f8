"""Enlarging with integers: exactly torch's transposed convolution, with all phases together and with each separately."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
import torch
from built_graphs import drawn, rounded_graph
from torch import nn

from pocketgan.latents import latents
from pocketgan_trainer.export import calibration, integer_layers, upscaling
from pocketgan_trainer.export.calibration import LATENT_QUANTIZATION, calibrate
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.graph_builder import GraphBuilder
from pocketgan_trainer.export.integer_layers import Packing, QuantizedTensor
from pocketgan_trainer.export.layers import ToImage, TransposedConvolution, activations
from pocketgan_trainer.export.upscaling import interleave, phases, subpixel_convolution
from pocketgan_trainer.export.weights import IntegerWeights
from pocketgan_trainer.networks.dcgan import SameConvTranspose2d


@dataclass(frozen=True)
class Shape:
    """Kernel size, stride and paddings of a transposed convolution in torch; padding None is Keras's 'same'."""

    kernel_size: int
    stride: int
    padding: int | None
    output_padding: int = 0

    def __str__(self) -> str:
        """Return a short name for pytest."""
        padding = "same" if self.padding is None else f"p{self.padding}+{self.output_padding}"
        return f"k{self.kernel_size}s{self.stride}{padding}"

    def fits(self, size: int) -> bool:
        """Return whether the output for an input of this size has any pixels."""
        return self.padding is None or (size - 1) * self.stride + self.kernel_size - 2 * self.padding + self.output_padding > 0

    def layer(self, channels_in: int, channels_out: int) -> nn.ConvTranspose2d:
        """Return such a layer with small integers as weights and, if it has one, as bias."""
        layer: nn.ConvTranspose2d
        if self.padding is None:
            layer = SameConvTranspose2d(channels_in, channels_out, self.kernel_size, self.stride)
        else:
            layer = nn.ConvTranspose2d(
                channels_in, channels_out, self.kernel_size, self.stride, self.padding, self.output_padding
            )
        with torch.no_grad():
            for weight in layer.parameters():
                weight.copy_(torch.randint(-9, 10, weight.shape))
        return layer.double()


SHAPES = [
    # Kernels smaller than the stride leave gaps.
    Shape(2, 3, 0),
    Shape(2, 3, 1, 2),
    Shape(2, 2, 0),
    Shape(3, 3, 0, 1),
    Shape(2, 1, 1),
    Shape(3, 1, 1),
    Shape(5, 1, 0),
    Shape(3, 2, 0, 1),
    Shape(3, 2, 1, 1),
    Shape(4, 2, 1),
    Shape(4, 2, 2),
    Shape(5, 2, 2, 1),
    Shape(5, 3, 1, 2),
    Shape(3, 1, None),
    Shape(3, 2, None),
    Shape(5, 2, None),
    Shape(4, 3, None),
]


def folded(module: nn.ConvTranspose2d) -> TransposedConvolution:
    """Return the layer as the exporter sees it."""
    (layer,) = fold(module)
    assert isinstance(layer, TransposedConvolution)
    return layer


@pytest.mark.parametrize(
    ("shape", "kernel_size", "paddings"),
    [(Shape(3, 2, None), 2, (1, 0)), (Shape(3, 1, None), 3, (1, 1)), (Shape(4, 2, 1), 3, (1, 1)), (Shape(5, 2, None), 3, (1, 1))],
    ids=str,
)
def test_kernels_are_no_larger_than_they_must_be(shape: Shape, kernel_size: int, paddings: tuple[int, int]) -> None:
    convolution = subpixel_convolution(folded(shape.layer(3, 2)), 7)
    assert convolution.weight.shape == (2 * shape.stride**2, 3, kernel_size, kernel_size)
    assert (convolution.pad_before, convolution.pad_after) == paddings


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_phases_hold_all_weights_in_the_order_of_their_channels(shape: Shape) -> None:
    for size in filter(shape.fits, (1, 2, 7)):
        convolution = subpixel_convolution(folded(shape.layer(3, 2)), size)
        parts = list(phases(convolution))
        assert [part.outputs for part in parts] == [slice(2 * n, 2 * n + 2) for n in range(shape.stride**2)]
        for part in parts:
            assert min(part.pads) >= 0
            elsewhere = convolution.weight[part.outputs].copy()
            elsewhere[:, :, part.rows, part.columns] = 0
            assert not elsewhere.any()


def test_phases_have_no_weights_that_are_always_zero() -> None:
    # With Keras's "same" padding, kernel 3 and stride 2, phases have 4, 2, 2 and 1 positions: together the kernel's 9.
    convolution = subpixel_convolution(folded(Shape(3, 2, None).layer(3, 2)), 7)
    parts = [convolution.weight[part.outputs, :, part.rows, part.columns] for part in phases(convolution)]
    assert [part.shape[2:] for part in parts] == [(2, 2), (2, 1), (1, 2), (1, 1)]


def enlarging_graph(layer: TransposedConvolution, channels: int, size: int) -> onnx.ModelProto:
    """Return a graph that enlarges its latents, an image [channels, size, size], to [N, H, W*out], quantized like latents."""
    plain = subpixel_convolution(layer, size)
    weights = IntegerWeights(
        plain.weight.astype(np.int8), np.ones(len(plain.bias), np.float32), (plain.bias * 32).astype(np.int32)
    )
    graph = GraphBuilder()
    latent = integer_layers.latent(graph, channels * size * size)
    image = integer_layers.to_image(graph, "image", ToImage(channels, size, size), latent)
    larger = upscaling.transposed_convolution(graph, "larger", layer, weights, 1.0, image, LATENT_QUANTIZATION)
    width = larger.width * larger.channels
    graph.reshape("images", larger.name, [-1, larger.height, width])
    return graph.model(channels * size * size, larger.height, width)


@pytest.mark.parametrize("is_apart", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_transposed_convolution_is_torchs(monkeypatch: pytest.MonkeyPatch, shape: Shape, is_apart: bool) -> None:
    # A phase has as many outputs as the layer, all phases together have more; so this decides which of the two costs less.
    def cost(kernel: tuple[int, ...], height: int, width: int) -> Packing:
        return Packing(1, cost=10**6 if (kernel[0] > 3) == is_apart else 1)

    monkeypatch.setattr(upscaling, "best_packing", cost)
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
        assert folded(module).output_size(size) == wanted.shape[2]
        model = enlarging_graph(folded(module), 2, size)
        operators = Counter(node.op_type for node in model.graph.node)
        assert operators["Conv"] == (shape.stride**2 if is_apart and shape.stride > 1 else 1)
        # [N, C, H, W] in torch, channels last in the graph
        latent = (ticks / 32).permute(0, 2, 3, 1).float().reshape(4, -1).numpy()
        expected = LATENT_QUANTIZATION.quantize(wanted.detach().permute(0, 2, 3, 1).numpy())
        np.testing.assert_array_equal(drawn(model, latent), expected.reshape(4, wanted.shape[2], -1))


@pytest.mark.parametrize(("outputs", "convolutions"), [(128, 4), (1, 1)])
def test_phases_are_apart_where_that_costs_less(outputs: int, convolutions: int) -> None:
    layer = TransposedConvolution(np.ones((64, outputs, 3, 3)), np.zeros(outputs), stride=2, cut_before=0, cut_after=1)
    operators = Counter(node.op_type for node in enlarging_graph(layer, 64, 7).graph.node)
    assert operators["Conv"] == convolutions


@pytest.mark.parametrize(
    ("outputs", "operator"), [(1, "Transpose"), (2, "Transpose"), (3, "Gather"), (4, "Transpose"), (6, "Gather")]
)
def test_interleaving_is_a_transpose_where_that_is_quick(outputs: int, operator: str) -> None:
    graph = GraphBuilder()
    latent = integer_layers.latent(graph, 9 * 4 * outputs)
    image = integer_layers.to_image(graph, "image", ToImage(4 * outputs, 3, 3), latent)
    larger = interleave(graph, "larger", QuantizedTensor(image.name, image.quantization, 3, 3, 4 * outputs, stride=2))
    assert (larger.height, larger.width, larger.channels, larger.stride) == (6, 6, outputs, 1)
    graph.reshape("images", larger.name, [-1, 6, 6 * outputs])
    model = graph.model(36 * outputs, 6, 6 * outputs)
    assert {node.op_type for node in model.graph.node} & {"Transpose", "Gather"} == {operator}
    ticks = np.random.default_rng(0).integers(-128, 128, size=(2, 3, 3, 2, 2, outputs))
    images = drawn(model, (ticks / 32).astype(np.float32).reshape(2, -1))
    expected = ticks.transpose(0, 1, 3, 2, 4, 5).reshape(2, 6, 6, outputs) + 128
    np.testing.assert_array_equal(images.reshape(2, 6, 6, outputs), expected)


@pytest.mark.parametrize("is_apart", [False, True], ids=["together", "apart"])
def test_an_image_with_packed_columns_can_be_enlarged_and_the_result_packed_again(
    monkeypatch: pytest.MonkeyPatch, is_apart: bool
) -> None:
    generator = nn.Sequential(
        nn.Linear(8, 256),
        nn.Unflatten(1, (16, 4, 4)),
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
    cost = 1 if is_apart else 10**9
    monkeypatch.setattr(calibration, "CALIBRATION_IMAGES", 64)
    monkeypatch.setattr(upscaling, "best_packing", lambda kernel, *_: Packing(1, cost if kernel[0] == 16 else 10**6))
    model = rounded_graph(layers, calibrate(layers, 8), 8)
    strides = [
        list(a.ints) for node in model.graph.node for a in node.attribute if node.op_type == "Conv" and a.name == "strides"
    ]
    assert len(strides) == (7 if is_apart else 4)
    assert strides[1] != [1, 1]
    assert np.abs(drawn(model, latent) - (exact[:, 0].numpy() + 1) * 127.5).max() < 8
