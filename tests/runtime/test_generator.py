"""The generator: the same address gives the same pixels however it is drawn, and files that break their promises are refused."""

import hashlib
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from drawings import with_classes
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from protobuf_bytes import metadata_entry

from pocketgan.address import INDEX_LIMIT, SEED_LIMIT
from pocketgan.errors import CardError, ModelError, ProviderError, RequestError
from pocketgan.generator import Digits, Generator
from pocketgan.latents import latents
from pocketgan.model.card import CARD_KEY
from pocketgan.model.limits import BATCH_SIZE, Cost
from pocketgan.model.session import Provider


def refusal(path: Path) -> str:
    """Return the message of the ModelError that loading the model raises: one line."""
    with pytest.raises(ModelError) as caught:
        Generator.load(path, Provider.cpu)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_loaded_model_describes_itself(models: Path) -> None:
    path = models / "tiny.onnx"
    for generator in (Generator.load(path), Generator.load(str(path), "cpu")):
        assert (generator.path, generator.reason, generator.card.name) == (path, "as named", "tiny")
        assert generator.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert generator.provider is Provider.cpu
    assert generator.provider_reason == "requested"


@pytest.mark.parametrize(
    ("name", "truncation", "sha256"),
    [
        ("tiny", 1, "367e89625b5317e5219ccf3812e6434e158e3b7b4011bca380031ca85b889b9a"),
        ("tiny_conditional", 1, "52d5f7e38fec08fca38ce642e2ab0c1eea284205244a8f999c79c79bc3aa62cf"),
        ("tiny_float", 1, "f115b94dd6d7db1d14353a7e9faf2c3a3b0ee131397d8f1313d2ef6f1d0beb3f"),
        ("tiny", 0.7, "b9ea6f53bdf7c4641eef7141690d58655c736d262f6baa3e3d0f4a80836ff8a6"),
        ("tiny_conditional", 0.7, "e6d79dffab5c7ba8f4ba6135ef1c45e6bb3847a269d3c19435535b1cf1dd0361"),
    ],
)
def test_pixels_never_change(models: Path, name: str, truncation: float, sha256: str) -> None:
    images = Generator.load(models / f"{name}.onnx").generate(200, seed=1, start=3, truncation=truncation)
    assert images.shape == (200, 8, 8)
    assert images.dtype == np.uint8
    assert hashlib.sha256(images.tobytes()).hexdigest() == sha256


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


def test_a_model_without_classes_has_no_labels(tiny: Generator) -> None:
    assert tiny.labels(0, 5) is None
    assert [batch.labels for batch in tiny.stream(5)] == [None]
    with pytest.raises(RequestError, match=r"^model tiny has no classes to choose from: leave digits out$"):
        tiny.generate(1, [])
    with pytest.raises(RequestError, match=r"^model tiny has no classes to choose from"):
        tiny.draw_latents(np.zeros((1, 16)), [3])


@pytest.mark.parametrize(
    ("start", "digits", "labels"),
    [
        (7, None, [7, 8, 9, 0, 1, 2]),
        (5, 0, [0] * 6),
        (4, (3, 1, 4), [1, 4, 3, 1, 4, 3]),
        (1, range(8, 10), [9, 8, 9, 8, 9, 8]),
        (2**47, [5, 6], [5, 6, 5, 6, 5, 6]),
        (0, np.int64(3), [3] * 6),
        (1, np.array([3, 5], np.uint8), [5, 3, 5, 3, 5, 3]),
        (0, "3", [3] * 6),
        (1, "7,0-2", [0, 1, 2, 7, 0, 1]),
    ],
)
def test_indices_run_through_the_classes_in_turn(
    conditional: Generator, start: int, digits: Digits | None, labels: list[int]
) -> None:
    found = conditional.labels(start, 6, digits)
    assert found is not None
    assert found.dtype == np.int64
    assert found.tolist() == labels
    streamed = [batch.labels for batch in conditional.stream(6, digits, start=start)]
    assert [label for part in streamed if part is not None for label in part.tolist()] == labels


@pytest.mark.parametrize("digits", [[], np.array([], int), (1.5,), 7.0, b"3", [[1], [2, 3]]])
def test_what_is_no_label_is_refused(conditional: Generator, digits: object) -> None:
    with pytest.raises(RequestError) as caught:
        conditional.generate(2, digits)  # type: ignore[arg-type]
    assert (
        str(caught.value)
        == f"digits {digits!r} is neither a label nor a sequence of labels: expected 0 to 9, or names of classes in one text"
    )


def test_names_that_the_model_lacks_are_refused(conditional: Generator, tiny: Generator) -> None:
    with pytest.raises(RequestError, match=r"has no class 'sneaker': its classes are"):
        conditional.generate(1, "3,sneaker")
    with pytest.raises(RequestError, match=r"^'3-' is neither a class nor a range"):
        conditional.labels(0, 1, "3-")
    with pytest.raises(RequestError, match=r"has no classes to choose from"):
        tiny.generate(1, "3")


def test_a_notebook_shows_a_sheet_of_the_first_images(conditional: Generator) -> None:
    assert (conditional.classes, conditional.image_size) == (tuple("0123456789"), (8, 8))
    sheet = np.asarray(Image.open(BytesIO(conditional._repr_png_())))
    np.testing.assert_array_equal(sheet[2:18:2, 2:18:2], conditional.generate(1)[0])
    assert sheet.shape == (3 * 18 + 2, 10 * 18 + 2)


@pytest.mark.parametrize("digits", [-1, 10, [0, 10], (2**63,)])
def test_a_label_that_the_model_lacks_is_refused(conditional: Generator, digits: int | Sequence[int]) -> None:
    with pytest.raises(RequestError) as caught:
        conditional.generate(1, digits)
    assert str(caught.value) == f"digits {digits!r} is out of range: model tiny_conditional has the labels 0 to 9"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"count": 0}, "count 0"),
        ({"count": 1, "seed": SEED_LIMIT}, f"seed {SEED_LIMIT}"),
        ({"count": 2, "start": INDEX_LIMIT - 1}, f"images {INDEX_LIMIT - 1} to {INDEX_LIMIT}"),
        ({"count": 1, "truncation": 0}, "truncation 0"),
        ({"count": 1, "threads": 0}, "threads 0"),
        ({"count": 1, "threads": 1.5}, "threads 1.5"),
        ({"count": 1, "batch_size": 0}, "batch_size 0"),
    ],
)
def test_a_request_out_of_range_is_refused_before_anything_is_drawn(
    tiny: Generator, arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(RequestError, match=rf"^{named} (is|are) out of range: expected ") as caught:
        tiny.stream(**arguments)  # no batch is taken
    assert isinstance(caught.value, ValueError)


def test_without_a_seed_images_are_new_in_each_call(tiny: Generator) -> None:
    first, second = (tiny.generate(4, seed=None) for _ in range(2))
    assert first.shape == second.shape == (4, 8, 8)
    assert not np.array_equal(first, second)
    (streamed,) = tiny.stream(4, seed=None)
    assert not np.array_equal(streamed.images, first)


@pytest.mark.parametrize(("start", "count"), [(-1, 3), (0, 0), (2.5, 3)])
def test_labels_of_indices_out_of_range_are_refused(conditional: Generator, start: int, count: int) -> None:
    with pytest.raises(RequestError):
        conditional.labels(start, count)


def test_one_generator_serves_several_threads(tiny: Generator) -> None:
    expected = tiny.generate(300, seed=1).tobytes()
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: tiny.generate(300, seed=1).tobytes(), range(8))) == {expected}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("card_lies_about_image_size", "it has the outputs {'images': ('tensor(uint8)', ['N', 8, 8])}, its card promises"),
        ("card_lies_about_latent_size", "it has the inputs {'z': ('tensor(float)', ['N', 16])}, its card promises"),
        ("card_promises_classes", "it has the inputs {'z': ('tensor(float)', ['N', 16])}, its card promises"),
        ("card_hides_classes", "it has the inputs {'z': ('tensor(float)', ['N', 16]), 'label': ('tensor(int64)', ['N'])}, its"),
        ("float_output", "it has the outputs {'images': ('tensor(float)', ['N', 8, 8])}, its card promises"),
        ("fixed_batch", "its tensor 'z' has dim_value for size 0 of its shape, expected dim_param"),
    ],
)
def test_a_model_that_breaks_the_contract_is_refused(models: Path, name: str, message: str) -> None:
    path = models / f"{name}.onnx"
    assert refusal(path).startswith(f"model {path}: {message}")


def test_height_and_width_are_checked_in_that_order(models: Path, tmp_path: Path, tiny: Generator) -> None:
    path = tmp_path / "wide.onnx"
    card = replace(tiny.card, image_height=4, image_width=16)
    path.write_bytes((models / "tiny.onnx").read_bytes() + metadata_entry(CARD_KEY, card.to_json()))
    assert "['N', 8, 8])}, its card promises {'images': ('tensor(uint8)', ['N', 4, 16])}" in refusal(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_card", "it has no pocketgan model card: expected a file made by gan-export"),
        ("card_of_schema_2", "the model card has schema 2, this version reads up to 1: upgrade pocketgan"),
        ("card_lies_about_latent_step", "it expects latents in steps of 0.0625, this version draws steps of 0.03125"),
    ],
)
def test_a_card_that_does_not_fit_is_a_card_error(models: Path, name: str, message: str) -> None:
    path = models / f"{name}.onnx"
    with pytest.raises(CardError) as caught:
        Generator.load(path)
    assert str(caught.value) == f"model {path}: {message}"


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("tiny", b"QuantizeLinear", b"QuantizeCircle", "gan-export would not write its node '' ('QuantizeCircle'): "),
        # A scale of another type than its operator takes.
        ("tiny_float", b"\x10\x01\x42\x04bias", b"\x10\x06\x42\x04bias", "onnxruntime cannot load it: "),
        ("tiny", b"\x12\x01N", b"\x12\x01\xce", ""),
        ("tiny", b"\x01z", b"\x01\xce", ""),
    ],
    ids=["operator", "type", "name of a size", "name of a tensor"],
)
def test_a_damaged_file_is_refused_by_its_path(
    models: Path, tmp_path: Path, name: str, old: bytes, new: bytes, message: str
) -> None:
    good = (models / f"{name}.onnx").read_bytes()
    assert old in good
    path = tmp_path / "damaged.onnx"
    path.write_bytes(good.replace(old, new))
    assert refusal(path).startswith(f"model {path}: {message}")


def raising(*_: object) -> None:
    raise RuntimeError("the reason\nand where\nand why")


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (raising, "failed to draw: the reason"),
        (
            lambda _, feeds: [np.zeros((2 * len(feeds["z"]), 8, 8), np.uint8)],
            "drew an array of shape (6, 8, 8), expected (3, 8, 8): export it again",
        ),
    ],
)
def test_a_model_that_does_not_draw_what_it_should_is_named_in_one_line(
    tiny: Generator, monkeypatch: pytest.MonkeyPatch, run: Callable[..., object], message: str
) -> None:
    monkeypatch.setattr(tiny, "_session", SimpleNamespace(run=run))
    with pytest.raises(ModelError) as caught:
        tiny.generate(3)
    assert str(caught.value) == f"model {tiny.path} {message}"


def test_an_unknown_provider_is_refused_by_name(models: Path) -> None:
    with pytest.raises(ProviderError, match="provider 'tpu' is not known: expected one of auto, cpu, cuda"):
        Generator.load(models / "tiny.onnx", "tpu")


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
        (
            np.array([1.0, 2.0]),
            "labels array([1., 2.]) is neither a label nor a sequence of labels: expected 0 to 9, or names of",
        ),
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


def test_a_batch_is_as_small_as_requested(tiny: Generator) -> None:
    # A small integer type of numpy, in which 240 + 60 would overflow.
    batches = list(tiny.stream(300, seed=3, batch_size=np.uint8(60)))  # type: ignore[arg-type]
    assert [len(batch.images) for batch in batches] == [60] * 5
    np.testing.assert_array_equal(np.concatenate([batch.images for batch in batches]), tiny.generate(300, seed=3))


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
