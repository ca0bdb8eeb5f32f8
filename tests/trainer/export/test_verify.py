"""The proofs of an export: kernels counted as onnxruntime runs them, pixels compared, and what is refused."""

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import onnx
import onnxruntime
import pytest
from lively_generators import lively_generator
from numpy.typing import NDArray
from onnx import numpy_helper

from pocketgan.latents import latents
from pocketgan.model.card import KernelFacts, ParityFacts
from pocketgan_trainer.errors import ExportError
from pocketgan_trainer.export import integer_layers
from pocketgan_trainer.export.calibration import CALIBRATION_SEED
from pocketgan_trainer.export.float_graph import float_graph
from pocketgan_trainer.export.fold import fold
from pocketgan_trainer.export.grids import LATENT_GRID, PIXEL_GRID
from pocketgan_trainer.export.layers import Dense, Layer, LeakyRelu, Tanh, ToImage
from pocketgan_trainer.export.nodes import GraphNotes
from pocketgan_trainer.export.verify import (
    PARITY_SEED,
    SAME_PIXELS_IMAGES,
    Check,
    RefusedExportError,
    check_batches,
    check_kernels,
    check_parity,
    check_sums,
    check_variety,
    compare,
    count_kernels,
    optimized,
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
    notes = GraphNotes()
    features = integer_layers.latent(notes, weights.values.shape[1])
    features = integer_layers.dense(notes, "dense", weights, None, 1.0, features, PIXEL_GRID)
    notes.reshape("images", features.name, [-1, 1, len(values)])
    return notes.model(weights.values.shape[1], 1, len(values))


def sums(model: onnx.ModelProto) -> Check:
    """Return what the check says of a model as onnxruntime runs it."""
    return check_sums(optimized(model.SerializeToString()))


@pytest.mark.parametrize("weights", [[127, 1, 127, 1], [-127, -1, -64, -64], [127, -127, 127, -127], [64, 64, 64, 64]], ids=str)
def test_weights_whose_sums_hold_are_accepted(weights: list[int]) -> None:
    model = model_with_weights([[0, 0, 0, 0], weights])
    largest = max(abs(one + other) for one, other in pairwise(weights))
    assert sums(model) == Check("overflow", f"none: neighbouring weights add up to {largest} at most, limit 128", None)


@pytest.mark.parametrize(
    ("weights", "sum_"),
    [([127, 2, 0, 0], 129), ([0, 127, 127, 0], 254), ([0, 0, -100, -29], 129), ([-128, 0, 0, 0], 128)],
    ids=str,
)
def test_weights_whose_sums_could_saturate_are_refused(weights: list[int], sum_: int) -> None:
    told = rf"dense.*: weights from {min(weights)}, of which two neighbours add up to {sum_}; expected from -127"
    model = model_with_weights([[0, 0, 0, 0], weights])
    check = sums(model)
    assert re.search(told, check.problem or "")
    assert f"add up to {sum_}" in check.found


def test_weights_that_are_no_int8_are_a_problem() -> None:
    model = model_with_weights([[0, 0], [127, -127]])
    for tensor in model.graph.initializer:
        if tensor.name == "dense.weight.integers":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.uint8), tensor.name))
    assert re.search("weights are of type uint8, expected constants of type int8", sums(model).problem or "")
    assert check_sums(optimized(float_model())).problem == "weights in unknown places: none were found"


def test_weights_in_places_that_are_not_known_are_a_problem() -> None:
    model = model_with_weights([[0, 0], [127, 127]])
    for node in model.graph.node:
        if node.op_type == "Conv":
            node.op_type = "ConvTranspose"
    # ... for which there is no integer kernel.
    assert re.search("weights in unknown places: .*dense.weight", sums(model).problem or "")


def test_weights_that_are_not_constant_are_a_problem() -> None:
    model = optimized(model_with_weights([[0, 0], [127, 0]]).SerializeToString())
    (node,) = (node for node in model.graph.node if node.op_type == "QLinearConv")
    node.input[3] = "z"
    assert re.search("weights are not constant, expected constants of type int8", check_sums(model).problem or "")


def test_what_is_told_of_a_layer_is_its_own() -> None:
    weights = [[[64, 64], [0, 0]], [[0, 0], [-128, 0]]]
    models = [optimized(model_with_weights(values).SerializeToString()) for values in weights]
    for tensor in models[1].graph.initializer:
        tensor.name += "_other"
    for node in models[1].graph.node:
        node.input[:] = [name + "_other" for name in node.input]
    models[0].graph.node.extend(models[1].graph.node)
    models[0].graph.initializer.extend(models[1].graph.initializer)
    assert re.search("weights from -128, of which two neighbours add up to 128;", check_sums(models[0]).problem or "")


def test_weights_are_looked_at_as_they_are_when_constants_are_worked_out() -> None:
    notes = GraphNotes()
    values = np.array([[[[100, 0]]], [[[0, 0]]]], np.int8)
    latent = integer_layers.latent(notes, 1)
    # The two columns of the kernel that is stored are 100 and 0, of the one that is gathered from it 100 and 100.
    chosen = notes.constant("chosen", np.array([0, 0], np.int32))
    wide = notes.node("Gather", "wide", notes.constant("narrow", values), chosen, axis=3)
    product = notes.node(
        "Conv",
        "product",
        notes.load("numbers", notes.transpose("first", latent.name, [0, 3, 1, 2]), latent.grid),
        notes.load_channels("weight", wide, 2, np.ones(2, np.float32)),
        notes.load_weights("bias", np.zeros(2, np.int32), np.full(2, 1 / 32, np.float32)),
        kernel_shape=[1, 2],
        pads=[0, 0, 0, 1],
    )
    last = notes.transpose("last", notes.store("stored", product, PIXEL_GRID), [0, 2, 3, 1])
    notes.reshape("images", last, [-1, 1, 2])
    assert re.search("two neighbours add up to 200", sums(notes.model(1, 1, 2)).problem or "")


def test_a_float_model_presented_as_int8_is_refused() -> None:
    assert re.search(
        r"not int8: kernels are 0 integer; in floating point: .*Tanh.*; expected integers only",
        check_kernels(count_kernels(optimized(float_model())), "int8").problem or "",
    )


@pytest.mark.parametrize("preset", ["dcgan", "mlp"])
def test_the_presets_in_float_presented_as_int8_are_refused(preset: str) -> None:
    model = optimized(float_graph(fold(lively_generator(preset)), 100, np.float32).SerializeToString())
    assert re.search("not int8: kernels are 0 integer", check_kernels(count_kernels(model), "int8").problem or "")


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


def test_a_refusal_tells_what_was_wrong_and_holds_every_check() -> None:
    checks = [Check("one", "fine", None), Check("two", "bad", "this is wrong"), Check("three", "bad", "that is wrong")]
    refusal = RefusedExportError(checks)
    assert str(refusal).startswith("this is wrong; that is wrong. Nothing was written; take another checkpoint, or force it")
    assert refusal.checks == tuple(checks)


def test_parity_of_equal_images_is_a_hundred_decibels() -> None:
    assert compare(BLACK, BLACK) == ParityFacts(images=10, psnr_db=100.0, mean_error=0.0, largest_error=0)


@pytest.mark.parametrize(("level", "psnr_db"), [(1, 48.13), (2, 42.11)])
def test_parity_has_a_closed_form_where_all_pixels_differ_alike(level: int, psnr_db: float) -> None:
    # 20 log10(255 / level)
    for images, reference in ((BLACK, BLACK + level), (BLACK + level, BLACK)):
        facts = compare(images.astype(np.uint8), reference.astype(np.uint8))
        assert facts == ParityFacts(images=10, psnr_db=psnr_db, mean_error=float(level), largest_error=level)


def test_parity_has_a_closed_form_where_one_pixel_differs() -> None:
    images = BLACK.copy()
    images[3, 4, 5] = 255
    facts = compare(images, BLACK)
    assert facts.psnr_db == round(10 * np.log10(BLACK.size), 2)
    assert facts.mean_error == round(255 / BLACK.size, 4)
    assert facts.largest_error == 255


@pytest.mark.parametrize("limit", [36.0, 40.0, 60.0])
def test_pixels_below_the_limit_are_a_problem(limit: float) -> None:
    for share, is_problem in ((1.02, True), (0.98, False)):
        # So many pixels wrong by one level that the mean square error is `share` of what the limit allows.
        images = np.zeros((1, 1000, 1000), dtype=np.uint8)
        wrong = share * 255**2 / 10 ** (limit / 10)
        level = int(np.ceil(np.sqrt(wrong)))
        images.ravel()[: round(wrong / level**2 * images.size)] = level
        parity = compare(images, np.zeros_like(images))
        assert parity.psnr_db == pytest.approx(limit, abs=0.1)
        check = check_parity(parity, limit)
        assert f"PSNR {parity.psnr_db:.2f} dB (limit {limit:g}) over 1 images" in check.found
        told = f"pixels differ from torch's: {parity.psnr_db:.2f} dB, expected at least {limit:g}"
        assert check.problem == (told if is_problem else None)


def test_a_limit_that_is_just_missed_can_be_told_from_what_was_found() -> None:
    parity = ParityFacts(images=1, psnr_db=39.99, mean_error=0.0, largest_error=0)
    assert check_parity(parity, 40.0).problem == "pixels differ from torch's: 39.99 dB, expected at least 40"
    assert check_parity(replace(parity, psnr_db=40.0), 40.0).problem is None


def test_float_files_must_be_nearer_than_integer_ones_whatever_the_preset() -> None:
    for preset in PRESETS.values():
        limits = [usual_least_psnr_db(preset, precision) for precision in ("int8", "fp16", "fp32")]
        assert limits[0] == preset.least_psnr_db
        assert 30 < limits[0] < limits[1] < limits[2]


def drawn(contents: bytes, feeds: Mapping[str, NDArray[np.generic]]) -> NDArray[np.uint8]:
    """Return what onnxruntime draws in one batch."""
    session = onnxruntime.InferenceSession(contents, providers=["CPUExecutionProvider"])
    images: NDArray[np.uint8] = session.run(["images"], feeds)[0]
    return images


def test_a_model_whose_images_stand_alone_has_the_same_pixels() -> None:
    contents, feeds = float_model(), {"z": latents(0, 0, SAME_PIXELS_IMAGES, 4)}
    check = check_batches(contents, feeds, drawn(contents, feeds))
    assert check == Check("same pixels", "in batches of 1, 16, 64; number of threads: 1, 2", None)


def test_a_model_whose_images_depend_on_their_batch_is_found_out() -> None:
    notes = GraphNotes()
    mean = notes.node("ReduceMean", "mean", "z", axes=[0], keepdims=1)
    stored = notes.store("stored", notes.node("Sub", "difference", "z", mean), LATENT_GRID)
    notes.reshape("images", stored, [-1, 2, 2])
    contents, feeds = notes.model(4, 2, 2).SerializeToString(), {"z": latents(0, 0, SAME_PIXELS_IMAGES, 4)}
    check = check_batches(contents, feeds, drawn(contents, feeds))
    assert check == Check("same pixels", "no", "other pixels from image 0 on in batches of 1, number of threads: 1")


@pytest.mark.parametrize(("size", "threads"), [(1, 1), (16, 1), (64, 1), (1, 2), (16, 2), (64, 2)])
def test_each_batch_size_is_drawn_with_each_number_of_threads(monkeypatch: pytest.MonkeyPatch, size: int, threads: int) -> None:
    class WrongOnce:
        def __init__(self, contents: bytes, options: onnxruntime.SessionOptions, providers: list[str]) -> None:
            self._threads = options.intra_op_num_threads

        def run(self, outputs: list[str], feeds: dict[str, NDArray[np.generic]]) -> list[NDArray[np.uint8]]:
            count = len(feeds["z"])
            images = np.zeros((count, 2, 2), np.uint8)
            images[-1, 0, 0] = (count, self._threads) == (size, threads)
            return [images]

    monkeypatch.setattr(onnxruntime, "InferenceSession", WrongOnce)
    feeds = {"z": latents(0, 0, SAME_PIXELS_IMAGES, 4)}
    check = check_batches(b"", feeds, np.zeros((SAME_PIXELS_IMAGES, 2, 2), np.uint8))
    assert check.problem == f"other pixels from image 0 on in batches of {size}, number of threads: {threads}"


def test_images_that_all_are_the_same_are_refused() -> None:
    same, by_class = np.full((40, 2, 2), 7, np.uint8), np.repeat(np.arange(10, dtype=np.uint8), 4).reshape(10, 2, 2)
    for images, classes, told in ((same, 0, "all images among 40"), (np.tile(by_class, (4, 1, 1)), 10, "all images of a class")):
        with pytest.raises(ExportError, match=told):
            check_variety(images, classes)
        images = images.copy()
        images[-1, 0, 0] ^= 1
        check_variety(images, classes)


def test_parity_is_measured_on_latents_of_its_own() -> None:
    assert len({PARITY_SEED, CALIBRATION_SEED, WATCHED_SEED}) == 3
    assert min(PARITY_SEED, CALIBRATION_SEED, WATCHED_SEED) >= 2**32
