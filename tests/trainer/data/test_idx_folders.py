"""Folders of IDX files of the user's own: MNIST's layout, EMNIST's, and what does not fit."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from image_data import different_images, write_idx
from numpy.typing import NDArray

from pocketgan_trainer.data.images import facts_of, load_training_images
from pocketgan_trainer.errors import DataError

IMAGES = different_images(260)


def write_emnist(folder: Path, split: str, labels: list[int], suffix: str = ".gz") -> None:
    """Write the images as EMNIST stores them, column by column, with labels in turn."""
    write_idx(folder / f"emnist-{split}-train-images-idx3-ubyte{suffix}", np.ascontiguousarray(IMAGES.transpose(0, 2, 1)))
    write_idx(folder / f"emnist-{split}-train-labels-idx1-ubyte{suffix}", np.resize(np.array(labels, np.uint8), 260))


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_training_images(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("spelling", ["{}-idx{}-ubyte", "{}.idx{}-ubyte.gz"])
def test_images_and_labels_come_back(tmp_path: Path, spelling: str) -> None:
    folder = tmp_path / "Own Signs"
    folder.mkdir()
    write_idx(folder / spelling.format("train-images", 3), IMAGES)
    write_idx(folder / spelling.format("train-labels", 1), np.resize(np.array([7, 3, 12], np.uint8), 260))
    loaded = load_training_images(str(folder))
    assert (loaded.name, loaded.classes) == ("own-signs", ("3", "7", "12"))
    np.testing.assert_array_equal(loaded.images, IMAGES)
    assert loaded.labels is not None
    assert loaded.labels.dtype == np.int64
    assert loaded.labels[:4].tolist() == [1, 0, 2, 1]


def test_without_labels_there_are_no_classes(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte", IMAGES)
    loaded = load_training_images(str(tmp_path))
    assert loaded.labels is None
    assert loaded.classes == ()
    assert any(note.startswith("There are no labels") for note in loaded.notes)


def test_one_file_of_images_may_be_given(tmp_path: Path) -> None:
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", IMAGES)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", np.zeros(260, np.uint8))
    loaded = load_training_images(str(tmp_path / "t10k-images-idx3-ubyte.gz"))
    assert loaded.classes == ("0",)
    np.testing.assert_array_equal(loaded.images, IMAGES)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_emnist_is_turned_upright_and_named_by_its_mapping(tmp_path: Path, suffix: str) -> None:
    write_emnist(tmp_path, "letters", [1, 2, 26], suffix)
    (tmp_path / "emnist-letters-mapping.txt").write_text("1 65 97\n2 66 98\n26 90 122\n")
    loaded = load_training_images(str(tmp_path))
    assert (loaded.name, loaded.classes) == ("emnist-letters", ("A", "B", "Z"))
    np.testing.assert_array_equal(loaded.images, IMAGES)
    assert loaded.labels is not None
    assert loaded.labels[:4].tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("split", "labels", "classes"),
    [
        ("letters", [1, 26], ("A", "Z")),
        ("balanced", [0, 10, 36, 46], ("0", "A", "a", "t")),
        ("bymerge", [9, 35, 45], ("9", "Z", "r")),
        ("byclass", [0, 10, 36, 61], ("0", "A", "a", "z")),
        ("digits", [3, 4], ("3", "4")),
        ("unheard", [3, 4], ("3", "4")),
    ],
)
def test_emnist_is_named_without_its_mapping_too(tmp_path: Path, split: str, labels: list[int], classes: tuple[str, ...]) -> None:
    write_emnist(tmp_path, split, labels)
    assert load_training_images(str(tmp_path)).classes == classes


@pytest.mark.parametrize("mapping", [b"1 A\n", b"1\n", b"\xff\xfe", b"1 99999999999\n"])
def test_a_mapping_that_is_none_is_named(tmp_path: Path, mapping: bytes) -> None:
    write_emnist(tmp_path, "letters", [1, 2])
    (tmp_path / "emnist-letters-mapping.txt").write_bytes(mapping)
    assert "emnist-letters-mapping.txt cannot be read" in refusal(tmp_path)


def test_of_several_splits_of_emnist_one_must_be_chosen(tmp_path: Path) -> None:
    write_emnist(tmp_path, "letters", [1, 2])
    write_emnist(tmp_path, "digits", [1, 2])
    assert (
        "holds images of 2 data sets (emnist-digits-train-images-idx3-ubyte.gz, emnist-letters-train-images-idx3-ubyte.gz): "
        "expected one; give the path of one of these files"
    ) in refusal(tmp_path)
    chosen = load_training_images(str(tmp_path / "emnist-letters-train-images-idx3-ubyte.gz"))
    assert chosen.name == "emnist-letters"
    np.testing.assert_array_equal(chosen.images, IMAGES)


@pytest.mark.parametrize("name", ["train-labels-idx1-ubyte.gz", "labels-idx1-ubyte", "emnist-digits-train-labels-idx1-ubyte.gz"])
def test_labels_without_images_are_refused(tmp_path: Path, name: str) -> None:
    write_idx(tmp_path / name, np.zeros(300, np.uint8))
    assert f"{name} holds labels, but {name.replace('labels', 'images').replace('idx1', 'idx3')} is not beside it" in refusal(
        tmp_path
    )


def test_labels_of_another_number_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte", IMAGES)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(259, np.uint8))
    assert "holds 259 labels for the 260 images of train-images-idx3-ubyte" in refusal(tmp_path)


def test_files_of_another_shape_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte", IMAGES)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros((260, 2), np.uint8))
    assert "holds values of shape [260, 2]: expected labels [N]" in refusal(tmp_path)
    write_idx(tmp_path / "train-images-idx3-ubyte", IMAGES[:, 0])
    assert "holds images uint8 [260, 28]: expected grey uint8 [N, H, W]" in refusal(tmp_path)


def write_idx_of(path: Path, code: int, values: NDArray[np.integer]) -> None:
    """Write whole numbers of another size than a byte, gzipped."""
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    path.write_bytes(gzip.compress(bytes([0, 0, code, values.ndim]) + sizes + values.tobytes(), compresslevel=1))


def test_of_qmnist_the_first_column_of_labels_is_the_digit(tmp_path: Path) -> None:
    write_idx(tmp_path / "qmnist-train-images-idx3-ubyte.gz", IMAGES)
    write_idx(tmp_path / "qmnist-test-images-idx3-ubyte.gz", IMAGES[:5])
    labels = np.stack([np.arange(260) % 10, *[np.full(260, 99)] * 7], axis=1)
    write_idx_of(tmp_path / "qmnist-train-labels-idx2-int.gz", 0x0C, labels.astype(">i4"))
    for data in (tmp_path, tmp_path / "qmnist-train-images-idx3-ubyte.gz"):
        loaded = load_training_images(str(data))
        assert (loaded.name, loaded.classes) == ("qmnist", tuple("0123456789"))
        assert loaded.labels is not None
        assert loaded.labels[:3].tolist() == [0, 1, 2]


def test_labels_may_take_more_than_a_byte(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte", IMAGES)
    write_idx_of(tmp_path / "train-labels-idx1-short", 0x0B, np.resize(np.array([7, 300]), 260).astype(">i2"))
    assert load_training_images(str(tmp_path)).classes == ("7", "300")


def test_infinite_mnist_calls_its_images_patterns(tmp_path: Path) -> None:
    write_idx(tmp_path / "mnist60k-patterns-idx3-ubyte", IMAGES)
    write_idx(tmp_path / "mnist60k-labels-idx1-ubyte", np.resize(np.array([7, 3], np.uint8), 260))
    assert load_training_images(str(tmp_path)).classes == ("3", "7")


def test_files_may_lie_in_folders_named_like_them(tmp_path: Path) -> None:
    for name, values in (("images-idx3", IMAGES), ("labels-idx1", np.resize(np.array([7, 3], np.uint8), 260))):
        (tmp_path / "own" / f"train-{name}-ubyte").mkdir(parents=True)
        write_idx(tmp_path / "own" / f"train-{name}-ubyte" / f"train-{name.replace('-', '.')}-ubyte", values)
    loaded = load_training_images(str(tmp_path / "own"))
    assert (loaded.name, loaded.classes) == ("own", ("3", "7"))


def test_torchvision_s_folder_is_named_by_the_one_above(tmp_path: Path) -> None:
    (tmp_path / "data" / "FashionMNIST" / "raw").mkdir(parents=True)
    write_idx(tmp_path / "data" / "FashionMNIST" / "raw" / "train-images-idx3-ubyte", IMAGES)
    assert load_training_images(str(tmp_path / "data")).name == "fashionmnist"
    (tmp_path / "data" / "SVHN" / "raw").mkdir(parents=True)
    write_idx(tmp_path / "data" / "SVHN" / "raw" / "train-images-idx3-ubyte", IMAGES)
    assert "holds IDX files of 2 data sets, in" in refusal(tmp_path / "data")


@pytest.mark.parametrize(
    ("split", "labels", "class_labels"),
    [("letters", [1, 2, 26], (1, 2, 26)), ("balanced", [0, 10, 36], (0, 10, 36)), ("digits", [3, 8], None)],
)
def test_numbers_of_named_classes_are_kept(
    tmp_path: Path, split: str, labels: list[int], class_labels: tuple[int, ...] | None
) -> None:
    write_emnist(tmp_path, split, labels)
    loaded = load_training_images(str(tmp_path))
    assert loaded.class_labels == class_labels
    assert facts_of(loaded, str(tmp_path), False).class_labels == class_labels
