"""The rewrite of a transposed convolution as a plain one: bit for bit, on integers, for every shape that fits."""

import numpy as np
import onnxruntime
import pytest
import torch
from rounded_graph import graph_rounded_on
from torch import Tensor
from torch.nn import functional
from transposed_shapes import SHAPES, Shape, folded

from pocketgan_trainer.export.grids import LATENT_GRID, PIXEL_GRID, Grid
from pocketgan_trainer.export.layers import Dense, Layer, Tanh, ToImage, TransposedConvolution
from pocketgan_trainer.export.subpixel import SubpixelConvolution, phases, rewrite

SIZES = (1, 2, 3, 7)


def carried_out(convolution: SubpixelConvolution, image: Tensor) -> Tensor:
    """Return what the fields of the rewrite say is to be done with an image [N, C, H, W]."""
    before, after, stride = convolution.pad_before, convolution.pad_after, convolution.stride
    padded = functional.pad(image, (before, after, before, after))
    phases = functional.conv2d(padded, torch.from_numpy(convolution.weight), torch.from_numpy(convolution.bias))
    assert phases.shape[2:] == (convolution.convolved_size, convolution.convolved_size)
    large = image.new_zeros(len(image), phases.shape[1] // stride**2, *(stride * size for size in phases.shape[2:]))
    for a in range(stride):
        for b in range(stride):
            first = (a * stride + b) * large.shape[1]
            large[:, :, a::stride, b::stride] = phases[:, first : first + large.shape[1]]
    return large[:, :, : convolution.output_size, : convolution.output_size]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_plain_convolution_equals_torchs_transposed_one_bit_for_bit(shape: Shape) -> None:
    module = shape.layer(3, 2)
    for size in filter(shape.fits, SIZES):
        image = torch.randint(-9, 10, (2, 3, size, size)).double()
        expected = module(image)
        assert folded(module).output_size(size) == expected.shape[2]
        assert torch.equal(carried_out(rewrite(folded(module), size), image), expected), size


def test_every_product_is_kept_once() -> None:
    layer = folded(Shape(3, 2, None).layer(3, 2))
    convolution = rewrite(layer, 7)
    assert sorted(convolution.weight[convolution.weight != 0].tolist()) == sorted(layer.weight[layer.weight != 0].tolist())


@pytest.mark.parametrize(
    ("shape", "kernel_size", "paddings"),
    [(Shape(3, 2, None), 2, (1, 0)), (Shape(3, 1, None), 3, (1, 1)), (Shape(4, 2, 1), 3, (1, 1)), (Shape(5, 2, None), 3, (1, 1))],
    ids=str,
)
def test_kernels_are_no_larger_than_they_must_be(shape: Shape, kernel_size: int, paddings: tuple[int, int]) -> None:
    convolution = rewrite(folded(shape.layer(3, 2)), 7)
    assert convolution.weight.shape == (2 * shape.stride**2, 3, kernel_size, kernel_size)
    assert (convolution.pad_before, convolution.pad_after) == paddings


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_phase_on_its_own_is_a_smaller_convolution_of_the_same_numbers(shape: Shape) -> None:
    module = shape.layer(3, 2)
    for size in filter(shape.fits, SIZES):
        convolution = rewrite(folded(module), size)
        image = torch.randint(-9, 10, (2, 3, size, size)).double()
        weight, bias = torch.from_numpy(convolution.weight), torch.from_numpy(convolution.bias)
        before, after = convolution.pad_before, convolution.pad_after
        together = functional.conv2d(functional.pad(image, (before, after, before, after)), weight, bias)
        parts = list(phases(convolution))
        assert [part.outputs for part in parts] == [slice(2 * n, 2 * n + 2) for n in range(shape.stride**2)]
        for part in parts:
            assert min(part.pads) >= 0
            top, left, bottom, right = part.pads
            kernel = weight[part.outputs, :, part.kernel_rows, part.kernel_columns]
            alone = functional.conv2d(functional.pad(image, (left, right, top, bottom)), kernel, bias[part.outputs])
            assert torch.equal(alone, together[:, part.outputs])
            elsewhere = weight[part.outputs].clone()
            elsewhere[:, :, part.rows, part.columns] = 0
            assert not elsewhere.any()


def test_no_phase_has_products_with_what_is_always_zero() -> None:
    # Of Keras's "same" with kernel 3 and stride 2, phases have 4, 2, 2 and 1 places: together the kernel's 9.
    convolution = rewrite(folded(Shape(3, 2, None).layer(3, 2)), 7)
    parts = [convolution.weight[part.outputs, :, part.rows, part.columns] for part in phases(convolution)]
    assert [part.shape[2:] for part in parts] == [(2, 2), (2, 1), (1, 2), (1, 1)]


def whole_graph(convolution: TransposedConvolution, channels: int, size: int) -> tuple[list[Layer], list[Grid | None]]:
    """Return a generator that hands its latents to the convolution as they are, and grids on which nothing is rounded.

    The weights must be -1, 0 or 1. Between input and sigmoid all numbers are multiples of the latents' scale, 1/32, up to 4.
    """
    count = channels * size * size
    layers: list[Layer] = [Dense(np.eye(count), np.zeros(count)), ToImage(channels, size, size), convolution, Tanh()]
    return layers, [LATENT_GRID, None, LATENT_GRID, PIXEL_GRID]


@pytest.mark.parametrize(
    ("shape", "size"), [(shape, size) for shape in SHAPES for size in (1, 2, 5) if shape.fits(size)], ids=str
)
def test_the_emitted_graph_equals_torchs_transposed_convolution(shape: Shape, size: int) -> None:
    module = shape.layer(2, 1)
    with torch.no_grad():
        for weight in module.parameters():
            weight.sign_()
    ticks = torch.randint(-3, 4, (4, 2, size, size)).double()
    full = module(ticks / 32)
    assert full.abs().max() * 2 < 127 / 32
    # The tanh is done as a sigmoid of twice its input.
    expected = PIXEL_GRID.store(torch.sigmoid(2 * full)[:, 0].detach().numpy())

    layers, grids = whole_graph(folded(module), 2, size)
    latent = (ticks / 32).float().reshape(4, -1).numpy()
    model = graph_rounded_on(layers, grids, latent)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (images,) = session.run(["images"], {"z": latent})
    np.testing.assert_array_equal(images, expected)
