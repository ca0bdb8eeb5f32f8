"""NPY files: what gan-gen and numpy write comes back, and damage and claims of their headers are refused."""

from pathlib import Path

import numpy as np
import pytest
from drawings import drain, drawing_of
from image_data import different_images
from numpy.typing import NDArray

from pocketgan import Generator
from pocketgan.output.arrays import npy_files
from pocketgan.request import Existing
from pocketgan_trainer.data.images import load_training_images
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate.sources import FixedSource, open_source

IMAGES = different_images(220)


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_training_images(str(path))
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_what_gan_gen_wrote_comes_back_with_its_labels_to_train_on_and_to_score(tmp_path: Path) -> None:
    drawing = drawing_of(Generator.load("pocket"), 200, names=("2", "7"))
    batches = list(drawing.batches(drawing.selection.indices))
    drain(npy_files(tmp_path, drawing).write(batches, Existing.refuse))
    drawn = np.concatenate([batch.images for batch in batches])
    for data in (tmp_path, tmp_path / "images.npy"):
        loaded = load_training_images(str(data))
        assert (loaded.name, loaded.classes) == (tmp_path.name.replace("_", "-"), ("2", "7"))
        np.testing.assert_array_equal(loaded.images, drawn)
        assert loaded.labels is not None
        assert loaded.labels[:3].tolist() == [0, 1, 0]
        source = open_source(str(data), threads=1)
        assert isinstance(source, FixedSource)
        assert source.labels is not None
        assert source.labels[:3].tolist() == [2, 7, 2]
        np.testing.assert_array_equal(source.images, drawn)


@pytest.mark.parametrize("images", [IMAGES[..., None], np.asfortranarray(IMAGES)], ids=["deep", "fortran"])
def test_any_single_array_of_images_comes_back(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    np.save(tmp_path / "Runes.NPY.npy", images)
    loaded = load_training_images(str(tmp_path / "Runes.NPY.npy"))
    assert (loaded.name, loaded.labels) == ("runes-npy", None)
    np.testing.assert_array_equal(loaded.images, IMAGES)


def test_labels_of_another_number_or_kind_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "my-images.npy", IMAGES)
    np.save(tmp_path / "my-labels.npy", np.arange(219))
    assert "my-labels.npy has labels int64 [219]: expected one whole number or name for each of 220" in refusal(
        tmp_path / "my-images.npy"
    )
    np.save(tmp_path / "my-labels.npy", np.zeros(220))
    assert "my-labels.npy has labels float64 [220]" in refusal(tmp_path / "my-images.npy")


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (IMAGES.astype(np.float32), "holds images float32 [220, 28, 28]: expected grey uint8"),
        (IMAGES[:199], "holds 199 images: expected at least 200"),
        (np.array([None]), "cannot be read as an NPY file (holds Python objects, which can run code)"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: NDArray[np.generic], reason: str) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    assert reason in refusal(tmp_path / "a.npy")


def test_a_header_that_claims_more_than_memory_takes_is_refused_before_values_are_read(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (1000, 2000, 2000)})
    assert "claims 4000000000 bytes for the images: expected at most 1,073,741,824" in refusal(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda contents: contents[:-1], "is truncated: 172479 bytes of values uncompressed, expected 172480"),
        (lambda contents: contents + b"1", "has trailing bytes"),
        (lambda contents: b"no array" + contents, "cannot be read as an NPY file (the magic string is not correct"),
        (lambda contents: b"", "cannot be read as an NPY file"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, change: object, reason: str) -> None:
    path = tmp_path / "a.npy"
    np.save(path, IMAGES)
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    message = refusal(path)
    assert message.startswith(f"{path} cannot be read as an NPY file (")
    assert reason in message
