"""NPZ files of the user's own: what comes back, and what is refused."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from image_data import different_images
from numpy.typing import NDArray

from pocketgan_trainer.data.training_images import load_training_images
from pocketgan_trainer.errors import DataError

IMAGES = different_images(220)
NUMBERS = np.resize(np.array([4, 2, 11], np.int32), 220)


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_training_images(str(path))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "Runes.npz"


@pytest.mark.parametrize("names", [("images", "labels"), ("x_train", "y_train")])
@pytest.mark.parametrize(("images", "labels"), [(IMAGES, NUMBERS), (IMAGES[..., None], NUMBERS[:, None])], ids=["flat", "deep"])
def test_images_and_numbers_come_back(
    path: Path, names: tuple[str, str], images: NDArray[np.uint8], labels: NDArray[np.int32]
) -> None:
    np.savez_compressed(path, **{names[0]: images, names[1]: labels, "x_test": np.zeros(3)})  # type: ignore[arg-type]
    loaded = load_training_images(str(path))
    assert (loaded.name, loaded.classes) == ("runes", ("2", "4", "11"))
    np.testing.assert_array_equal(loaded.images, IMAGES)
    assert loaded.labels is not None
    assert loaded.labels.dtype == np.int64
    assert loaded.labels[:4].tolist() == [1, 0, 2, 1]


@pytest.mark.parametrize("kind", ["U", "S"])
def test_labels_may_be_names(path: Path, kind: str) -> None:
    np.savez(path, images=IMAGES, labels=np.resize(np.array(["T-shirt/top", "bag"]).astype(kind), 220))
    loaded = load_training_images(str(path))
    assert loaded.classes == ("Tshirttop", "bag")
    assert loaded.labels is not None
    assert loaded.labels[:3].tolist() == [0, 1, 0]
    assert "Class names were reduced to ASCII letters and digits: T-shirt/top became Tshirttop." in loaded.notes


def test_without_labels_there_are_no_classes(path: Path) -> None:
    np.savez(path, images=np.asfortranarray(IMAGES))
    loaded = load_training_images(str(path))
    assert loaded.labels is None
    np.testing.assert_array_equal(loaded.images, IMAGES)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"digits": IMAGES}, "holds digits: expected arrays `images`"),
        ({"images": IMAGES.astype(np.float32)}, "holds images float32 [220, 28, 28]: expected grey uint8"),
        ({"images": np.stack([IMAGES] * 3, axis=-1)}, "holds images uint8 [220, 28, 28, 3]: expected grey uint8"),
        ({"images": IMAGES[:0]}, "holds images uint8 [0, 28, 28]"),
        ({"images": IMAGES, "labels": NUMBERS[:-1]}, "has labels int32 [219]: expected one whole number or name for each of 220"),
        ({"images": IMAGES, "labels": np.zeros(220)}, "has labels float64 [220]"),
        ({"images": IMAGES, "labels": np.zeros((220, 10), int)}, "has labels int64 [220, 10]"),
        ({"images": IMAGES, "labels": NUMBERS - 5}, "has labels from -3 on: expected whole numbers from 0 on"),
        ({"images": IMAGES, "labels": np.array(["a"] * 219 + ["a-"])}, "classes 'a' and 'a-', which are both a"),
        ({"images": IMAGES, "labels": np.array(["a", None] * 110)}, "holds Python objects in `labels`"),
        ({"images": np.array([None])}, "holds Python objects in `images`"),
        ({"images": np.zeros((1200, 28, 28), np.uint8), "labels": np.arange(1200)}, "has 1,200 classes: expected at most 1,000"),
    ],
)
def test_what_does_not_fit_is_refused(path: Path, arrays: dict[str, NDArray[np.generic]], told: str) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    assert told in refusal(path)


@pytest.mark.parametrize("contents", [b"", b"no zip file", b"PK\x03\x04 broken"])
def test_a_file_that_is_none_is_named(path: Path, contents: bytes) -> None:
    path.write_bytes(contents)
    assert "cannot be read as an NPZ file" in refusal(path)


def test_a_file_that_breaks_off_or_is_damaged_is_named(path: Path) -> None:
    np.savez(path, images=IMAGES)
    contents = bytearray(path.read_bytes())
    path.write_bytes(contents[:5000])
    assert "cannot be read as an NPZ file" in refusal(path)
    contents[5000] ^= 0xFF
    path.write_bytes(contents)
    assert "cannot be read as an NPZ file (Bad CRC-32" in refusal(path)


def test_a_header_that_claims_gigabytes_is_refused_before_they_are_allocated(path: Path) -> None:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({2**40}, 28, 28)}}".ljust(117) + "\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    assert "claims 862,017,116,176,384 bytes for `images`: expected at most 1,073,741,824" in refusal(path)
