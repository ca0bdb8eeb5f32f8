"""Reading IDX files: the real ones, one written by hand, and damage of every kind."""

import gzip
import hashlib
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketgan_trainer.data.array_files import ArrayHeader
from pocketgan_trainer.data.idx import read_idx
from pocketgan_trainer.data.source import LARGEST_CONTENTS
from pocketgan_trainer.errors import DataError

REAL_NAMES = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def refusal(path: Path) -> str:
    """Return what reading `path` is refused with: one line that names the file."""
    with pytest.raises(DataError) as caught:
        read_idx(path)
    message = str(caught.value)
    assert message.startswith(f"{path} ")
    assert "\n" not in message
    return message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "digits"


def test_a_written_file_comes_back(path: Path, small_idx: bytes, small_images: NDArray[np.uint8]) -> None:
    path.write_bytes(small_idx)
    values = read_idx(path).values
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values, small_images)


def test_gzip_is_known_by_its_bytes_not_by_its_name(tmp_path: Path, small_idx: bytes, small_images: NDArray[np.uint8]) -> None:
    misnamed_gzip, misnamed_plain = tmp_path / "digits", tmp_path / "digits.gz"
    misnamed_gzip.write_bytes(gzip.compress(small_idx))
    misnamed_plain.write_bytes(small_idx)
    np.testing.assert_array_equal(read_idx(misnamed_gzip).values, small_images)
    np.testing.assert_array_equal(read_idx(misnamed_plain).values, small_images)


def test_the_digest_is_of_the_uncompressed_contents(path: Path, small_idx: bytes) -> None:
    path.write_bytes(gzip.compress(small_idx))
    assert read_idx(path).sha256 == hashlib.sha256(small_idx).hexdigest()


def test_values_can_be_written_to(path: Path, small_idx: bytes) -> None:
    path.write_bytes(small_idx)
    assert read_idx(path).values.flags.writeable  # torch warns of arrays that are not


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_one_to_three_dimensions_are_read(path: Path, dimensions: int) -> None:
    path.write_bytes(bytes([0, 0, 8, dimensions]) + bytes([0, 0, 0, 2]) * dimensions + bytes(2**dimensions))
    assert read_idx(path).values.shape == (2,) * dimensions


@pytest.mark.parametrize(("code", "kind"), [("08", "u1"), ("09", "i1"), ("0b", ">i2"), ("0c", ">i4")])
def test_whole_numbers_of_every_size_are_read(path: Path, code: str, kind: str) -> None:
    expected = np.array([[1, 2], [100, 3]], dtype=kind)
    path.write_bytes(bytes.fromhex(f"0000{code}02 00000002 00000002") + expected.tobytes())
    values = read_idx(path).values
    np.testing.assert_array_equal(values, expected)
    assert values.dtype == expected.dtype


def test_the_header_can_be_refused_before_values_are_read(path: Path, small_idx: bytes) -> None:
    path.write_bytes(small_idx[:-1])

    def refuse(header: ArrayHeader, where: Path) -> None:
        raise DataError(f"{where} has shape {header.shape}")

    with pytest.raises(DataError, match=r"digits has shape \(3, 4, 5\)"):
        read_idx(path, refuse)


@pytest.mark.parametrize("name", REAL_NAMES)
def test_the_real_files_are_the_same_plain_and_gzipped(bundled: Path, tmp_path: Path, name: str) -> None:
    compressed = bundled / f"{name}.gz"
    with gzip.open(compressed) as source, (tmp_path / name).open("wb") as target:
        shutil.copyfileobj(source, target)
    from_gzip, from_plain = read_idx(compressed), read_idx(tmp_path / name)
    assert from_gzip.sha256 == from_plain.sha256
    np.testing.assert_array_equal(from_gzip.values, from_plain.values)


def test_a_missing_file_is_refused(path: Path) -> None:
    assert "does not exist" in refusal(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("contents", [b"", gzip.compress(b"")], ids=["plain", "gzip"])
def test_an_empty_file_is_refused(path: Path, contents: bytes) -> None:
    path.write_bytes(contents)
    assert "is empty" in refusal(path)


@pytest.mark.parametrize("kept", [2, 9, 20, -1])
def test_a_gzip_that_breaks_off_is_refused(path: Path, small_idx: bytes, kept: int) -> None:
    path.write_bytes(gzip.compress(small_idx)[:kept])
    assert "is truncated: its gzip stream breaks off" in refusal(path)


@pytest.mark.parametrize("position", [0.25, 0.9999])
def test_a_gzip_with_one_wrong_byte_is_refused(bundled: Path, path: Path, position: float) -> None:
    contents = bytearray((bundled / "t10k-labels-idx1-ubyte.gz").read_bytes())
    contents[int(position * len(contents))] ^= 0xFF
    path.write_bytes(contents)
    assert "is corrupt" in refusal(path)


@pytest.mark.parametrize("magic", ["00000d03", "00000800", "00000804", "01000803", "1f"])
def test_a_wrong_magic_is_refused_and_shown(path: Path, small_idx: bytes, magic: str) -> None:
    path.write_bytes(bytes.fromhex(magic) + (small_idx[4:] if len(magic) == 8 else b""))
    message = refusal(path)
    assert f"begins with 0x{magic}, expected 0x00000801 to 0x00000803, or 09, 0b or 0c in place of 08" in message


@pytest.mark.parametrize("is_gzip", [False, True])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda idx: idx[:11], "ends within its header, after 11 of 16 bytes"),
        (lambda idx: idx[:-1], "is truncated: 59 bytes of values uncompressed, expected 60 for 3x4x5"),
        (lambda idx: idx + b"\0", "has trailing bytes: more than 60 bytes of values uncompressed, expected 60 for 3x4x5"),
    ],
    ids=["short header", "missing value", "trailing byte"],
)
def test_a_file_of_another_length_is_refused(
    path: Path, small_idx: bytes, change: Callable[[bytes], bytes], reason: str, is_gzip: bool
) -> None:
    contents = change(small_idx)
    path.write_bytes(gzip.compress(contents) if is_gzip else contents)
    assert reason in refusal(path)


def test_a_header_that_claims_gigabytes_is_refused(path: Path, small_idx: bytes) -> None:
    path.write_bytes(small_idx[:4] + b"\xff" * 12 + small_idx[16:])
    message = refusal(path)
    assert f"claims {(2**32 - 1) ** 3} bytes for its values: expected at most {LARGEST_CONTENTS:,}" in message


def test_a_dimension_of_nothing_is_refused(path: Path) -> None:
    path.write_bytes(bytes.fromhex("00000803 00000000 ffffffff ffffffff"))
    assert "holds no values: its header says 0x4294967295x4294967295" in refusal(path)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: bytes.fromhex("00000801 3b9aca00") + bytes(100), "100 bytes of values uncompressed, expected 1000000000"),
        (lambda: gzip.compress(bytes.fromhex("00000801 06000000") + bytes(0x06000000), 1)[:-8] + bytes(8), "is corrupt"),
        (lambda: gzip.compress(bytes.fromhex("00000801 0000000a") + bytes(64 * 2**20), 1), "has trailing bytes: more than 10"),
    ],
    ids=["lying header", "damaged near its end", "gzip bomb"],
)
def test_a_file_that_is_refused_takes_little_memory(path: Path, make: Callable[[], bytes], reason: str) -> None:
    path.write_bytes(make())
    tracemalloc.start()
    message = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reason in message
    assert peak < 8 * 2**20


def test_a_named_pipe_says_what_it_is(path: Path) -> None:
    os.mkfifo(path)
    assert "cannot be read (it is a named pipe, not a file)" in refusal(path)
