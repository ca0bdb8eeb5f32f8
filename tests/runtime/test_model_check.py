"""What a model file is and whether it draws as it should: bundled ones, copies of them, and files that are broken."""

import hashlib
import json
from pathlib import Path

import pytest

import pocketgan_models
from pocketgan.errors import ModelError
from pocketgan.generator import Generator
from pocketgan.model.checked import DEFAULT_MODEL, CheckedModel, inspect_model
from pocketgan.model.session import Provider
from pocketgan.model_check import DrawingCheck, GoldenPixels, ModelFacts, check_drawing, facts_of, golden_pixels

NOT_DRAWN = hashlib.sha256(bytes(8)).hexdigest()
"""A digest that no model's pixels have."""


def facts(model: str | Path | None = None) -> ModelFacts:
    return facts_of(inspect_model(model))


def checked_drawing(model: str | Path | None = None, provider: Provider = Provider.auto) -> DrawingCheck:
    """Draw with a model that has no problem before."""
    found = inspect_model(model)
    assert isinstance(found, CheckedModel)
    return check_drawing(found, facts_of(found).bundled, provider)


@pytest.fixture
def tiny_golden(bundled_folder: Path, tiny: Generator) -> Path:
    """The golden pixels of the tiny model that is bundled under the name of the default one: images 0 to 9 of seed 3."""
    path = bundled_folder / "golden.json"
    digest = hashlib.sha256(tiny.generate(10, seed=3).tobytes()).hexdigest()
    path.write_text(json.dumps({"seed": 3, "count": 10, "pixels_sha256": {DEFAULT_MODEL: digest}}))
    return path


@pytest.mark.parametrize("name", pocketgan_models.names())
def test_a_bundled_model_draws_its_golden_pixels(name: str) -> None:
    file = facts(name)
    assert (file.path, file.reason, file.bundled, file.problem) == (pocketgan_models.path(name), "bundled", name, None)
    drawing = checked_drawing(name)
    assert (drawing.provider, drawing.provider_reason, drawing.problem) == (Provider.cpu, "an int8 model", None)
    assert drawing.golden is not None
    assert drawing.golden.holds
    assert drawing.golden.drawn_sha256 == drawing.golden.expected.sha256
    assert (drawing.golden.expected.seed, drawing.golden.expected.count) == (0, 100)


def test_every_bundled_model_has_golden_pixels_and_no_other_has() -> None:
    listed = json.loads(pocketgan_models.golden().read_text())
    assert sorted(listed["pixels_sha256"]) == pocketgan_models.names()
    assert all(len(bytes.fromhex(digest)) == 32 for digest in listed["pixels_sha256"].values())
    assert golden_pixels("absent") is None


def test_the_facts_of_a_file_are_size_digest_and_card(models: Path, tiny: Generator) -> None:
    path = models / "tiny.onnx"
    contents = path.read_bytes()
    assert facts(path) == ModelFacts(
        path=path,
        reason="as named",
        size_bytes=len(contents),
        sha256=hashlib.sha256(contents).hexdigest(),
        bundled=None,
        card=tiny.card,
        problem=None,
    )


def test_nothing_means_what_gan_gen_would_take(models: Path, empty_folder: Path) -> None:
    assert facts().bundled == DEFAULT_MODEL
    (empty_folder / "model.onnx").write_bytes((models / "tiny.onnx").read_bytes())
    file = facts()
    assert (file.path, file.reason) == (Path("model.onnx"), "found in this folder")


def test_a_copy_of_a_bundled_model_is_known_as_such_and_checked(empty_folder: Path) -> None:
    (empty_folder / "model.onnx").write_bytes(pocketgan_models.path("nano").read_bytes())
    file = facts()
    assert (file.reason, file.bundled) == ("found in this folder", "nano")
    golden = checked_drawing().golden
    assert golden is not None
    assert golden.holds


def test_a_bundled_model_that_is_absent_is_a_problem(bundled_folder: Path) -> None:
    (bundled_folder / f"{DEFAULT_MODEL}.onnx").unlink()
    file = facts()
    assert file.path == bundled_folder / f"{DEFAULT_MODEL}.onnx"
    assert file.problem is not None
    assert "No such file" in file.problem


@pytest.mark.usefixtures("tiny_golden")
def test_golden_pixels_come_with_the_seed_and_count_that_they_are_of(bundled_folder: Path) -> None:
    drawing = checked_drawing()
    assert drawing.golden is not None
    assert (drawing.golden.expected.seed, drawing.golden.expected.count) == (3, 10)
    assert (drawing.golden.holds, drawing.problem) == (True, None)


def test_other_pixels_than_the_golden_ones_are_a_problem_and_the_time_is_taken_all_the_same(tiny_golden: Path) -> None:
    expected = GoldenPixels(3, 10, NOT_DRAWN)
    tiny_golden.write_text(json.dumps({"seed": 3, "count": 10, "pixels_sha256": {DEFAULT_MODEL: NOT_DRAWN}}))
    drawing = checked_drawing()
    assert drawing.golden is not None
    assert (drawing.golden.expected, drawing.golden.holds) == (expected, False)
    assert drawing.problem is not None
    assert f"draws other pixels than {DEFAULT_MODEL} did when it was released" in drawing.problem
    assert "install pocketgan and onnxruntime again" in drawing.problem
    assert len(drawing.timings) == 2


def test_a_list_of_golden_pixels_that_is_not_there_is_a_problem(bundled_folder: Path) -> None:
    drawing = checked_drawing()
    assert drawing.golden is None
    assert (drawing.problem or "").endswith(f"golden.json has no golden pixels of {DEFAULT_MODEL}: install pocketgan again")
    assert drawing.timings


@pytest.mark.parametrize(
    "contents", ["", "[]", "{}", '{"seed": 0, "pixels_sha256": {"pocket": "0"}}', '{"pixels_sha256": "none"}', '"pocket"']
)
def test_a_damaged_list_of_golden_pixels_is_a_problem(tiny_golden: Path, contents: str) -> None:
    tiny_golden.write_text(contents)
    with pytest.raises(ModelError, match=r"golden\.json is damaged \(.*\): install pocketgan again$"):
        golden_pixels(DEFAULT_MODEL)
    drawing = checked_drawing()
    assert drawing.problem is not None
    assert "golden.json is damaged" in drawing.problem
    assert drawing.provider is Provider.cpu


@pytest.mark.parametrize("name", ["tiny", "tiny_conditional", "tiny_float"])
def test_a_model_of_ones_own_has_nothing_golden_and_is_timed(models: Path, name: str) -> None:
    drawing = checked_drawing(models / f"{name}.onnx", Provider.cpu)
    assert (drawing.provider, drawing.provider_reason, drawing.golden) == (Provider.cpu, "asked for", None)
    assert [timing.batch_size for timing in drawing.timings] == [1, 64]
    for timing in drawing.timings:
        assert timing.first_microseconds > 0
        assert timing.median_microseconds > 0
        assert 1 <= timing.runs <= 20


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_card", "it has no pocketgan model card: expected a file made by gan-export"),
        ("card_of_schema_2", "the model card has schema 2, this version reads up to 1: upgrade pocketgan"),
    ],
)
def test_a_file_without_a_readable_card_is_a_problem_and_has_a_digest(models: Path, name: str, said: str) -> None:
    path = models / f"{name}.onnx"
    file = facts(path)
    assert file.problem is not None
    assert file.problem.startswith(f"model {path}: {said}")
    assert (file.path, file.card) == (path, None)
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "name",
    ["card_lies_about_image_size", "card_lies_about_latent_step", "float_output", "fails_when_drawing", "draws_twice_as_many"],
)
def test_a_file_that_breaks_its_promises_is_a_problem_when_it_is_read_or_else_when_it_draws(models: Path, name: str) -> None:
    path = models / f"{name}.onnx"
    file = facts(path)
    problem = file.problem or checked_drawing(path).problem
    assert problem is not None
    assert problem.startswith(f"model {path}")


def test_a_model_that_fails_when_it_draws_is_a_problem_without_times(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise ModelError("model x.onnx failed to draw: out of memory")

    monkeypatch.setattr(Generator, "generate", fail)
    drawing = checked_drawing(models / "tiny.onnx")
    assert (drawing.provider, drawing.timings) == (Provider.cpu, ())
    assert drawing.problem == "model x.onnx failed to draw: out of memory"


@pytest.mark.parametrize("contents", [b"", b"\x89PNG\r\n\x1a\n", bytes(1000)], ids=["empty", "picture", "zeros"])
def test_a_file_that_is_not_onnx_is_a_problem(empty_folder: Path, contents: bytes) -> None:
    Path("picture.onnx").write_bytes(contents)
    file = facts("picture.onnx")
    assert file.path == Path("picture.onnx")
    assert file.problem is not None
    assert file.problem.startswith("model picture.onnx")


@pytest.mark.parametrize("model", ["absent", "x" * 5000, "nul\0byte"])
def test_what_is_not_there_is_a_problem_and_nothing_else_is_known(empty_folder: Path, model: str) -> None:
    file = facts(model)
    assert file == ModelFacts(None, None, None, None, None, None, file.problem)
    assert file.problem is not None
    assert file.problem.startswith(f"no model {model}: expected a file, or the name of a bundled model (")


def test_a_provider_that_is_refused_is_a_problem(models: Path) -> None:
    drawing = checked_drawing(models / "tiny.onnx", Provider.cuda)
    assert (drawing.provider, drawing.timings) == (None, ())
    assert drawing.problem is not None
    assert drawing.problem.startswith("--provider cuda: this model is int8 and CUDA has no integer kernels")
