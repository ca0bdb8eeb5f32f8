"""NPY files: what numpy writes comes back, and damage and claims of their headers are refused."""

from pathlib import Path

import numpy as np
import pytest
from image_data import different_images
from numpy.typing import NDArray

from pocketgan_trainer.data.images import load_training_images
from pocketgan_trainer.errors import DataError

IMAGES = different_images(220)


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_training_images(str(path))
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("images", [IMAGES[..., None], np.asfortranarray(IMAGES)], ids=["deep", "fortran"])
def test_any_single_array_of_images_comes_back(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    np.save(tmp_path / "Runes.NPY.npy", images)
    loaded = load_training_images(str(tmp_path / "Runes.NPY.npy"))
    assert (loaded.name, loaded.labels) == ("runes-npy", None)
    np.testing.assert_array_equal(loaded.images, IMAGES)


def test_labels_of_another_number_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "my-images.npy", IMAGES)
    np.save(tmp_path / "my-labels.npy", np.arange(219))
    assert "my-labels.npy has labels int64 [219]: expected one whole number or name for each of 220" in refusal(
        tmp_path / "my-images.npy"
    )


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (IMAGES.astype(np.float32), "holds images float32 [220, 28, 28]: expected grey uint8"),
        (np.array([None]), "cannot be read as an NPY file (holds Python objects, which can run code)"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: NDArray[np.generic], reason: str) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    assert reason in refusal(tmp_path / "a.npy")


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
