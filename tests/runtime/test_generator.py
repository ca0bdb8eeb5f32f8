"""The generator: the same address gives the same pixels however it is drawn, and files that lie are refused."""

import hashlib
import itertools
import os
import pickle
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import GeneratorType
from typing import Any

import numpy as np
import onnxruntime
import pytest
from drawings import with_classes
from numpy.typing import ArrayLike, NDArray
from protobuf_bytes import metadata_entry

from pocketgan.address import INDEX_LIMIT, SEED_LIMIT
from pocketgan.errors import CardError, ModelError, ProviderError, RequestError
from pocketgan.generator import Generator
from pocketgan.latents import latents
from pocketgan.model.card import CARD_KEY, ModelCard
from pocketgan.model.limits import BATCH_SIZE, Cost
from pocketgan.model.session import Provider

PIXELS_SHA256 = {
    "tiny": "367e89625b5317e5219ccf3812e6434e158e3b7b4011bca380031ca85b889b9a",
    "tiny_conditional": "52d5f7e38fec08fca38ce642e2ab0c1eea284205244a8f999c79c79bc3aa62cf",
    "tiny_float": "f115b94dd6d7db1d14353a7e9faf2c3a3b0ee131397d8f1313d2ef6f1d0beb3f",
}
"""Digest of images 3 to 202 of seed 1, by model."""

TRUNCATED_PIXELS_SHA256 = {
    "tiny": "b9ea6f53bdf7c4641eef7141690d58655c736d262f6baa3e3d0f4a80836ff8a6",
    "tiny_conditional": "e6d79dffab5c7ba8f4ba6135ef1c45e6bb3847a269d3c19435535b1cf1dd0361",
}
"""Digest of the same images at truncation 0.7, of the integer models."""


def digest(images: NDArray[np.uint8]) -> str:
    return hashlib.sha256(images.tobytes()).hexdigest()


def with_card(contents: bytes, card: ModelCard) -> bytes:
    """Return a model file with another card, and all else as it was."""
    return contents + metadata_entry(CARD_KEY, card.to_json())


def refusal(path: Path, provider: Provider = Provider.cpu, kind: type[Exception] = ModelError) -> str:
    """Return what loading the model is refused with: one line."""
    with pytest.raises(kind) as caught:
        Generator.load(path, provider)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_loaded_model_says_what_it_is(models: Path) -> None:
    path = models / "tiny.onnx"
    generator = Generator.load(path)
    assert generator.path == path
    assert generator.reason == "as named"
    assert generator.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert generator.card.name == "tiny"
    assert generator.provider is Provider.cpu
    assert generator.provider_reason == "an int8 model"


def test_a_model_loads_by_a_text_path_and_a_provider_by_its_name(models: Path) -> None:
    assert Generator.load(str(models / "tiny.onnx"), "cpu").provider_reason == "requested"


def test_images_have_the_promised_shape_and_type(tiny: Generator) -> None:
    images = tiny.generate(5)
    assert images.shape == (5, 8, 8)
    assert images.dtype == np.uint8
    assert images.std() > 30


@pytest.mark.parametrize("name", PIXELS_SHA256)
def test_pixels_stay_what_they_are(models: Path, name: str) -> None:
    assert digest(Generator.load(models / f"{name}.onnx").generate(200, seed=1, start=3)) == PIXELS_SHA256[name]


@pytest.mark.parametrize("name", TRUNCATED_PIXELS_SHA256)
def test_truncated_pixels_stay_what_they_are(models: Path, name: str) -> None:
    images = Generator.load(models / f"{name}.onnx").generate(200, seed=1, start=3, truncation=0.7)
    assert digest(images) == TRUNCATED_PIXELS_SHA256[name]


def test_a_smaller_truncation_gives_images_more_alike(tiny: Generator) -> None:
    spreads = [tiny.generate(500, truncation=truncation).astype(float).std(axis=0).mean() for truncation in (1, 0.7, 0.4, 0.1)]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[-1] < spreads[0] / 2


def test_the_smallest_truncation_draws_one_image_again_and_again(tiny: Generator) -> None:
    assert len(np.unique(tiny.generate(20, truncation=1 / 256).reshape(20, -1), axis=0)) == 1


@pytest.mark.parametrize(("count", "start", "threads"), [(1, 150, 2), (64, 100, 1), (65, 100, 2), (129, 37, 5), (200, 0, 1)])
@pytest.mark.parametrize(("name", "truncation"), [("tiny", 1.0), ("conditional", 0.4)])
def test_an_image_is_the_same_from_any_count_start_and_threads(
    name: str, truncation: float, count: int, start: int, threads: int, request: pytest.FixtureRequest
) -> None:
    generator: Generator = request.getfixturevalue(name)
    digits = [3, 1, 4] if generator.card.classes else None
    row = generator.generate(206, digits, seed=1, truncation=truncation)
    batches = list(generator.stream(count, digits, 1, start, threads, truncation=truncation))
    lengths = [len(batch.images) for batch in batches]
    assert [batch.start for batch in batches] == [start + sum(lengths[:position]) for position in range(len(lengths))]
    assert max(lengths) <= BATCH_SIZE
    np.testing.assert_array_equal(np.concatenate([batch.images for batch in batches]), row[start : start + count])


def test_an_image_is_what_the_bare_runtime_draws_from_its_latents(models: Path, conditional: Generator) -> None:
    session = onnxruntime.InferenceSession(models / "tiny_conditional.onnx", providers=["CPUExecutionProvider"])
    for index in (0, 9, 123):
        feeds = {"z": latents(4, index, 1, 16), "label": np.array([index % 10])}
        np.testing.assert_array_equal(conditional.generate(1, seed=4, start=index), session.run(["images"], feeds)[0])


def test_seeds_give_different_images(tiny: Generator) -> None:
    assert len({digest(tiny.generate(3, seed=seed)) for seed in (0, 1, 2, 2**40, SEED_LIMIT - 1)}) == 5


def test_indices_give_different_images(tiny: Generator) -> None:
    assert len(np.unique(tiny.generate(300).reshape(300, -1), axis=0)) == 300


def test_the_last_address_can_be_drawn(tiny: Generator) -> None:
    assert tiny.generate(1, seed=SEED_LIMIT - 1, start=INDEX_LIMIT - 1).shape == (1, 8, 8)


def test_classes_look_different(conditional: Generator) -> None:
    means = np.stack([conditional.generate(50, digits=digit).mean(axis=0) for digit in range(10)])
    for first, second in itertools.combinations(means, 2):
        assert np.abs(first - second).mean() > 30


@pytest.mark.parametrize(("start", "count"), [(-1, 3), (0, 0), (2.5, 3)])
def test_labels_of_what_is_no_image_are_refused(conditional: Generator, start: int, count: int) -> None:
    with pytest.raises(RequestError):
        conditional.labels(start, count)


def test_rows_of_unequal_lengths_are_no_digits(conditional: Generator) -> None:
    with pytest.raises(RequestError, match=r"digits .* is neither a label nor a sequence of labels"):
        conditional.generate(2, digits=[[1], [2, 3]])  # type: ignore[list-item]


def test_a_model_without_classes_has_no_labels(tiny: Generator) -> None:
    assert tiny.labels(0, 5) is None
    assert [batch.labels for batch in tiny.stream(5)] == [None]


@pytest.mark.parametrize(
    ("start", "digits", "labels"),
    [
        (0, None, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]),
        (7, None, [7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (5, 3, [3] * 12),
        (0, 0, [0] * 12),
        (0, [3, 1, 4], [3, 1, 4, 3, 1, 4, 3, 1, 4, 3, 1, 4]),
        (4, (3, 1, 4), [1, 4, 3, 1, 4, 3, 1, 4, 3, 1, 4, 3]),
        (0, range(8, 10), [8, 9, 8, 9, 8, 9, 8, 9, 8, 9, 8, 9]),
        (2**47, [5, 6], [5, 6] * 6),
    ],
)
def test_indices_run_through_the_classes_in_turn(
    conditional: Generator, start: int, digits: int | Sequence[int] | None, labels: list[int]
) -> None:
    found = conditional.labels(start, 12, digits)
    assert found is not None
    assert found.dtype == np.int64
    assert found.tolist() == labels
    streamed = [batch.labels for batch in conditional.stream(12, digits, start=start)]
    assert [label for part in streamed if part is not None for label in part.tolist()] == labels


def test_an_image_depends_on_its_own_class_only(conditional: Generator) -> None:
    in_turn = conditional.generate(30, seed=2)
    np.testing.assert_array_equal(conditional.generate(30, digits=7, seed=2)[7::10], in_turn[7::10])
    np.testing.assert_array_equal(conditional.generate(30, digits=[6, 7], seed=2)[17], in_turn[17])


@pytest.mark.parametrize("digits", [[], (1.5,), 7.0, "3"])
def test_what_is_no_class_is_refused(conditional: Generator, digits: object) -> None:
    with pytest.raises(RequestError) as caught:
        conditional.generate(1, digits)  # type: ignore[arg-type]
    assert str(caught.value) == f"digits {digits!r} is neither a label nor a sequence of labels: expected 0 to 9"


@pytest.mark.parametrize("digits", [-1, 10, [0, 10], [3, -1], (2**63,)])
def test_a_class_that_the_model_lacks_is_refused(conditional: Generator, digits: int | Sequence[int]) -> None:
    with pytest.raises(RequestError) as caught:
        conditional.generate(1, digits)
    assert str(caught.value) == f"digits {digits!r} is out of range: model tiny_conditional has the labels 0 to 9"


@pytest.mark.parametrize("digits", [0, [1], []])
def test_any_class_is_refused_by_a_model_without_classes(tiny: Generator, digits: int | Sequence[int]) -> None:
    with pytest.raises(RequestError, match=r"^model tiny has no classes to choose from: leave digits out$"):
        tiny.generate(1, digits)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"count": 0}, "count 0"),
        ({"count": -1}, "count -1"),
        ({"count": 1, "seed": -1}, "seed -1"),
        ({"count": 1, "seed": SEED_LIMIT}, f"seed {SEED_LIMIT}"),
        ({"count": 1, "start": -1}, "images -1 to -1"),
        ({"count": 2, "start": INDEX_LIMIT - 1}, f"images {INDEX_LIMIT - 1} to {INDEX_LIMIT}"),
        ({"count": 1, "truncation": 0}, "truncation 0"),
        ({"count": 1, "truncation": float("nan")}, "truncation nan"),
        ({"count": 1, "threads": 0}, "threads 0"),
        ({"count": 1, "threads": 1.5}, "threads 1.5"),
    ],
)
def test_a_request_out_of_range_is_refused_before_anything_is_drawn(
    tiny: Generator, arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(RequestError, match=rf"^{named} (is|are) out of range: expected "):
        tiny.stream(**arguments)  # not one batch is asked for


def test_a_request_error_is_a_value_error(tiny: Generator) -> None:
    with pytest.raises(ValueError, match="count 0"):
        tiny.generate(0)


def counted_calls(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with each call of the model, by its number of images."""
    calls: list[int] = []
    run = generator._run

    def counted(z: NDArray[np.float32], labels: NDArray[np.int64] | None) -> NDArray[np.uint8]:
        calls.append(len(z))
        return run(z, labels)

    monkeypatch.setattr(generator, "_run", counted)
    return calls


@pytest.mark.parametrize("threads", [1, 2])
def test_a_stream_draws_only_a_little_ahead(tiny: Generator, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    calls = counted_calls(tiny, monkeypatch)
    stream = tiny.stream(10**9, threads=threads)
    assert isinstance(stream, GeneratorType)
    for _ in range(3):
        next(stream)
        time.sleep(0.01)
    stream.close()
    assert len(calls) <= 3 + 2 * threads + 1


def test_a_stream_that_is_left_early_leaves_no_threads(tiny: Generator) -> None:
    before = threading.active_count()
    for batch in tiny.stream(10**9, threads=4):
        if batch.start > 300:
            break
    del batch
    # They end by themselves, a moment later.
    deadline = time.monotonic() + 30
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_one_generator_serves_several_threads(tiny: Generator) -> None:
    expected = digest(tiny.generate(300, seed=1))
    with ThreadPoolExecutor(4) as pool:
        digests = pool.map(lambda _: digest(tiny.generate(300, seed=1)), range(8))
    assert set(digests) == {expected}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("card_lies_about_image_size", "has the outputs {'images': ('tensor(uint8)', ['N', 8, 8])}, its card promises"),
        ("card_lies_about_latent_size", "has the inputs {'z': ('tensor(float)', ['N', 16])}, its card promises"),
        ("card_promises_classes", "has the inputs {'z': ('tensor(float)', ['N', 16])}, its card promises"),
        ("card_hides_classes", "has the inputs {'z': ('tensor(float)', ['N', 16]), 'label': ('tensor(int64)', ['N'])}, its card"),
        ("float_output", "has the outputs {'images': ('tensor(float)', ['N', 8, 8])}, its card promises"),
    ],
)
def test_a_model_that_breaks_the_contract_is_refused_by_name(models: Path, name: str, said: str) -> None:
    path = models / f"{name}.onnx"
    message = refusal(path)
    assert message.startswith(f"model {path}")
    assert said in message


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_card", ": it has no pocketgan model card: expected a file made by gan-export"),
        ("card_of_schema_2", ": the model card has schema 2, this version reads up to 1: upgrade pocketgan"),
        ("card_lies_about_latent_step", ": it expects latents in steps of 0.0625, this version draws steps of 0.03125"),
    ],
)
def test_a_card_that_does_not_fit_is_a_card_error(models: Path, name: str, said: str) -> None:
    path = models / f"{name}.onnx"
    assert refusal(path, kind=CardError) == f"model {path}{said}"


def test_an_operator_that_gan_export_does_not_write_is_refused_by_file(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes((models / "tiny.onnx").read_bytes().replace(b"QuantizeLinear", b"QuantizeCircle"))
    assert refusal(path).startswith(f"model {path}: gan-export would not write its node '' ('QuantizeCircle'): ")


def test_a_graph_that_onnxruntime_refuses_is_refused_by_file(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    # With a scale of another type than its operator takes.
    contents = (models / "tiny_float.onnx").read_bytes().replace(b"\x10\x01\x42\x04bias", b"\x10\x06\x42\x04bias")
    path.write_bytes(contents)
    assert refusal(path).startswith(f"model {path}: onnxruntime cannot load it: ")


@pytest.mark.parametrize(("text", "damaged"), [(b"\x12\x01N", b"\x12\x01\xce"), (b"\x01z", b"\x01\xce")], ids=["size", "tensor"])
def test_names_that_are_not_text_are_refused_by_file(models: Path, tmp_path: Path, text: bytes, damaged: bytes) -> None:
    path = tmp_path / "garbled.onnx"
    contents = (models / "tiny.onnx").read_bytes()
    assert text in contents
    path.write_bytes(contents.replace(text, damaged))
    assert refusal(path).startswith(f"model {path}")


def test_a_model_that_fails_when_it_runs_is_named(models: Path) -> None:
    path = models / "fails_when_drawing.onnx"
    with pytest.raises(ModelError) as caught:
        Generator.load(path).generate(3)
    assert str(caught.value).startswith(f"model {path} failed to draw: ")
    assert "indices element out of data bounds" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_that_draws_more_than_it_was_asked_for_is_named(tiny: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    class Generous:
        def run(self, outputs: list[str], feeds: dict[str, NDArray[np.float32]]) -> list[NDArray[np.uint8]]:
            return [np.zeros((2 * len(feeds["z"]), 8, 8), np.uint8)]

    monkeypatch.setattr(tiny, "_session", Generous())
    with pytest.raises(ModelError) as caught:
        tiny.generate(3)
    assert str(caught.value) == f"model {tiny.path} drew an array of shape (6, 8, 8), expected (3, 8, 8): export it again"


def test_what_onnxruntime_says_in_several_lines_is_cut_to_one(tiny: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def run(self, outputs: list[str], feeds: dict[str, object]) -> None:
            raise RuntimeError("the reason\nand where\nand why")

    monkeypatch.setattr(tiny, "_session", Failing())
    with pytest.raises(ModelError) as caught:
        tiny.generate(1)
    assert str(caught.value) == f"model {tiny.path} failed to draw: the reason"


def test_images_that_are_not_square_keep_height_and_width_apart(models: Path, tmp_path: Path, tiny: Generator) -> None:
    path = tmp_path / "wide.onnx"
    card = replace(tiny.card, image_height=4, image_width=16)
    path.write_bytes(with_card((models / "tiny.onnx").read_bytes(), card))
    assert "'images': ('tensor(uint8)', ['N', 8, 8])}, its card promises {'images': ('tensor(uint8)', ['N', 4, 16])}" in refusal(
        path
    )


def test_classes_may_be_numbers_of_numpy(conditional: Generator) -> None:
    np.testing.assert_array_equal(conditional.generate(4, np.int64(3)), conditional.generate(4, 3))
    np.testing.assert_array_equal(conditional.generate(4, np.array([3, 5])), conditional.generate(4, [3, 5]))


def test_a_model_for_one_size_of_batch_is_refused(models: Path) -> None:
    with pytest.raises(ModelError, match="its tensor 'z' has dim_value for size 0 of its shape, expected dim_param"):
        Generator.load(models / "fixed_batch.onnx")


def test_an_unknown_provider_is_refused_by_name(models: Path) -> None:
    with pytest.raises(ProviderError, match="provider 'tpu' is not known: expected one of auto, cpu, cuda"):
        Generator.load(models / "tiny.onnx", "tpu")


def test_small_integers_of_numpy_do_not_overflow(tiny: Generator) -> None:
    drawn = tiny.generate(np.uint8(200), start=np.uint8(100))  # type: ignore[arg-type]
    (batch,) = tiny.stream(np.uint8(60), start=np.uint8(250), batch_size=np.uint8(200))  # type: ignore[arg-type]
    np.testing.assert_array_equal(batch.images, tiny.generate(60, start=250))
    np.testing.assert_array_equal(drawn, tiny.generate(200, start=100))
    np.testing.assert_array_equal(latents(0, np.uint8(100), 1, 100), latents(0, 100, 1, 100))  # type: ignore[arg-type]


def test_latents_of_an_address_give_the_image_of_that_address(tiny: Generator, conditional: Generator) -> None:
    z = latents(5, 100, 150, 16)
    np.testing.assert_array_equal(tiny.draw_latents(z), tiny.generate(150, seed=5, start=100))
    labels = np.arange(100, 250) % 10
    np.testing.assert_array_equal(conditional.draw_latents(z, labels), conditional.generate(150, seed=5, start=100))


@pytest.mark.parametrize(
    ("z", "message"),
    [
        (np.zeros(16, np.float32), "latents of shape (16,): expected (n, 16) with n from 1 on"),
        (np.zeros((2, 15), np.float32), "latents of shape (2, 15)"),
        (np.zeros((0, 16), np.float32), "latents of shape (0, 16)"),
        ([["a"] * 16], "latents are not an array of numbers: could not convert"),
        ([[0.0] * 16, [0.0]], "latents are not an array of numbers: setting an array element"),
        (np.full((2, 16), np.nan, np.float32), "latents that are not finite"),
    ],
)
def test_latents_that_cannot_be_drawn_are_refused(tiny: Generator, z: ArrayLike, message: str) -> None:
    with pytest.raises(RequestError, match=re.escape(message)):
        tiny.draw_latents(z)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "has 10 classes: expected labels 0 to 9"),
        (np.array([1, 2, 3]), "3 labels for 2 rows of latents: expected one for each, or one for all"),
        (np.array([1.0, 2.0]), "is neither a label nor a sequence of labels: expected 0 to 9"),
        (np.array([1, 10]), "has the labels 0 to 9"),
        (np.array([-1, 3]), "has the labels 0 to 9"),
    ],
)
def test_labels_that_do_not_belong_to_latents_are_refused(
    conditional: Generator, labels: NDArray[np.int64] | None, message: str
) -> None:
    with pytest.raises(RequestError, match=re.escape(message)):
        conditional.draw_latents(np.zeros((2, 16), np.float32), labels)


def test_latents_and_labels_may_be_plain_lists_and_one_label_serves_all(conditional: Generator) -> None:
    z = latents(5, 0, 3, 16)
    drawn = conditional.draw_latents(z.astype(np.float64).tolist(), 7)
    np.testing.assert_array_equal(drawn, conditional.generate(3, 7, seed=5))
    np.testing.assert_array_equal(drawn, conditional.draw_latents(z, [7, 7, 7]))


def test_a_model_without_classes_takes_no_labels(tiny: Generator) -> None:
    with pytest.raises(RequestError, match="model tiny has no classes to choose from"):
        tiny.draw_latents(np.zeros((1, 16), np.float32), np.array([3]))


def test_labels_are_the_numbers_that_the_data_gave_the_classes(conditional: Generator, tmp_path: Path) -> None:
    letters = with_classes(conditional, tmp_path, tuple("ABCDEFGHIJ"), tuple(range(1, 11)))
    np.testing.assert_array_equal(letters.generate(4, 10, seed=5), conditional.generate(4, 9, seed=5))
    np.testing.assert_array_equal(letters.generate(12), conditional.generate(12))
    (batch,) = letters.stream(3, [3, 1])
    assert batch.labels is not None
    assert batch.labels.tolist() == [3, 1, 3]
    with pytest.raises(RequestError, match="has the labels 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"):
        letters.labels(0, 3, 0)


@pytest.mark.parametrize(
    "ask",
    [
        lambda generator: generator.generate(10**9),
        lambda generator: generator.labels(0, 10**9),
        lambda generator: latents(0, 0, 10**9, 64),
    ],
)
def test_more_than_an_array_can_hold_is_refused_before_it_is_made(
    conditional: Generator, ask: Callable[[Generator], object]
) -> None:
    with pytest.raises(RequestError, match=r"would take .* bytes, expected at most 1,073,741,824: "):
        ask(conditional)


def test_a_batch_is_as_small_as_asked_for(tiny: Generator) -> None:
    batches = list(tiny.stream(10, seed=3, batch_size=4))
    assert [len(batch.images) for batch in batches] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([batch.images for batch in batches]), tiny.generate(10, seed=3))
    with pytest.raises(RequestError, match="batch_size 0 is out of range"):
        tiny.stream(10, batch_size=0)


def test_a_model_that_takes_much_memory_is_drawn_in_smaller_batches(tiny: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = tiny.generate(100)
    monkeypatch.setattr(tiny, "cost", Cost(fixed_bytes=0, image_bytes=2**22))
    assert max(len(batch.images) for batch in tiny.stream(100, threads=3)) < 16
    np.testing.assert_array_equal(tiny.generate(100), expected)


def test_a_generator_can_be_pickled_by_path_and_digest(models: Path, empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("model.onnx").write_bytes((models / "tiny.onnx").read_bytes())
    pickled = pickle.dumps(Generator.load())
    monkeypatch.chdir("/")
    again = pickle.loads(pickled)
    assert again.path == empty_folder / "model.onnx"
    np.testing.assert_array_equal(again.generate(3), Generator.load(models / "tiny.onnx").generate(3))
    (empty_folder / "model.onnx").write_bytes((models / "tiny_float.onnx").read_bytes())
    with pytest.raises(ModelError, match=r"the generator that was pickled had .* put the same file there"):
        pickle.loads(pickled)


def test_a_bundled_model_is_pickled_by_its_name(bundled_folder: Path, empty_folder: Path) -> None:
    pickled = pickle.dumps(Generator.load("pocket"))
    assert str(bundled_folder).encode() not in pickled
    assert pickle.loads(pickled).path == bundled_folder / "pocket.onnx"


FORKED = """
import multiprocessing, os, sys
from pocketgan import Generator

def draw(generator):
    return generator.generate(3).sum()

if __name__ == "__main__":
    how, path = sys.argv[1:]
    generator = Generator.load(path)
    expected = draw(generator)
    list(generator.stream(500, threads=3))
    if how == "os.fork":
        child = os.fork()
        if child == 0:
            sys.exit(int(draw(generator) != expected))  # as the workers of a web server end: with all that runs at an exit
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    with multiprocessing.get_context(how).Pool(2) as pool:
        sys.exit(pool.map(draw, [generator] * 4) != [expected] * 4)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("how", ["os.fork", "fork", "spawn", "forkserver"])
def test_other_processes_draw_with_it_and_end(models: Path, tmp_path: Path, how: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(FORKED)
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    command = [sys.executable, str(script), how, str(models / "tiny.onnx")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
