"""Published data sets: found, downloaded and checked, and recognised by their contents in any folder."""

import gzip
import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from fake_mirror import FakeMirror
from image_data import different_images, idx_bytes, write_idx

from pocketgan_trainer.data import published
from pocketgan_trainer.data.images import TrainingImages, load_training_images
from pocketgan_trainer.data.published import (
    FASHION_MNIST,
    KMNIST,
    KNOWN,
    MNIST,
    PublishedDataSet,
    PublishedFile,
    load_mnist,
)
from pocketgan_trainer.errors import DataError, DownloadError

IMAGES = different_images(300)
LABELS = np.arange(300, dtype=np.uint8) % 10
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST_NAMES = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def small_file(name: str, values: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], is_contents_known: bool) -> PublishedFile:
    contents = idx_bytes(values)
    archive = gzip.compress(contents, mtime=0)
    contents_sha256 = hashlib.sha256(contents).hexdigest() if is_contents_known else ""
    return PublishedFile(name, contents_sha256, hashlib.sha256(archive).hexdigest())


def with_small_files(known: PublishedDataSet) -> PublishedDataSet:
    """Return the data set as if the 300 images above had been published, without mirrors."""
    is_contents_known = bool(known.splits["train"][0].contents_sha256)
    images, labels = (small_file(name, values, is_contents_known) for name, values in zip(NAMES, (IMAGES, LABELS), strict=True))
    return replace(known, splits={"train": (images, labels)}, mirrors=())


def write_published(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, values in zip(NAMES, (IMAGES, LABELS), strict=True):
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(values), mtime=0))


def check_images(loaded: TrainingImages, known: PublishedDataSet) -> None:
    assert (loaded.name, loaded.classes, loaded.notes) == (known.name, known.classes, ())
    np.testing.assert_array_equal(loaded.images, IMAGES)
    assert loaded.labels is not None
    assert loaded.labels.dtype == np.int64
    np.testing.assert_array_equal(loaded.labels, LABELS)


@dataclass(frozen=True)
class Installation:
    """What pip noted of an installed package."""

    direct_url: str | None

    def read_text(self, name: str) -> str | None:
        """Return one of pip's notes."""
        return {"direct_url.json": self.direct_url}[name]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, still to be made, of a machine without the checkout's files and Debian's package."""
    monkeypatch.setattr(published, "BUNDLED_FOLDER", tmp_path / "not-in-a-wheel" / "mnist")
    monkeypatch.setattr(published, "distribution", lambda name: Installation(None))
    monkeypatch.setattr(published, "DEBIAN_FOLDER", tmp_path / "debian")
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "pocketgan"


@pytest.fixture(params=[MNIST, FASHION_MNIST, KMNIST], ids=lambda known: known.name)
def known(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, cache: Path) -> PublishedDataSet:
    """A known data set of 300 images and without mirrors."""
    small = with_small_files(request.param)
    monkeypatch.setitem(KNOWN, small.name, small)
    return small


def test_mnist_has_the_known_digits() -> None:
    loaded = load_training_images("mnist")
    assert (loaded.name, loaded.classes, loaded.notes) == ("mnist", tuple("0123456789"), ())
    assert loaded.images.shape == (60000, 28, 28)
    assert loaded.labels is not None
    assert loaded.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    digits = load_mnist()
    np.testing.assert_array_equal(loaded.images, digits.images)
    assert digits.images.dtype == digits.labels.dtype == np.uint8
    assert np.bincount(digits.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def test_the_test_digits_are_the_known_ones_white_on_black() -> None:
    digits = load_mnist(split="test")
    assert digits.images.shape == (10000, 28, 28)
    assert digits.labels[0] == 7
    assert np.bincount(digits.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert digits.images[:, 0].max() < digits.images[:, 10:18, 10:18].max() == 255


def test_a_folder_with_the_files_of_a_known_data_set_is_that_data_set(tmp_path: Path, known: PublishedDataSet) -> None:
    write_published(tmp_path / "own")
    check_images(load_training_images(str(tmp_path / "own")), known)


def test_a_folder_with_one_other_pixel_is_not_that_data_set(tmp_path: Path, known: PublishedDataSet) -> None:
    changed = IMAGES.copy()
    changed[7, 14, 14] ^= 1
    folder = tmp_path / known.name
    folder.mkdir()
    write_idx(folder / f"{NAMES[0]}.gz", changed)
    write_idx(folder / f"{NAMES[1]}.gz", LABELS)
    loaded = load_training_images(str(folder))
    assert loaded.name == f"my-{known.name}"
    assert loaded.classes == tuple("0123456789")


def test_the_files_of_debian_are_used_where_they_are(cache: Path, tmp_path: Path, known: PublishedDataSet) -> None:
    write_published(tmp_path / "debian" / known.name)
    check_images(load_training_images(known.name), known)
    assert not cache.exists()


def test_what_is_missing_is_downloaded_once(cache: Path, monkeypatch: pytest.MonkeyPatch, known: PublishedDataSet) -> None:
    write_published(cache / known.name)
    archive = cache / known.name / f"{NAMES[1]}.gz"
    contents = archive.read_bytes()
    archive.unlink()
    with FakeMirror(contents) as mirror:
        monkeypatch.setitem(KNOWN, known.name, replace(known, mirrors=(mirror.base,)))
        check_images(load_training_images(known.name), known)
        check_images(load_training_images(known.name), known)
    assert mirror.paths == [f"/{NAMES[1]}.gz"]
    assert archive.read_bytes() == contents


def test_mirrors_with_other_files_are_refused_and_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch, known: PublishedDataSet
) -> None:
    with FakeMirror(b"an older release") as mirror:
        mirrors = (f"{mirror.base}one/", f"{mirror.base}two/")
        monkeypatch.setitem(KNOWN, known.name, replace(known, mirrors=mirrors))
        with pytest.raises(DownloadError, match=r"could not download train-images-idx3-ubyte\.gz") as caught:
            load_training_images(known.name)
    assert all(f"{mirror}{NAMES[0]}.gz: " in str(caught.value) for mirror in mirrors)


def test_a_changed_file_in_the_cache_is_named_and_how_to_mend_it(cache: Path, known: PublishedDataSet) -> None:
    write_published(cache / known.name)
    write_idx(cache / known.name / f"{NAMES[1]}.gz", LABELS[::-1])
    with pytest.raises(
        DataError, match=rf"{NAMES[1]}\.gz is not {known.name}'s {NAMES[1]}: its SHA-256 is .*; delete that file and run again"
    ):
        load_training_images(known.name)


def test_a_published_data_set_gets_another_size_but_no_other_layout(tmp_path: Path, known: PublishedDataSet) -> None:
    write_published(tmp_path / "own")
    loaded = load_training_images(str(tmp_path / "own"), 32, like_mnist=True)
    assert loaded.images.shape == (300, 32, 32)
    assert loaded.notes == (
        "All 300 images are 28x28 (grey); they were made grey images of 32x32.",
        f"{known.name} is a published data set, whose layout --like-mnist leaves as it is.",
    )


def refusal(folder: Path) -> str:
    """Return the one line with which the test split in `folder` is refused."""
    with pytest.raises(DataError) as caught:
        load_mnist(folder, "test")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def folder(bundled: Path, tmp_path: Path) -> Path:
    """A folder of the user's own with the test split, which a test may damage."""
    for name in TEST_NAMES:
        shutil.copy(bundled / f"{name}.gz", tmp_path)
    return tmp_path


@pytest.mark.parametrize("spelling", ["{}.gz", "{}", "dotted", "dotted.gz"])
def test_a_folder_may_use_any_of_the_usual_names(folder: Path, spelling: str) -> None:
    for name in TEST_NAMES:
        archive = folder / f"{name}.gz"
        contents = archive.read_bytes()
        archive.unlink()
        renamed = spelling.format(name).replace("dotted", name.replace("-idx", ".idx"))
        (folder / renamed).write_bytes(contents if renamed.endswith(".gz") else gzip.decompress(contents))
    digits, expected = load_mnist(folder, "test"), load_mnist(split="test")
    np.testing.assert_array_equal(digits.images, expected.images)
    np.testing.assert_array_equal(digits.labels, expected.labels)


def test_one_split_is_enough_for_itself(folder: Path) -> None:
    assert len(load_mnist(folder, "test")) == 10000
    with pytest.raises(DataError, match="lacks train-images-idx3-ubyte and train-labels-idx1-ubyte"):
        load_mnist(folder, "train")
    (folder / f"{TEST_NAMES[1]}.gz").unlink()
    assert refusal(folder).startswith(f"{folder} lacks {TEST_NAMES[1]};")


def test_a_folder_that_is_none_is_refused(folder: Path) -> None:
    assert "does not exist; expected a folder that holds" in refusal(folder / "nowhere")
    assert "is a file; expected a folder that holds" in refusal(folder / f"{TEST_NAMES[0]}.gz")


@pytest.mark.parametrize("file", MNIST.splits["test"], ids=["images", "labels"])
def test_other_data_of_the_same_shape_is_refused_with_both_digests(folder: Path, file: PublishedFile) -> None:
    path = folder / f"{file.name}.gz"
    contents = bytearray(gzip.decompress(path.read_bytes()))
    contents[-1] ^= 1
    path.write_bytes(gzip.compress(contents, compresslevel=1))
    message = refusal(folder)
    assert message.startswith(f"{path} is not mnist's {file.name}: ")
    assert hashlib.sha256(contents).hexdigest() in message
    assert file.contents_sha256 in message
    assert message.endswith("; give a folder with the original files, or leave out --data")


def test_the_readme_of_the_data_lists_the_digests_that_are_checked(bundled: Path) -> None:
    readme = (bundled / "README.md").read_text(encoding="utf-8")
    for split in MNIST.splits.values():
        for file in split:
            row = next(line for line in readme.splitlines() if f"`{file.name}.gz`" in line)
            assert file.contents_sha256 in row


def test_a_wheel_built_from_a_checkout_finds_the_digits_there(
    bundled: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "a check out"
    shutil.copytree(bundled, checkout / "trainer" / "pocketgan_trainer" / "data" / "mnist")
    note = json.dumps({"url": checkout.as_uri(), "dir_info": {}})
    monkeypatch.setattr(published, "distribution", lambda name: Installation(note))
    assert len(load_mnist(split="test")) == 10000
    assert not cache.exists()


def test_a_wheel_from_elsewhere_looks_for_no_checkout(bundled: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(bundled, cache / "mnist")
    note = json.dumps({"url": "https://example.org/pocketgan-0.1.0-py3-none-any.whl", "archive_info": {}})
    monkeypatch.setattr(published, "distribution", lambda name: Installation(note))
    assert len(load_mnist(split="test")) == 10000
