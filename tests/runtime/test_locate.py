"""Which file a model is: by name, by path, in the working folder, or the bundled one."""

from pathlib import Path

import pytest

from pocketgan.errors import ModelError
from pocketgan.generator import Generator
from pocketgan.locate import DEFAULT_MODEL, LOCAL_MODEL, Location, locate_model

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
    assert locate_model() == Location(LOCAL_MODEL, "found in this folder")


def test_a_model_that_is_named_comes_before_the_one_in_the_working_folder(
    bundled_folder: Path, empty_folder: Path, models: Path
) -> None:
    (empty_folder / "model.onnx").write_bytes((models / "tiny.onnx").read_bytes())
    assert locate_model(DEFAULT_MODEL) == Location(bundled_folder / f"{DEFAULT_MODEL}.onnx", "bundled")


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ("no_card", "it has no model card"),
        ("external_initializer", "it keeps weights in another file (external data)"),
        (b"", "is empty"),
        (b"some other file", "not an ONNX file"),
    ],
)
def test_a_file_in_the_working_folder_that_is_not_ours_is_passed_over_with_a_reason(
    bundled_folder: Path, empty_folder: Path, models: Path, contents: str | bytes, said: str
) -> None:
    if isinstance(contents, str):
        contents = (models / f"{contents}.onnx").read_bytes()
    (empty_folder / "model.onnx").write_bytes(contents)
    location = locate_model()
    assert location.path == bundled_folder / f"{DEFAULT_MODEL}.onnx"
    assert location.reason.startswith("bundled; ./model.onnx passed over: ")
    assert said in location.reason


def test_a_folder_of_that_name_in_the_working_folder_is_passed_over(bundled_folder: Path, empty_folder: Path) -> None:
    (empty_folder / "model.onnx").mkdir()
    assert "is not a file" in locate_model().reason


def test_a_newer_model_in_the_working_folder_is_an_error_not_passed_over(
    bundled_folder: Path, empty_folder: Path, models: Path
) -> None:
    (empty_folder / "model.onnx").write_bytes((models / "card_of_schema_2.onnx").read_bytes())
    with pytest.raises(ModelError, match=r"^model model\.onnx: the model card has schema 2"):
        Generator.load()


def test_a_package_without_its_model_says_what_to_do(bundled_folder: Path) -> None:
    (bundled_folder / f"{DEFAULT_MODEL}.onnx").unlink()
    with pytest.raises(ModelError, match=r"cannot read model .*pocket\.onnx: No such file or directory; make one with gan-exp"):
        Generator.load()
