"""Drawing with numpy alone: the pixels that onnxruntime draws, without it."""

from pathlib import Path

import numpy as np
import pytest

import pocketgan_models
from pocketgan.errors import ModelError, ProviderError, RuntimeMissingError
from pocketgan.generator import Generator
from pocketgan.model import numpy_session, session
from pocketgan.model.limits import Cost, in_numpy
from pocketgan.model.numpy_session import Numbers, NumpySession, Sums
from pocketgan.model.session import Provider, open_session

NAMES = pocketgan_models.names()


@pytest.mark.parametrize("name", NAMES)
def test_the_bundled_models_draw_the_same_pixels(name: str) -> None:
    expected = Generator.load(name, Provider.cpu).generate(1000, seed=3)
    np.testing.assert_array_equal(Generator.load(name, Provider.numpy).generate(1000, seed=3), expected)


def test_an_image_does_not_depend_on_its_batch_or_on_the_threads(conditional: Generator) -> None:
    alone = Generator.load(conditional.path, "numpy")
    images = alone.generate(130)
    np.testing.assert_array_equal(np.concatenate([alone.generate(1, start=index) for index in range(130)]), images)
    batches = list(alone.stream(130, threads=3, batch_size=7))
    np.testing.assert_array_equal(np.concatenate([batch.images for batch in batches]), images)


def test_numpy_is_chosen_if_onnxruntime_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "find_spec", lambda name: None)
    chosen = Generator.load("nano")
    assert (chosen.provider, chosen.provider_reason) == (Provider.numpy, "onnxruntime is not installed")


def test_onnxruntime_is_chosen_if_it_is_installed() -> None:
    assert Generator.load("nano").provider is Provider.cpu


def test_float_models_need_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = pocketgan_models.path("nano").read_bytes()
    with pytest.raises(ProviderError, match=r"^--provider numpy: this model is fp32, and numpy draws int8 models only"):
        open_session(contents, "fp32", Provider.numpy)
    monkeypatch.setattr(session, "find_spec", lambda name: None)
    monkeypatch.setitem(session.sys.modules, "onnxruntime", None)  # type: ignore[attr-defined]
    with pytest.raises(RuntimeMissingError, match=r"^onnxruntime cannot be imported"):
        open_session(contents, "fp32", Provider.auto)


def test_what_numpy_cannot_compute_is_refused(models: Path) -> None:
    contents = (models / "tiny.onnx").read_bytes().replace(b"Gemm", b"Tanh")
    with pytest.raises(
        ModelError, match=r"^it uses the operator 'Tanh': only onnxruntime computes it, install pocketgan\[cpu\]$"
    ):
        NumpySession(contents)


def convolution(images: np.ndarray, weights: np.ndarray) -> Sums:
    """Return the sums of a convolution without pads, of numbers whose zero points are 0."""
    one, zero = np.ones((), np.float32), np.zeros((), np.uint8)
    bias = Numbers(np.zeros(len(weights), np.int32), one, zero)
    attributes = {"kernel_shape": weights.shape[2:], "strides": (1, 1), "pads": (0, 0, 0, 0)}
    return numpy_session._convolve([Numbers(images, one, zero), Numbers(weights, one, zero), bias], attributes)


@pytest.mark.parametrize(("channels", "dtype"), [(516, np.float32), (520, np.float64)])
def test_sums_are_exact_however_large(channels: int, dtype: type) -> None:
    random = np.random.default_rng(0)
    images = random.integers(250, 256, (2, channels, 3, 3), dtype=np.uint8)
    weights = np.full((4, channels, 1, 1), 127, np.int8)
    weights[1:, :7] = random.integers(-128, 128, (3, 7, 1, 1))
    sums = convolution(images, weights).sums
    assert sums.dtype == dtype
    np.testing.assert_array_equal(sums, np.einsum("nchw,oc->nohw", images.astype(int), weights[..., 0, 0].astype(int)))


def test_large_images_are_convolved_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    images, weights = (
        random.integers(0, 256, (5, 3, 8, 9), dtype=np.uint8),
        random.integers(-128, 128, (4, 3, 3, 2), dtype=np.int8),
    )
    whole = convolution(images, weights).sums
    monkeypatch.setattr(numpy_session, "_MOST_WINDOW_BYTES", 1)
    np.testing.assert_array_equal(convolution(images, weights).sums, whole)
    windows = np.lib.stride_tricks.sliding_window_view(images.astype(int), (3, 2), (2, 3))
    np.testing.assert_array_equal(whole, np.einsum("nchwkl,ockl->nohw", windows, weights.astype(int)))


def test_memory_is_planned_for_larger_numbers() -> None:
    by_numpy, by_onnxruntime = Generator.load("dcgan", "numpy"), Generator.load("dcgan", "cpu")
    assert by_numpy.batch_size < by_onnxruntime.batch_size
    with pytest.raises(
        ModelError, match=r"^it would need 335,544,320 bytes for one image in numpy, expected at most 268,435,456"
    ):
        in_numpy(Cost(0, 40 * 2**20))


def test_the_same_sums_can_be_stored_twice() -> None:
    sums, one = Sums(np.arange(3, dtype=np.float32).reshape(1, 1, 3), np.ones((), np.float32)), np.zeros((), np.uint8)
    for _ in range(2):
        stored = numpy_session._quantize([sums, np.float32(0.5), one], {})
        assert stored.ravel().tolist() == [0, 2, 4]


def test_scales_along_other_axes_are_refused() -> None:
    integers, scales = np.zeros((2, 3), np.int8), np.ones(3, np.float32)
    with pytest.raises(ValueError, match=r"^it has a scale for each of another axis than the first$"):
        numpy_session._dequantize([integers, scales], {"axis": 1})
    rows = Numbers(integers, np.ones(2, np.float32), np.zeros((), np.int8))
    with pytest.raises(ValueError, match=r"^it multiplies matrices with several scales$"):
        numpy_session._multiply_matrices([rows, rows], {})
