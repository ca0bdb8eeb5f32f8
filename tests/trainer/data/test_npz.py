"""NPZ files of the user's own: what comes back, and what is refused."""

import os
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from image_data import different_images
from numpy.typing import NDArray

from pocketgan_trainer.data.images import load_training_images
from pocketgan_trainer.errors import DataError

IMAGES = different_images(220)
NUMBERS = np.resize(np.array([4, 2, 11], np.int32), 220)


def refusal(path: Path, named: str = "") -> str:
    with pytest.raises(DataError) as caught:
        load_training_images(str(path))
    assert str(caught.value).isprintable()
    assert (named or str(path)) in str(caught.value)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "Runes.npz"


@pytest.mark.parametrize(
    "names",
    [("images", "labels"), ("x_train", "y_train"), ("X_train", "y_train"), ("train_images", "train_labels"), ("arr_0", "arr_1")],
)
@pytest.mark.parametrize("is_deep", [False, True])
def test_images_and_numbers_come_back_under_the_names_of_public_data_sets(
    path: Path, names: tuple[str, str], is_deep: bool
) -> None:
    images, labels = (IMAGES[..., None], NUMBERS[:, None]) if is_deep else (IMAGES, NUMBERS)
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


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"digits": IMAGES}, "holds digits: expected arrays `images`"),
        ({"images": IMAGES.astype(np.float32)}, "holds images float32 [220, 28, 28]: expected grey uint8"),
        ({"images": np.stack([IMAGES] * 3, axis=-1)}, "holds images uint8 [220, 28, 28, 3]: expected grey uint8"),
        ({"images": IMAGES, "labels": NUMBERS[:-1]}, "has labels int32 [219]: expected one whole number or name for each of 220"),
        ({"images": IMAGES, "labels": np.zeros(220)}, "has labels float64 [220]"),
        ({"images": IMAGES, "labels": np.zeros((220, 10), int)}, "has labels int64 [220, 10]"),
        ({"images": IMAGES, "labels": np.array(["a", None] * 110)}, "`labels` holds Python objects, which can run code"),
        ({"images": np.array([None])}, "`images` holds Python objects, which can run code"),
    ],
)
def test_what_does_not_fit_is_refused(path: Path, arrays: dict[str, NDArray[np.generic]], reason: str) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    assert reason in refusal(path)


@pytest.mark.parametrize("contents", [b"", b"no zip file", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_npz_file_is_named(path: Path, contents: bytes) -> None:
    path.write_bytes(contents)
    assert "cannot be read as an NPZ file" in refusal(path)


def test_a_file_that_breaks_off_or_is_damaged_is_named(path: Path) -> None:
    np.savez(path, images=IMAGES)
    contents = bytearray(path.read_bytes())
    path.write_bytes(contents[:5000])
    assert "cannot be read as an NPZ file" in refusal(path)
    contents[5000] ^= 0xFF
    path.write_bytes(contents)
    assert "cannot be read as an NPZ file (`images` Bad CRC-32" in refusal(path)


def test_labels_may_have_a_file_of_their_own_as_kmnist_has_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "k49-train-imgs.npz", IMAGES)
    assert load_training_images(str(tmp_path / "k49-train-imgs.npz")).labels is None
    np.savez(tmp_path / "k49-train-labels.npz", NUMBERS)
    assert load_training_images(str(tmp_path / "k49-train-imgs.npz")).classes == ("2", "4", "11")
    np.savez(tmp_path / "k49-train-labels.npz", NUMBERS[1:])
    assert "k49-train-labels.npz has labels int32 [219]" in refusal(tmp_path / "k49-train-imgs.npz", "k49-train-labels.npz")


@pytest.mark.parametrize("kind", [">i2", "<u8", "i1"])
def test_labels_may_be_whole_numbers_of_any_kind(path: Path, kind: str) -> None:
    np.savez(path, images=IMAGES, labels=NUMBERS.astype(kind))
    loaded = load_training_images(str(path))
    assert loaded.classes == ("2", "4", "11")
    assert loaded.labels is not None
    assert loaded.labels.dtype == np.int64
    assert loaded.labels[:4].tolist() == [1, 0, 2, 1]


def npy(descr: str, shape: str, values: bytes = b"", version: bytes = b"\1\0") -> bytes:
    """Return an array as numpy writes it, with whatever its header says."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY" + version + len(header).to_bytes(2 if version == b"\1\0" else 4, "little") + header + values


GOOD = npy("'|u1'", "(220, 28, 28)", IMAGES.tobytes())


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"images": npy("'|u1'", f"({2**40}, 28, 28)")}, "holds 1,099,511,627,776 images: expected at most 1,048,576"),
        ({"images": npy("'|u1'", "(1, 32768, 32768)")}, "holds 1 image: expected at least 200"),
        (
            {"images": npy("'|u1'", "(1000, 2000, 2000)")},
            "claims 4000000000 bytes for the images: expected at most 1,073,741,824",
        ),
        ({"images": npy("'|u1'", "(-220, -28, 28)")}, "`images` holds uint8 [-220, -28, 28]"),
        ({"images": npy("'|u1'", "(220, 0, 28)")}, "holds images uint8 [220, 0, 28]"),
        ({"images": npy("'|u1'", f"({'1,' * 2000})", b"1")}, "holds images uint8 [1, 1, 1, 1, 1, 1, ...]"),
        ({"images": npy("'|b1'", "(220, 28, 28)")}, "holds images bool [220, 28, 28]"),
        ({"images": npy("[('a', '|u1')]", "(220, 28, 28)")}, "holds images [('a', 'u1')] [220, 28, 28]"),
        ({"images": npy("'|u1'", "(220, 28, 28)", bytes(9))}, "`images` has 84 bytes, expected 172555 by its header"),
        ({"images": GOOD + b"1"}, "`images` has 172556 bytes, expected 172555 by its header"),
        ({"images": npy("'|u1'", "(220, 28, 28)", version=b"\3\0")}, "`images` has version 3.0 of the array format"),
        ({"images": npy("'|u1'", "(220, 28, 28)" + " " * 10_000, version=b"\2\0")}, "cannot be read as an NPZ file (`images`"),
        ({"images": npy("'|u1'", "(" * 300 + ")" * 300)}, "cannot be read as an NPZ file (`images`"),
        ({"images": GOOD, "labels": npy("'<U268435456'", "(220,)")}, "bytes for the labels: expected at most 134,217,728"),
        ({"images": GOOD, "labels": npy("'<U0'", "(220,)")}, "has labels <U0 [220]"),
        ({"images": GOOD, "labels": npy("'<M8[s]'", "(220,)", bytes(1760))}, "has labels datetime64[s] [220]"),
        ({"images": GOOD, "labels": npy("'<U1'", "(220,)", b"\xff" * 880)}, "has labels that are no text"),
        ({"images": GOOD, "labels": npy("'|i1'", f"({2**28},)")}, "has labels int8 [268435456]: expected one whole number"),
    ],
)
def test_what_is_wrong_in_a_header_is_seen_before_anything_is_unpacked(
    path: Path, members: dict[str, bytes], reason: str
) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in members.items():
            archive.writestr(f"{name}.npy", contents)
    assert reason in refusal(path)


def test_blank_images_in_a_small_file_are_refused_before_they_are_unpacked(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", npy("'|u1'", "(90_000, 28, 28)", bytes(90_000 * 28**2)))
    assert "times its size: expected at most 200 times for that many images" in refusal(path)


def test_a_member_that_is_there_twice_is_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("images.npy", GOOD)
        archive.writestr("images.npy", GOOD)
    assert "`images` is there more than once" in refusal(path)


def test_a_member_compressed_in_another_way_is_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("images.npy", GOOD)
    assert "`images` is encrypted, or compressed in another way than numpy's" in refusal(path)


def test_more_members_than_memory_takes_are_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(20_000):
            archive.writestr(f"{index:010}", b"")
    assert "it lists too many members" in refusal(path)


def test_a_named_pipe_says_what_it_is(path: Path) -> None:
    os.mkfifo(path)
    assert "cannot be read as an NPZ file (it is a named pipe, not a file)" in refusal(path)
