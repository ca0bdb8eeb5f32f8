"""TensorFlow's 'same' padding against its closed form, against its own adjoint, and against onnxruntime."""

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from pocketgan_trainer.networks.dcgan import SameConvTranspose2d, same_convolution

KERNELS_AND_STRIDES = [(2, 1), (2, 2), (3, 1), (3, 2), (3, 3), (4, 1), (4, 2), (5, 1), (5, 2), (5, 3)]


def integers(*shape: int) -> Tensor:
    """Return small integers as float32: their sums of products are exact in any order."""
    return torch.randint(-8, 9, shape).float()


def transposed(weight: Tensor, stride: int) -> SameConvTranspose2d:
    """Return the layer with weights [in, out, k, k]."""
    layer = SameConvTranspose2d(weight.shape[0], weight.shape[1], kernel_size=weight.shape[2], stride=stride)
    layer.load_state_dict({"weight": weight})
    return layer


@pytest.mark.parametrize(("kernel_size", "stride"), KERNELS_AND_STRIDES)
def test_an_impulse_becomes_the_kernel_at_its_place(kernel_size: int, stride: int) -> None:
    weight, size = integers(1, 1, kernel_size, kernel_size), 4
    cut = (kernel_size - stride) // 2
    for row, column in [(0, 0), (1, 2), (size - 1, size - 1)]:
        impulse = torch.zeros(1, 1, size, size)
        impulse[0, 0, row, column] = 1
        expected = torch.zeros(size * stride, size * stride)
        for down in range(kernel_size):
            for right in range(kernel_size):
                y, x = row * stride + down - cut, column * stride + right - cut
                if 0 <= y < len(expected) and 0 <= x < len(expected):
                    expected[y, x] = weight[0, 0, down, right]
        assert torch.equal(transposed(weight, stride)(impulse)[0, 0], expected)


@pytest.mark.parametrize(("kernel_size", "stride"), KERNELS_AND_STRIDES)
@pytest.mark.parametrize("size", [1, 6, 7])
def test_output_is_exactly_stride_times_as_large(kernel_size: int, stride: int, size: int) -> None:
    image = transposed(integers(2, 3, kernel_size, kernel_size), stride)(integers(2, 2, size, size))
    assert image.shape == (2, 3, size * stride, size * stride)


@pytest.mark.parametrize(("kernel_size", "stride"), KERNELS_AND_STRIDES)
def test_transposed_convolution_is_the_adjoint_of_the_same_padded_convolution(kernel_size: int, stride: int) -> None:
    weight, small = integers(3, 2, kernel_size, kernel_size), integers(1, 3, 5, 5)
    large = integers(1, 2, 5 * stride, 5 * stride)
    # TensorFlow's documentation: the padding in all, and its smaller half before.
    surplus = max(kernel_size - stride, 0)
    padded = functional.pad(large, (surplus // 2, surplus - surplus // 2) * 2)
    shrunk = functional.conv2d(padded, weight, stride=stride)
    assert (shrunk * small).sum() == (large * transposed(weight, stride)(small)).sum()


def test_our_two_layers_are_each_others_adjoint() -> None:
    convolution, weight = same_convolution(2, 3), integers(3, 2, 3, 3)
    convolution.load_state_dict({"1.weight": weight, "1.bias": torch.zeros(3)})
    large, small = integers(1, 2, 14, 14), integers(1, 3, 7, 7)
    assert (convolution(large) * small).sum() == (large * transposed(weight, 2)(small)).sum()


def test_strided_convolution_is_padded_at_the_bottom_and_the_right_only() -> None:
    convolution, weight = same_convolution(1, 1), integers(1, 1, 3, 3)
    convolution.load_state_dict({"1.weight": weight, "1.bias": torch.tensor([5.0])})
    image = integers(1, 1, 6, 6)
    expected = torch.zeros(3, 3)
    for row in range(3):
        for column in range(3):
            window = image[0, 0, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            expected[row, column] = (window * weight[0, 0, : window.shape[0], : window.shape[1]]).sum() + 5
    assert torch.equal(convolution(image)[0, 0], expected)


@pytest.mark.parametrize(("size", "halved"), [(28, 14), (14, 7), (2, 1)])
def test_strided_convolution_halves_even_images(size: int, halved: int) -> None:
    assert same_convolution(1, 4)(torch.zeros(2, 1, size, size)).shape == (2, 4, halved, halved)


def onnxruntime_transposed(image: Tensor, weight: Tensor, stride: int, pads: list[int]) -> NDArray[np.float32]:
    """Return what onnxruntime's ConvTranspose makes of the image, in a file written by onnx.helper."""
    node = helper.make_node("ConvTranspose", ["x", "weight"], ["y"], strides=[stride, stride], pads=pads)
    graph = helper.make_graph(
        [node],
        "transposed",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(image.shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight.numpy(), "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (output,) = session.run(["y"], {"x": image.numpy()})
    assert isinstance(output, np.ndarray)
    return output


def test_three_by_three_of_stride_two_is_onnxruntimes_with_pads_at_the_end_only() -> None:
    image, weight = integers(2, 3, 7, 7), integers(3, 2, 3, 3)
    ours = transposed(weight, 2)(image).detach().numpy()
    np.testing.assert_array_equal(ours, onnxruntime_transposed(image, weight, 2, [0, 0, 1, 1]))


def test_three_by_three_of_stride_two_is_not_torchs_symmetric_padding() -> None:
    image, weight = integers(2, 3, 7, 7), integers(3, 2, 3, 3)
    symmetric = functional.conv_transpose2d(image, weight, stride=2, padding=1, output_padding=1)
    ours = transposed(weight, 2)(image)
    assert symmetric.shape == ours.shape
    assert not torch.equal(symmetric, ours)
    # It is ours moved by one pixel up and left.
    assert torch.equal(symmetric[:, :, :-1, :-1], ours[:, :, 1:, 1:])


def test_transposed_convolution_has_no_bias() -> None:
    layer: nn.ConvTranspose2d = SameConvTranspose2d(2, 3, kernel_size=3, stride=2)
    assert layer.bias is None
