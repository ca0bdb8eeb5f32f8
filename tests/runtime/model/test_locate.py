"""Which file a model is: by name, by path, in the working folder, or the bundled one."""

import os
import re
from pathlib import Path

import pytest

import pocketgan_models
from pocketgan.errors import ModelError
from pocketgan.generator import Generator
from pocketgan.model.checked import DEFAULT_MODEL, LOCAL_MODEL, Location, locate_model

pytestmark = pytest.mark.usefixtures("empty_folder")


def refusal(model: str | Path) -> str:
    """Return what locating the model is refused with: one line."""
    with pytest.raises(ModelError) as caught:
        locate_model(model)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("model", "meant"), [("pockt", "pocket"), ("Pocket", "pocket"), ("ohter", "other"), ("pocket.onxx", "pocket")]
)
def test_a_name_that_is_nearly_one_is_answered_with_it(bundled_folder: Path, model: str, meant: str) -> None:
    (bundled_folder / "other.onnx").touch()
    assert refusal(model).endswith(f"(other, pocket); did you mean {meant}?")


def test_nothing_means_the_bundled_default(bundled_folder: Path) -> None:
    assert locate_model() == Location(bundled_folder / f"{DEFAULT_MODEL}.onnx", "bundled")


def test_a_name_means_the_bundled_model_of_that_name(bundled_folder: Path) -> None:
    (bundled_folder / "other.onnx").touch()
    assert locate_model("other") == Location(bundled_folder / "other.onnx", "bundled")


def test_a_name_means_the_bundled_model_even_where_a_file_is_called_so(bundled_folder: Path, empty_folder: Path) -> None:
    (empty_folder / DEFAULT_MODEL).touch()
    assert locate_model(DEFAULT_MODEL).path == bundled_folder / f"{DEFAULT_MODEL}.onnx"


def test_a_path_object_is_always_a_path(bundled_folder: Path, empty_folder: Path) -> None:
    (empty_folder / DEFAULT_MODEL).touch()
    assert locate_model(Path(DEFAULT_MODEL)) == Location(Path(DEFAULT_MODEL), "as named")


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_means_that_file(models: Path, kind: type[str] | type[Path]) -> None:
    assert locate_model(kind(models / "tiny.onnx")) == Location(models / "tiny.onnx", "as named")


@pytest.mark.parametrize("model", ["absent", "absent.onnx", "absent/model.onnx", Path("absent"), "x" * 5000, "nul\0byte"])
def test_what_is_neither_a_file_nor_a_name_is_refused_with_the_names(bundled_folder: Path, model: str | Path) -> None:
    (bundled_folder / "other.onnx").touch()
    assert refusal(model) == f"no model {model}: expected a file, or the name of a bundled model (other, pocket)"


def test_a_model_in_the_working_folder_comes_before_the_bundled_one(
    bundled_folder: Path, empty_folder: Path, models: Path
) -> None:
    (empty_folder / "model.onnx").write_bytes((models / "tiny.onnx").read_bytes())
    location = locate_model()
    assert (location.path, location.reason) == (LOCAL_MODEL, "found in this folder")


def test_a_model_that_is_named_comes_before_the_one_in_the_working_folder(
    bundled_folder: Path, empty_folder: Path, models: Path
) -> None:
    (empty_folder / "model.onnx").write_bytes((models / "tiny.onnx").read_bytes())
    assert locate_model(DEFAULT_MODEL) == Location(bundled_folder / f"{DEFAULT_MODEL}.onnx", "bundled")


def refused_default() -> str:
    """Return what the model that is taken when nothing is named is refused with: one line."""
    with pytest.raises(ModelError) as caught:
        Generator.load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ("no_card", "it has no pocketgan model card"),
        ("external_initializer", "it keeps weights in another file (external data)"),
        ("card_of_schema_2", "the model card has schema 2"),
        ("card_lies_about_image_size", "it has the outputs"),
        (b"", "it is empty"),
        (b"some other file", "not an ONNX file"),
        (None, "it cannot be read (it is a folder, not a file)"),
    ],
)
def test_what_lies_in_the_working_folder_is_never_passed_over(
    bundled_folder: Path, empty_folder: Path, models: Path, contents: str | bytes | None, said: str
) -> None:
    if contents is None:
        (empty_folder / "model.onnx").mkdir()
    else:
        contents = (models / f"{contents}.onnx").read_bytes() if isinstance(contents, str) else contents
        (empty_folder / "model.onnx").write_bytes(contents)
    message = refused_default()
    assert message.startswith(f"model model.onnx: {said}")
    assert message.endswith("choose another, such as --model pocket, or export or copy this one again")


def test_nor_is_a_link_that_leads_nowhere(bundled_folder: Path, empty_folder: Path) -> None:
    (empty_folder / "model.onnx").symlink_to("absent.onnx")
    assert refused_default().startswith("model model.onnx: it cannot be read (No such file or directory)")


def test_a_working_folder_that_may_not_be_searched_is_named(
    bundled_folder: Path, empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "lstat", refuse)
    assert refused_default().startswith("cannot look for model.onnx in the current folder (Permission denied): name a model")


@pytest.mark.parametrize("model", [None, "pocket"])
def test_a_package_in_an_archive_says_why_there_is_no_model(
    bundled_folder: Path, monkeypatch: pytest.MonkeyPatch, model: str | None
) -> None:
    monkeypatch.setattr(pocketgan_models, "_FOLDER", bundled_folder / "archive.zip" / "pocketgan_models")
    with pytest.raises(ModelError, match=r"^no model .*: the bundled models cannot be opened there: unpack"):
        locate_model(model)


def test_a_package_without_its_model_says_what_to_do(bundled_folder: Path) -> None:
    (bundled_folder / f"{DEFAULT_MODEL}.onnx").unlink()
    assert re.fullmatch(r"model .*pocket\.onnx: it cannot be read \(No such file .*\): expected an .*", refused_default())
