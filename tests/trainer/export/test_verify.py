"""The checks of an export: kernels as onnxruntime runs them, weights that cannot overflow, and pixels compared with torch's."""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from pocketgan.errors import OutputError
from pocketgan.latents import latents
from pocketgan.model.card import KernelFacts, ParityFacts
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export import integer_layers
from pocketgan_trainer.export.calibration import CALIBRATION_SEED, LATENT_QUANTIZATION, PIXEL_QUANTIZATION
from pocketgan_trainer.export.float_graph import float_graph
from pocketgan_trainer.export.graph_builder import GraphBuilder
from pocketgan_trainer.export.layers import Dense, Layer, LeakyRelu, Tanh, ToImage
from pocketgan_trainer.export.measured_traits import TRAITS_SEED
from pocketgan_trainer.export.verify import (
    PARITY_SEED,
    SAME_PIXELS_IMAGES,
    Check,
    RefusedExportError,
    check_kernels,
    check_overflow,
    check_parity,
    check_same_pixels,
    count_kernels,
    kernel_weights,
    measure_parity,
    optimized,
    require_variety,
    usual_least_psnr_db,
)
from pocketgan_trainer.export.weights import IntegerWeights
from pocketgan_trainer.training.presets import PRESETS
from pocketgan_trainer.training.recorder import WATCHED_SEED

BLACK = np.zeros((10, 28, 28), dtype=np.uint8)


def float_model() -> bytes:
    """Return a small generator in float32."""
    layers: list[Layer] = [Dense(np.eye(4), np.zeros(4)), LeakyRelu(0.2), Tanh(), ToImage(1, 2, 2)]
    return float_graph(layers, 4, np.float32).SerializeToString()


def model_with_weights(values: list[list[int]]) -> onnx.ModelProto:
    """Return a graph of one dense layer with these weights."""
    weights = IntegerWeights(np.array(values, np.int8), np.ones(len(values), np.float32), np.zeros(len(values), np.int32))
    graph = GraphBuilder()
    features = integer_layers.latent(graph, weights.values.shape[1])
    features = integer_layers.dense(graph, "dense", weights, None, 1.0, features, PIXEL_QUANTIZATION)
    graph.reshape("images", features.name, [-1, 1, len(values)])
    return graph.model(weights.values.shape[1], 1, len(values))


def overflow(model: onnx.ModelProto) -> Check:
    """Return the result of the check for a model as onnxruntime runs it."""
    return check_overflow(optimized(model.SerializeToString()))


def test_kernels_of_a_float_model_are_counted_as_floating_point() -> None:
    kernels = count_kernels(optimized(float_model()))
    assert kernels.integer == 0
    assert {"Tanh", "Mul", "Cast"} <= set(kernels.floating_point)
    assert list(kernels.floating_point) == sorted(kernels.floating_point)
    assert list(kernel_weights(optimized(float_model()))) == []


def test_kernels_that_only_move_integers_are_not_counted() -> None:
    graph = GraphBuilder()
    row = graph.node("Gather", "asked", graph.constant("table", np.eye(4, dtype=np.uint8)), "label", axis=0)
    pixels = graph.node("Concat", "pixels", graph.quantize("z.stored", "z", LATENT_QUANTIZATION), row, axis=1)
    graph.reshape("images", pixels, [-1, 2, 4])
    assert count_kernels(optimized(graph.model(4, 2, 4, takes_label=True).SerializeToString())) == KernelFacts(0, ())


@pytest.mark.parametrize("contents", [b"", b"not a model", float_model()[:-20]], ids=["empty", "text", "truncated"])
def test_a_file_that_onnxruntime_does_not_load_is_refused(contents: bytes) -> None:
    with pytest.raises(ExportError, match="onnxruntime does not load the exported model: ") as caught:
        optimized(contents)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_for_temporary_files_is_an_output_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(OutputError, match=r"cannot write temporary files to .*gone: No such file or directory"):
        optimized(float_model())


@pytest.mark.parametrize("weights", [[127, 1, 127, 1], [-127, -1, -64, -64], [127, -127, 127, -127], [64, 64, 64, 64]], ids=str)
def test_weights_whose_sums_hold_are_accepted(weights: list[int]) -> None:
    model = model_with_weights([[0, 0, 0, 0], weights])
    largest = max(abs(one + other) for one, other in pairwise(weights))
    assert overflow(model) == Check("overflow", f"none: neighbouring weights add up to {largest} at most, limit 128", None)


@pytest.mark.parametrize(
    ("weights", "sum_"),
    [([127, 2, 0, 0], 129), ([0, 127, 127, 0], 254), ([0, 0, -100, -29], 129), ([-128, 0, 0, 0], 128)],
    ids=str,
)
def test_weights_whose_sums_could_saturate_are_refused(weights: list[int], sum_: int) -> None:
    message = rf"dense.*: weights from {min(weights)}, of which two neighbours add up to {sum_}; expected from -127"
    model = model_with_weights([[0, 0, 0, 0], weights])
    check = overflow(model)
    assert re.search(message, check.problem or "")
    assert f"add up to {sum_}" in check.found


def test_weights_of_another_type_are_a_problem() -> None:
    model = model_with_weights([[0, 0], [127, -127]])
    for tensor in model.graph.initializer:
        if tensor.name == "dense.weight.integers":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.uint8), tensor.name))
    assert re.search("weights are of type uint8, expected constants of type int8", overflow(model).problem or "")
    assert check_overflow(optimized(float_model())).problem == "weights in unknown places: none were found"


def test_weights_in_unknown_places_are_a_problem() -> None:
    model = model_with_weights([[0, 0], [127, 127]])
    for node in model.graph.node:
        if node.op_type == "Conv":
            node.op_type = "ConvTranspose"
    # There is no integer kernel for it.
    assert re.search("weights in unknown places: .*dense.weight", overflow(model).problem or "")


def test_weights_that_are_not_constant_are_a_problem() -> None:
    model = optimized(model_with_weights([[0, 0], [127, 0]]).SerializeToString())
    (node,) = (node for node in model.graph.node if node.op_type == "QLinearConv")
    node.input[3] = "z"
    assert re.search("weights are not constant, expected constants of type int8", check_overflow(model).problem or "")


def test_a_problem_names_the_numbers_of_its_own_layer() -> None:
    weights = [[[64, 64], [0, 0]], [[0, 0], [-128, 0]]]
    models = [optimized(model_with_weights(values).SerializeToString()) for values in weights]
    for tensor in models[1].graph.initializer:
        tensor.name += "_other"
    for node in models[1].graph.node:
        node.input[:] = [name + "_other" for name in node.input]
    models[0].graph.node.extend(models[1].graph.node)
    models[0].graph.initializer.extend(models[1].graph.initializer)
    assert re.search("weights from -128, of which two neighbours add up to 128;", check_overflow(models[0]).problem or "")


def test_weights_are_checked_as_they_are_once_constants_are_computed() -> None:
    graph = GraphBuilder()
    values = np.array([[[[100, 0]]], [[[0, 0]]]], np.int8)
    latent = integer_layers.latent(graph, 1)
    # The stored kernel has the columns 100 and 0, the kernel that is gathered from it 100 and 100.
    chosen = graph.constant("chosen", np.array([0, 0], np.int32))
    wide = graph.node("Gather", "wide", graph.constant("narrow", values), chosen, axis=3)
    product = graph.node(
        "Conv",
        "product",
        graph.dequantize("numbers", graph.transpose("first", latent.name, [0, 3, 1, 2]), latent.quantization),
        graph.dequantize_rows("weight", wide, 2, np.ones(2, np.float32)),
        graph.dequantize_rows("bias", graph.constant("bias.integers", np.zeros(2, np.int32)), 2, np.full(2, 1 / 32, np.float32)),
        kernel_shape=[1, 2],
        pads=[0, 0, 0, 1],
    )
    last = graph.transpose("last", graph.quantize("stored", product, PIXEL_QUANTIZATION), [0, 2, 3, 1])
    graph.reshape("images", last, [-1, 1, 2])
    assert re.search("two neighbours add up to 200", overflow(graph.model(1, 1, 2)).problem or "")


def test_a_float_model_presented_as_int8_is_refused() -> None:
    assert re.search(
        r"not int8: kernels are 0 integer; in floating point: .*Tanh.*; expected integers only",
        check_kernels(count_kernels(optimized(float_model())), "int8").problem or "",
    )


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_a_float_model_may_compute_in_floating_point(precision: str) -> None:
    assert check_kernels(count_kernels(optimized(float_model())), precision).problem is None


def test_a_model_that_computes_nothing_is_refused_as_int8() -> None:
    assert re.search(
        "not int8: kernels are 0 integer; in floating point: none", check_kernels(KernelFacts(0, ()), "int8").problem or ""
    )


def test_one_kernel_in_floating_point_is_enough_to_be_refused() -> None:
    assert re.search(
        "not int8: kernels are 8 integer; in floating point: DequantizeLinear x2",
        check_kernels(KernelFacts(8, ("DequantizeLinear",) * 2), "int8").problem or "",
    )


def test_a_refusal_names_the_problems_and_holds_every_check() -> None:
    checks = [Check("one", "fine", None), Check("two", "bad", "this is wrong"), Check("three", "bad", "that is wrong")]
    refusal = RefusedExportError(checks)
    assert str(refusal).startswith("this is wrong; that is wrong. Nothing was written; take another checkpoint, or force it")
    assert refusal.checks == tuple(checks)


def test_parity_of_equal_images_is_a_hundred_decibels() -> None:
    assert measure_parity(BLACK, BLACK) == ParityFacts(images=10, psnr_db=100.0, mean_error=0.0, largest_error=0)


@pytest.mark.parametrize(("level", "psnr_db"), [(1, 48.13), (2, 42.11)])
def test_parity_has_a_closed_form_where_all_pixels_differ_alike(level: int, psnr_db: float) -> None:
    # 20 log10(255 / level)
    for images, reference in ((BLACK, BLACK + level), (BLACK + level, BLACK)):
        facts = measure_parity(images.astype(np.uint8), reference.astype(np.uint8))
        assert facts == ParityFacts(images=10, psnr_db=psnr_db, mean_error=float(level), largest_error=level)


def test_parity_has_a_closed_form_where_one_pixel_differs() -> None:
    images = BLACK.copy()
    images[3, 4, 5] = 255
    facts = measure_parity(images, BLACK)
    assert facts.psnr_db == round(10 * np.log10(BLACK.size), 2)
    assert facts.mean_error == round(255 / BLACK.size, 4)
    assert facts.largest_error == 255


@pytest.mark.parametrize("limit", [36.0, 60.0])
def test_pixels_below_the_limit_are_a_problem(limit: float) -> None:
    for share, is_problem in ((1.02, True), (0.98, False)):
        # As many wrong pixels as give `share` of the mean square error that the limit allows.
        images = np.zeros((1, 1000, 1000), dtype=np.uint8)
        wrong = share * 255**2 / 10 ** (limit / 10)
        level = int(np.ceil(np.sqrt(wrong)))
        images.ravel()[: round(wrong / level**2 * images.size)] = level
        parity = measure_parity(images, np.zeros_like(images))
        assert parity.psnr_db == pytest.approx(limit, abs=0.1)
        check = check_parity(parity, limit)
        assert f"PSNR {parity.psnr_db:.2f} dB (limit {limit:g}) over 1 images" in check.found
        message = f"pixels differ from torch's: {parity.psnr_db:.2f} dB, expected at least {limit:g}"
        assert check.problem == (message if is_problem else None)


def test_the_message_shows_the_difference_to_a_limit_that_is_just_missed() -> None:
    parity = ParityFacts(images=1, psnr_db=39.99, mean_error=0.0, largest_error=0)
    assert check_parity(parity, 40.0).problem == "pixels differ from torch's: 39.99 dB, expected at least 40"
    assert check_parity(replace(parity, psnr_db=40.0), 40.0).problem is None


def test_float_files_must_be_nearer_than_integer_ones_whatever_the_preset() -> None:
    for preset in PRESETS.values():
        for is_scanned in (False, True):
            limits = [usual_least_psnr_db(preset, precision, is_scanned) for precision in ("int8", "fp16", "fp32")]
            assert limits[0] == (35 if is_scanned else preset.least_psnr_db)
            assert limits[0] < limits[1] < limits[2]


def drawn(contents: bytes, inputs: Mapping[str, NDArray[np.generic]]) -> NDArray[np.uint8]:
    """Return what onnxruntime draws in one batch."""
    session = onnxruntime.InferenceSession(contents, providers=["CPUExecutionProvider"])
    images: NDArray[np.uint8] = session.run(["images"], inputs)[0]
    return images


def test_a_model_whose_images_do_not_depend_on_their_batch_is_accepted() -> None:
    contents, inputs = float_model(), {"z": latents(0, 0, SAME_PIXELS_IMAGES, 4)}
    check = check_same_pixels(contents, inputs, drawn(contents, inputs))
    assert check == Check("same pixels", "in batches of 1, 16, 64; number of threads: 1, 2", None)


def test_a_model_whose_images_depend_on_their_batch_is_a_problem() -> None:
    graph = GraphBuilder()
    mean = graph.node("ReduceMean", "mean", "z", axes=[0], keepdims=1)
    stored = graph.quantize("stored", graph.node("Sub", "difference", "z", mean), LATENT_QUANTIZATION)
    graph.reshape("images", stored, [-1, 2, 2])
    contents, inputs = graph.model(4, 2, 2).SerializeToString(), {"z": latents(0, 0, SAME_PIXELS_IMAGES, 4)}
    check = check_same_pixels(contents, inputs, drawn(contents, inputs))
    assert check == Check("same pixels", "no", "other pixels from image 0 on in batches of 1, number of threads: 1")


@pytest.mark.parametrize(("size", "threads"), [(1, 1), (16, 1), (64, 1), (1, 2), (16, 2), (64, 2)])
def test_each_batch_size_is_drawn_with_each_number_of_threads(monkeypatch: pytest.MonkeyPatch, size: int, threads: int) -> None:
    class WrongOnce:
        def __init__(self, contents: bytes, options: onnxruntime.SessionOptions, providers: list[str]) -> None:
            self._threads = options.intra_op_num_threads

        def run(self, outputs: list[str], inputs: dict[str, NDArray[np.generic]]) -> list[NDArray[np.uint8]]:
            count = len(inputs["z"])
            images = np.zeros((count, 2, 2), np.uint8)
            images[-1, 0, 0] = (count, self._threads) == (size, threads)
            return [images]

    monkeypatch.setattr(onnxruntime, "InferenceSession", WrongOnce)
    inputs = {"z": latents(0, 0, SAME_PIXELS_IMAGES, 4)}
    check = check_same_pixels(b"", inputs, np.zeros((SAME_PIXELS_IMAGES, 2, 2), np.uint8))
    assert check.problem == f"other pixels from image 0 on in batches of {size}, number of threads: {threads}"


def test_images_that_are_all_the_same_are_refused() -> None:
    same, by_class = np.full((40, 2, 2), 7, np.uint8), np.repeat(np.arange(10, dtype=np.uint8), 4).reshape(10, 2, 2)
    for images, classes, message in (
        (same, 0, "all images among 40"),
        (np.tile(by_class, (4, 1, 1)), 10, "all images of a class"),
    ):
        with pytest.raises(ExportError, match=message):
            require_variety(images, classes)
        images = images.copy()
        images[-1, 0, 0] ^= 1
        require_variety(images, classes)


def test_parity_calibration_traits_and_training_use_different_latents() -> None:
    seeds = {PARITY_SEED, CALIBRATION_SEED, TRAITS_SEED, WATCHED_SEED}
    assert len(seeds) == 4
    assert min(seeds) >= 2**32
