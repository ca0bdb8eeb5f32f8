"""Fields in an exported file: scanned and placed by integers only, as the layer does it, and accepted by the runtime."""

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from lively_generators import lively_canvas
from numpy.typing import NDArray

from pocketgan import Generator
from pocketgan.latents import LATENT_STEP, latents
from pocketgan.model.card import PRECISIONS, KernelFacts
from pocketgan.trait_table import ClassTraits
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export import exporter, measured_traits
from pocketgan_trainer.export.calibration import LATENT_QUANTIZATION, calibrate, with_shared_scales
from pocketgan_trainer.export.exporter import build_graph, export
from pocketgan_trainer.export.graph_builder import GraphBuilder
from pocketgan_trainer.export.layers import (
    Convolution,
    Dense,
    GreyLevels,
    Layer,
    Noise,
    Relu,
    Scanned,
    ToImage,
    activations,
    model_inputs,
)
from pocketgan_trainer.export.measured_traits import MeasuredTraits
from pocketgan_trainer.export.scanning import emit_images
from pocketgan_trainer.export.verify import (
    before_scan,
    check_kernels,
    check_overflow,
    check_scan,
    count_kernels,
    optimized,
)
from pocketgan_trainer.networks.canvas import CANVAS_SIZES, Placement
from pocketgan_trainer.networks.scan import (
    SCAN_SIZES,
    SIZE_BOUNDS,
    SIZE_LATENT,
    Scan,
    ScannedImage,
    magnifying_table,
    reducing_table,
)
from pocketgan_trainer.training.checkpoint import Checkpoint
from pocketgan_trainer.training.presets import PRESETS, preset_config
from pocketgan_trainer.training.progress import Progress

LATENT_SIZE = 6
INPUTS = model_inputs(LATENT_SIZE, classes=0, seed=0, count=300)


def field_size(image_size: int) -> int:
    """Return the height and width of the fields here."""
    return 2 * CANVAS_SIZES[image_size]


def layers(size: int) -> list[Layer]:
    """Return layers that draw fields with ink on about a third of the points, mostly to one side."""
    random = np.random.default_rng(0)
    weight = random.normal(0, 0.3, (size * size, LATENT_SIZE))
    weight += np.linspace(-0.5, 0.5, size * size)[:, None]
    return [Dense(weight, random.normal(-0.3, 0.3, size * size)), ToImage(1, size, size), GreyLevels()]


@cache
def built(image_size: int, precision: str, is_scanned: bool) -> onnx.ModelProto:
    """Return the graph in a precision, with or without the scan at its end."""
    drawn = layers(field_size(image_size))
    return build_graph([*drawn, Scanned(field_size(image_size), image_size)] if is_scanned else drawn, LATENT_SIZE, precision)


def images_of(model: onnx.ModelProto) -> NDArray[np.uint8]:
    """Return what onnxruntime draws of the first latents."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (images,) = session.run(["images"], INPUTS)
    assert isinstance(images, np.ndarray)
    return images


def scanned(fields: NDArray[np.uint8], canvas_size: int) -> NDArray[np.uint8]:
    """Return the canvases of fields with these INPUTS in whole numbers; each product is rounded and clipped to 0..255."""
    sizes = np.searchsorted(SIZE_BOUNDS, INPUTS["z"][:, SIZE_LATENT], side="right")
    magnifying, reducing = magnifying_table(fields.shape[1]).astype(int), reducing_table(canvas_size).astype(int)
    surrounded = np.pad(fields, ((0, 0), (0, 1), (0, 1)))

    def stored(product: NDArray[np.int64], zero_point: int = 0) -> NDArray[np.int64]:
        return (np.rint(product / 255).astype(int) + zero_point).clip(0, 255)

    canvases = np.zeros((len(fields), canvas_size, canvas_size), np.uint8)
    for canvas, field, size in zip(canvases, surrounded.astype(int), sizes, strict=True):
        magnified = stored(magnifying[size] @ (field - 128), 128) - 128
        scan = (magnified @ magnifying[size].T > 0)[: SCAN_SIZES[size], : SCAN_SIZES[size]]
        if scan.any():
            (top, bottom), (left, right) = (np.flatnonzero(scan.any(axis=axis))[[0, -1]] for axis in (1, 0))
            ink = scan[top : bottom + 1, left : right + 1]
            side = max(*ink.shape, canvas_size)
            box = np.zeros((side, side), int)
            above, before = ((side - length) // 2 for length in ink.shape)
            box[above:, before:][: ink.shape[0], : ink.shape[1]] = 255 * ink
            weights = reducing[side - canvas_size, :side]
            canvas[:] = stored(stored(weights.T @ box) @ weights)
    return canvases


@pytest.mark.parametrize("precision", ["int8", "fp16", "fp32"])
@pytest.mark.parametrize("image_size", CANVAS_SIZES)
def test_a_file_scans_and_places_its_fields(image_size: int, precision: str) -> None:
    canvases = scanned(images_of(built(image_size, precision, is_scanned=False)), CANVAS_SIZES[image_size])
    pixels = torch.from_numpy(canvases)[:, None].float() / 127.5 - 1
    expected = ((Placement(image_size)(pixels)[:, 0] + 1) * 127.5).round().byte().numpy()
    images = images_of(built(image_size, precision, is_scanned=True))
    np.testing.assert_array_equal(images, expected)
    corners = [
        tuple(np.argwhere(image)[0] - np.argwhere(canvas)[0])
        for image, canvas in zip(images, canvases, strict=True)
        if image.any()
    ]
    assert len(set(corners)) > 10  # they do not all move alike


def test_the_layer_scans_in_whole_numbers() -> None:
    fields = images_of(built(28, "int8", is_scanned=False))
    scan = Scan(field_size(28), 20).eval()
    canvases = scan(torch.from_numpy(fields)[:, None].float() / 127.5 - 1, torch.from_numpy(INPUTS["z"][:, SIZE_LATENT]))
    np.testing.assert_array_equal(((canvases[:, 0] + 1) * 127.5).round().numpy(), scanned(fields, 20))


def unusual_fields(size: int) -> NDArray[np.uint8]:
    """Return fields uint8 [N, F, F]: blank, full, just at the threshold, points in corners, single rows and columns, specks."""
    random = np.random.default_rng(0)
    fields = [np.full((size, size), level) for level in (0, 128, 129, 255)]
    for points in range(1, 4):
        for rows in (slice(points), slice(-points, None)):
            for columns in (slice(points), slice(-points, None), slice(None)):
                field = np.zeros((size, size), int)
                field[rows, columns] = 255
                fields += [field, field.T]
    fields += [255 * (random.random((size, size)) < share) for share in np.linspace(0.001, 0.02, 100)]
    return np.stack(fields).astype(np.uint8)


@pytest.mark.parametrize("image_size", CANVAS_SIZES)
def test_any_field_is_scanned_as_the_layer_does_it(image_size: int) -> None:
    size = field_size(image_size)
    fields = unusual_fields(size)
    latent = LATENT_QUANTIZATION.dequantize(np.random.default_rng(1).integers(0, 256, (len(fields), 1)).astype(np.uint8))
    graph = GraphBuilder()
    levels = graph.slice("levels", "z", 1, 1 + size**2, axis=1)
    pixels = graph.node("Cast", "pixels", levels, to=onnx.TensorProto.UINT8)
    emit_images(graph, pixels, size, size, Scanned(size, image_size))
    contents = graph.model(1 + size**2, image_size, image_size).SerializeToString()
    inputs = {"z": np.concatenate([latent, fields.reshape(len(fields), -1)], axis=1).astype(np.float32)}

    session = onnxruntime.InferenceSession(contents, providers=["CPUExecutionProvider"])
    images, scan = session.run(["images"], inputs)[0], ScannedImage(size, image_size).eval()
    assert check_scan(scan, fields, inputs["z"], images).problem is None
    assert len({len(np.flatnonzero(image.any(axis=1))) for image in images}) > 10  # digits of many sizes
    images[5, 3, 3] ^= 1
    assert check_scan(scan, fields, inputs["z"], images).problem == f"scans differ from torch's: 1 of {len(fields)} images"

    (read,) = onnxruntime.InferenceSession(before_scan(contents), providers=["CPUExecutionProvider"]).run(None, inputs)
    np.testing.assert_array_equal(read, fields)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """A checkpoint of the nano preset with a canvas, and an untrained but lively generator."""
    nano = PRESETS["nano"]
    assert nano.canvas is not None
    generator = lively_canvas(nano.latent_size, nano.canvas.width)
    tensors = {f"average.{name}": value for name, value in generator.state_dict().items()}
    return Checkpoint(tmp_path / "best.safetensors", "0" * 64, preset_config("nano", canvas=True), Progress(), None, tensors)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_checkpoint_with_a_canvas_becomes_a_file_that_the_runtime_accepts(
    checkpoint: Checkpoint, tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured_traits, "_IMAGES_OF_A_CLASS", 20)
    report = export(checkpoint, tmp_path / "model.onnx", precision, least_psnr_db=30)
    assert report.traits is not None
    assert report.card.traits is None  # it was not trained
    assert report.card.kernels == (KernelFacts(12, ()) if precision == "int8" else None)

    images = Generator.load(report.target, "cpu").generate(100).astype(int)
    assert images.shape == (100, 28, 28)
    for axis in (1, 2):
        centres = (images.sum(axis=axis) * np.arange(28)).sum(axis=1) / images.sum(axis=(1, 2))
        assert ((centres >= 13.5) & (centres < 14.5)).all()


def test_measured_traits_reach_the_card_and_the_runtime_draws_with_them(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = tuple(range(-1200, 2800, 480)), tuple(range(180, 360, 20)), tuple(range(600, 1500, 100))
    table = tuple(ClassTraits(values, ((256, 0, 0), (0, 256, 0), (0, shared, 256))) for shared in range(0, 640, 64))
    monkeypatch.setattr(exporter, "measure_traits", lambda *arguments: MeasuredTraits(np.full((10, 3), 0.9), table))
    model = Generator.load(export(checkpoint, tmp_path / "model.onnx", "int8", least_psnr_db=30).target)
    assert model.card.traits == table
    assert model.trait_range("slant") == (-12, 26.4)

    before = np.rint(latents(7, 3, 1, model.card.latent_size) / LATENT_STEP)
    after = before.copy()
    after[0, 1] = 24  # 2.9 pixels are halfway between the values of the scores 16 and 32
    after[0, 2] = round(float(before[0, 2] + (before[0, 1] - 24) * 192 / 256))  # and three's width stays the same
    drawn = model.generate(1, digits=3, seed=7, start=3, thickness=2.9)
    np.testing.assert_array_equal(drawn, model.draw_latents((after * LATENT_STEP).astype(np.float32), [3]))
    assert (drawn != model.draw_latents((before * LATENT_STEP).astype(np.float32), [3])).any()


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_a_scan_before_the_end_is_refused(precision: str) -> None:
    drawn = layers(field_size(28))
    with pytest.raises(ExportError):
        build_graph([*drawn[:2], Scanned(field_size(28), 28), drawn[2]], LATENT_SIZE, precision)


def test_a_scan_computes_with_integers_only() -> None:
    with_it, without = (optimized(built(28, "int8", is_scanned).SerializeToString()) for is_scanned in (True, False))
    kernels = count_kernels(with_it)
    assert check_kernels(kernels, "int8").problem is None
    assert kernels.integer == count_kernels(without).integer + 8


@pytest.mark.parametrize("image_size", CANVAS_SIZES)
def test_its_sums_are_of_whole_numbers_and_exact(image_size: int) -> None:
    model = optimized(built(image_size, "int8", is_scanned=True).SerializeToString())
    assert check_overflow(model).problem is None
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type == "QLinearMatMul"]
    assert len(products) == 8
    for node in products:
        # The scales of both factors are 1. uint8 matrices are multiplied with sums of 32 bits on all processors.
        assert constants[node.input[1]] == constants[node.input[4]] == 1, node.name
        assert {constants[node.input[place]].dtype for place in (2, 5, 7)} == {np.dtype(np.uint8)}, node.name
    (signs,) = (node for node in products if node.name.startswith("placement.signs"))
    weights = constants[signs.input[3]].astype(int) - constants[signs.input[5]]
    assert weights.shape == (CANVAS_SIZES[image_size] ** 2, 2 * (image_size - CANVAS_SIZES[image_size]))
    assert 255 * np.abs(weights).sum(axis=0).max() < 2**24  # exact in float32, which CUDA computes with


def test_the_same_operators_elsewhere_count_as_floating_point() -> None:
    model = optimized(built(28, "int8", is_scanned=True).SerializeToString())
    for node in model.graph.node:
        node.name = node.name.removeprefix("placement")
    assert "GatherElements" in count_kernels(model).floating_point


def test_noise_is_stored_exactly_in_the_quantization_of_its_features() -> None:
    random = np.random.default_rng(5)
    features = Dense(random.normal(size=(2 * 9, 4)), random.normal(size=18))
    convolution = Convolution(random.normal(size=(1, 5, 3, 3)), np.zeros(1))
    drawn: list[Layer] = [features, ToImage(2, 3, 3), Relu(), Noise(4, 3, gain=1.0), convolution, GreyLevels()]
    latent = torch.from_numpy(model_inputs(4 + 27, 0, 0, 200)["z"]).double()
    quantizations = calibrate(drawn, 31)
    changed = with_shared_scales(drawn, quantizations)
    for before, after in zip(activations(drawn, latent)[4:], activations(changed, latent)[4:], strict=True):
        torch.testing.assert_close(before, after)
    noise = activations(changed, latent)[3][:, 2:].numpy()
    assert quantizations[0] is not None
    np.testing.assert_allclose(quantizations[0].dequantize(quantizations[0].quantize(noise)), noise, atol=1e-12)
    assert noise.min() == 0 < noise.max()
