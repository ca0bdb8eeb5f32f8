"""The facts of a model file and whether it draws its golden pixels: bundled models, copies of them, and damaged files."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from drawings import with_classes

import pocketgan_models
from pocketgan import model_check
from pocketgan.errors import ModelError
from pocketgan.generator import Generator
from pocketgan.model.checked import DEFAULT_MODEL, CheckedModel, inspect_model
from pocketgan.model.session import Provider
from pocketgan.model_check import DrawingCheck, GoldenPixels, ModelFacts, check_drawing, facts_of, golden_pixels

OTHER_SHA256 = hashlib.sha256(bytes(8)).hexdigest()
"""A digest that no model's pixels have."""


def facts(model: str | Path | None = None) -> ModelFacts:
    return facts_of(inspect_model(model))


def drawn(model: str | Path | None = None, provider: Provider = Provider.auto) -> DrawingCheck:
    """Draw with a usable model."""
    found = inspect_model(model)
    assert isinstance(found, CheckedModel)
    return check_drawing(found, facts_of(found).bundled, provider)


@pytest.fixture
def golden(bundled_folder: Path, tiny: Generator) -> Path:
    """The list of golden pixels of the default model, which is a tiny one: images 0 to 9 of seed 3."""
    path = bundled_folder / "golden.json"
    digest = hashlib.sha256(tiny.generate(10, seed=3).tobytes()).hexdigest()
    path.write_text(json.dumps({"seed": 3, "count": 10, "pixels_sha256": {DEFAULT_MODEL: digest}}))
    return path


@pytest.mark.parametrize("name", pocketgan_models.names())
def test_a_bundled_model_draws_its_golden_pixels(name: str) -> None:
    file = facts(name)
    assert (file.path, file.reason, file.bundled, file.problem) == (pocketgan_models.path(name), "bundled", name, None)
    drawing = drawn(name)
    assert (drawing.provider, drawing.provider_reason, drawing.problem) == (Provider.cpu, "an int8 model", None)
    assert drawing.golden is not None
    assert drawing.golden.holds
    assert drawing.golden.drawn_sha256 == drawing.golden.expected.sha256
    assert (drawing.golden.expected.seed, drawing.golden.expected.count) == (0, 100)


def test_every_bundled_model_has_golden_pixels_and_no_other_has() -> None:
    listed = json.loads(pocketgan_models.golden().read_text())
    assert sorted(listed["pixels_sha256"]) == pocketgan_models.names()
    assert golden_pixels("absent") is None


def test_the_facts_of_a_file_are_size_digest_and_card(models: Path, tiny: Generator) -> None:
    path = models / "tiny.onnx"
    contents = path.read_bytes()
    sha256 = hashlib.sha256(contents).hexdigest()
    assert facts(path) == ModelFacts(path, "as named", len(contents), sha256, bundled=None, card=tiny.card, problem=None)


def test_the_default_model_is_that_of_gan_gen_and_a_copy_of_a_bundled_model_is_recognized(empty_folder: Path) -> None:
    assert facts().bundled == DEFAULT_MODEL
    (empty_folder / "model.onnx").write_bytes(pocketgan_models.path("nano").read_bytes())
    file = facts()
    assert (file.path, file.reason, file.bundled) == (Path("model.onnx"), "found in this folder", "nano")
    golden = drawn().golden
    assert golden is not None
    assert golden.holds
    path = empty_folder / "model.onnx"
    path.write_bytes(path.read_bytes().replace(b"pocketgan", b"another00", 1))  # the producer's name
    assert facts().bundled is None


def test_the_facts_of_an_unusable_file_are_those_that_could_be_read(models: Path, empty_folder: Path) -> None:
    path = models / "no_card.onnx"
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    found = facts(path)
    assert (found.problem or "").startswith(f"model {path}: it has no pocketgan model card: expected a file made by gan-export")
    assert replace(found, problem=None) == ModelFacts(path, "as named", path.stat().st_size, sha256, None, None, None)
    absent = facts("absent")
    assert (absent.problem or "").startswith("no model absent: expected a file, or the name of a bundled model (")
    assert replace(absent, problem=None) == ModelFacts(None, None, None, None, None, None, None)


def test_golden_pixels_are_drawn_with_their_seed_and_count(golden: Path) -> None:
    drawing = drawn()
    assert drawing.golden is not None
    assert (drawing.golden.expected.seed, drawing.golden.expected.count) == (3, 10)
    assert (drawing.golden.holds, drawing.problem) == (True, None)


def test_other_pixels_than_the_golden_ones_are_a_problem_but_the_model_is_timed(golden: Path) -> None:
    golden.write_text(json.dumps({"seed": 3, "count": 10, "pixels_sha256": {DEFAULT_MODEL: OTHER_SHA256}}))
    drawing = drawn()
    assert drawing.golden is not None
    assert (drawing.golden.expected, drawing.golden.holds) == (GoldenPixels(3, 10, OTHER_SHA256), False)
    assert f"draws other pixels than {DEFAULT_MODEL} did when it was released" in (drawing.problem or "")
    assert len(drawing.timings) == 2


def test_a_missing_list_of_golden_pixels_is_a_problem_but_the_model_is_timed(bundled_folder: Path) -> None:
    drawing = drawn()
    assert drawing.golden is None
    assert (drawing.problem or "").endswith(f"golden.json has no golden pixels of {DEFAULT_MODEL}: install pocketgan again")
    assert drawing.timings


@pytest.mark.parametrize(
    "contents", ["", "[]", "{}", '{"seed": 0, "pixels_sha256": {"pocket": "0"}}', '{"pixels_sha256": "none"}']
)
def test_a_damaged_list_of_golden_pixels_is_a_problem(golden: Path, contents: str) -> None:
    golden.write_text(contents)
    with pytest.raises(ModelError, match=r"golden\.json is damaged \(.*\): install pocketgan again$"):
        golden_pixels(DEFAULT_MODEL)
    drawing = drawn()
    assert "golden.json is damaged" in (drawing.problem or "")
    assert drawing.provider is Provider.cpu


@pytest.mark.parametrize("name", ["tiny", "tiny_conditional", "tiny_float"])
def test_any_other_model_has_no_golden_pixels_and_is_timed(models: Path, name: str) -> None:
    drawing = drawn(models / f"{name}.onnx", Provider.cpu)
    assert (drawing.provider, drawing.provider_reason, drawing.golden) == (Provider.cpu, "requested", None)
    assert [timing.batch_size for timing in drawing.timings] == [1, 64]
    for timing in drawing.timings:
        assert timing.first_microseconds > 0
        assert timing.median_microseconds > 0
        assert 1 <= timing.runs <= 20


def test_a_model_whose_labels_do_not_count_from_0_is_timed(models: Path, tmp_path: Path) -> None:
    renamed = with_classes(Generator.load(models / "tiny_conditional.onnx"), tmp_path, labels=(26, *range(1, 10)))
    drawing = drawn(str(renamed.path))
    assert (drawing.problem, len(drawing.timings)) == (None, 2)


def test_a_slow_model_is_timed_in_two_calls(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_check, "_LONGEST_TIMING_NANOSECONDS", 0)
    assert [timing.runs for timing in drawn(models / "tiny.onnx").timings] == [1, 1]


@pytest.mark.parametrize("name", ["card_lies_about_image_size", "card_lies_about_latent_step", "fails_when_drawing"])
def test_a_model_that_cannot_draw_is_a_problem_without_timings(models: Path, name: str) -> None:
    path = models / f"{name}.onnx"
    drawing = drawn(path)
    assert (drawing.problem or "").startswith(f"model {path}")
    assert drawing.timings == ()
    assert drawing.provider is (Provider.cpu if name == "fails_when_drawing" else None)


def test_a_provider_that_is_refused_is_a_problem(models: Path) -> None:
    drawing = drawn(models / "tiny.onnx", Provider.cuda)
    assert (drawing.provider, drawing.timings) == (None, ())
    assert (drawing.problem or "").startswith("--provider cuda: this model is int8 and CUDA has no integer kernels")
