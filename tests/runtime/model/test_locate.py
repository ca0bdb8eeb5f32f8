"""Which file `model` refers to: a bundled model, a path, model.onnx in the working folder, or the default model."""

import os
import re
from pathlib import Path

import pytest

import pocketgan_models
from pocketgan.errors import ModelError
from pocketgan.generator import Generator
from pocketgan.model.checked import DEFAULT_MODEL, LOCAL_MODEL, Location, locate_model

pytestmark = pytest.mark.usefixtures("empty_folder")


@pytest.fixture
def folder(bundled_folder: Path) -> Path:
    """The folder of bundled models: the default one and `other`."""
    (bundled_folder / "other.onnx").touch()
    return bundled_folder


@pytest.mark.parametrize("model", [None, "other", DEFAULT_MODEL])
def test_a_bundled_model_is_found_by_name_and_by_default(folder: Path, model: str | None) -> None:
    assert locate_model(model) == Location(folder / f"{model or DEFAULT_MODEL}.onnx", "bundled")


def test_the_name_of_a_bundled_model_takes_precedence_over_a_file(folder: Path, empty_folder: Path) -> None:
    (empty_folder / DEFAULT_MODEL).touch()
    assert locate_model(DEFAULT_MODEL).path == folder / f"{DEFAULT_MODEL}.onnx"
    assert locate_model(Path(DEFAULT_MODEL)) == Location(Path(DEFAULT_MODEL), "as named")


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_refers_to_that_file(models: Path, kind: type[str] | type[Path]) -> None:
    assert locate_model(kind(models / "tiny.onnx")) == Location(models / "tiny.onnx", "as named")


def test_a_model_in_the_working_folder_is_the_default_but_a_named_model_takes_precedence(
    folder: Path, empty_folder: Path, models: Path
) -> None:
    (empty_folder / "model.onnx").write_bytes((models / "tiny.onnx").read_bytes())
    assert locate_model()[:2] == (LOCAL_MODEL, "found in this folder")
    assert locate_model(DEFAULT_MODEL).path == folder / f"{DEFAULT_MODEL}.onnx"


@pytest.mark.parametrize(
    ("model", "suggestion"),
    [
        *((model, "") for model in ("absent", "absent.onnx", "absent/model.onnx", Path("absent"), "x" * 5000, "nul\0byte")),
        ("pockt", "pocket"),
        ("Pocket", "pocket"),
        ("ohter", "other"),
        ("pocket.onxx", "pocket"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_an_unknown_model_is_refused_with_the_names_and_a_suggestion(model: str | Path, suggestion: str) -> None:
    with pytest.raises(ModelError) as caught:
        locate_model(model)
    question = f"; did you mean {suggestion}?" if suggestion else ""
    expected = f"no model {model}: expected a file, or the name of a bundled model (other, pocket){question}"
    assert str(caught.value) == expected


def default_refusal() -> str:
    """Return the one-line error for the default model."""
    with pytest.raises(ModelError) as caught:
        Generator.load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unusable_model_in_the_working_folder_is_not_skipped(folder: Path, empty_folder: Path, models: Path) -> None:
    path = empty_folder / "model.onnx"
    for name, message in {
        "no_card": "it has no pocketgan model card",
        "external_initializer": "it keeps weights in another file (external data)",
        "card_lies_about_image_size": "it has the outputs",
    }.items():
        path.write_bytes((models / f"{name}.onnx").read_bytes())
        assert default_refusal().startswith(f"model model.onnx: {message}")
        assert default_refusal().endswith("choose another, such as --model pocket")
    path.unlink()
    path.mkdir()
    assert default_refusal().startswith("model model.onnx: it cannot be read (it is a folder, not a file)")
    path.rmdir()
    path.symlink_to("absent.onnx")
    assert default_refusal().startswith("model model.onnx: it cannot be read (No such file or directory)")


@pytest.mark.usefixtures("folder")
def test_a_working_folder_that_cannot_be_searched_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: Path) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "lstat", deny)
    assert default_refusal().startswith("cannot look for model.onnx in the current folder (Permission denied): name a model")


@pytest.mark.parametrize("model", [None, "pocket"])
def test_a_package_in_an_archive_has_no_models(folder: Path, monkeypatch: pytest.MonkeyPatch, model: str | None) -> None:
    monkeypatch.setattr(pocketgan_models, "_FOLDER", folder / "archive.zip" / "pocketgan_models")
    with pytest.raises(ModelError, match=r"^no model .*: the bundled models cannot be opened there: unpack"):
        locate_model(model)


def test_a_missing_default_model_is_refused(folder: Path) -> None:
    (folder / f"{DEFAULT_MODEL}.onnx").unlink()
    assert re.fullmatch(r"model .*pocket\.onnx: it cannot be read \(No such file .*\): expected an .*", default_refusal())
