"""Data sets known by name: found, downloaded and checked, and recognised by their contents in any folder."""

import gzip
import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from fake_mirror import FakeMirror
from image_data import different_images, idx_bytes, write_idx

from pocketgan_trainer.data import published as published_sets
from pocketgan_trainer.data.images import TrainingImages, load_training_images
from pocketgan_trainer.data.published import FASHION_MNIST, KMNIST, KNOWN, KnownDataSet, PublishedFile
from pocketgan_trainer.errors import DataError, DownloadError

IMAGES = different_images(300)
LABELS = np.arange(300, dtype=np.uint8) % 10
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")


def published(name: str, values: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], is_contents_known: bool) -> PublishedFile:
    contents = idx_bytes(values)
    archive = gzip.compress(contents, mtime=0)
    contents_sha256 = hashlib.sha256(contents).hexdigest() if is_contents_known else ""
    return PublishedFile(name, contents_sha256, hashlib.sha256(archive).hexdigest())


def with_small_files(known: KnownDataSet, mirrors: tuple[str, ...] = ()) -> KnownDataSet:
    """Return the data set as if the 300 images above had been published."""
    is_contents_known = bool(known.images.contents_sha256)
    images, labels = published(NAMES[0], IMAGES, is_contents_known), published(NAMES[1], LABELS, is_contents_known)
    return replace(known, images=images, labels=labels, mirrors=mirrors)


def write_published(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, values in zip(NAMES, (IMAGES, LABELS), strict=True):
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(values), mtime=0))


def check_images(loaded: TrainingImages, known: KnownDataSet) -> None:
    assert (loaded.name, loaded.classes, loaded.notes) == (known.name, known.classes, ())
    np.testing.assert_array_equal(loaded.images, IMAGES)
    assert loaded.labels is not None
    assert loaded.labels.dtype == np.int64
    np.testing.assert_array_equal(loaded.labels, LABELS)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, still to be made, of a machine without Debian's package."""
    monkeypatch.setattr(published_sets, "DEBIAN_FOLDER", tmp_path / "debian")
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "pocketgan"


@pytest.fixture(params=[FASHION_MNIST, KMNIST], ids=lambda known: known.name)
def known(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, cache: Path) -> KnownDataSet:
    """A known data set of 300 images and without mirrors."""
    small = with_small_files(request.param)
    monkeypatch.setitem(KNOWN, small.name, small)
    return small


@pytest.mark.parametrize("data", [None, "mnist"])
def test_mnist_is_the_training_digits(data: str | None) -> None:
    loaded = load_training_images(data)
    assert (loaded.name, loaded.classes, loaded.notes) == ("mnist", tuple("0123456789"), ())
    assert loaded.images.shape == (60000, 28, 28)
    assert loaded.labels is not None
    assert loaded.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert len(loaded) == 60000


def test_a_folder_with_the_files_of_mnist_is_mnist_wherever_it_is(bundled: Path, tmp_path: Path) -> None:
    for name in NAMES:
        shutil.copy(bundled / f"{name}.gz", tmp_path / f"{name.replace('-idx', '.idx')}.gz")
    loaded = load_training_images(str(tmp_path))
    assert (loaded.name, loaded.classes, loaded.notes) == ("mnist", tuple("0123456789"), ())


def test_a_folder_with_the_files_of_a_known_data_set_is_that_data_set(tmp_path: Path, known: KnownDataSet) -> None:
    write_published(tmp_path / "own")
    check_images(load_training_images(str(tmp_path / "own")), known)


def test_a_folder_with_one_other_pixel_is_not_that_data_set(tmp_path: Path, known: KnownDataSet) -> None:
    changed = IMAGES.copy()
    changed[7, 14, 14] ^= 1
    folder = tmp_path / known.name
    folder.mkdir()
    write_idx(folder / f"{NAMES[0]}.gz", changed)
    write_idx(folder / f"{NAMES[1]}.gz", LABELS)
    loaded = load_training_images(str(folder))
    assert loaded.name == f"my-{known.name}"
    assert loaded.classes == tuple("0123456789")


def test_the_files_of_debian_are_used_where_they_are(cache: Path, tmp_path: Path, known: KnownDataSet) -> None:
    write_published(tmp_path / "debian" / known.name)
    check_images(load_training_images(known.name), known)
    assert not cache.exists()


def test_what_is_missing_is_downloaded_once(cache: Path, monkeypatch: pytest.MonkeyPatch, known: KnownDataSet) -> None:
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


def test_a_mirror_with_other_files_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch, known: KnownDataSet) -> None:
    with FakeMirror(b"an older release") as mirror:
        monkeypatch.setitem(KNOWN, known.name, replace(known, mirrors=(mirror.base,)))
        with pytest.raises(DownloadError, match=r"could not download train-images-idx3-ubyte\.gz"):
            load_training_images(known.name)


def test_a_changed_file_in_the_cache_is_named_and_how_to_mend_it(cache: Path, known: KnownDataSet) -> None:
    write_published(cache / known.name)
    write_idx(cache / known.name / f"{NAMES[1]}.gz", LABELS[::-1])
    with pytest.raises(
        DataError, match=rf"{NAMES[1]}\.gz is not {known.name}'s {NAMES[1]}\.gz: .* delete that file and run again"
    ):
        load_training_images(known.name)


def test_a_published_data_set_gets_another_size_but_no_other_layout(tmp_path: Path, known: KnownDataSet) -> None:
    write_published(tmp_path / "own")
    loaded = load_training_images(str(tmp_path / "own"), 32, like_mnist=True)
    assert loaded.images.shape == (300, 32, 32)
    assert loaded.notes == (
        "All 300 images are 28x28 (grey); they were made grey images of 32x32.",
        f"{known.name} is a published data set, whose layout --like-mnist leaves as it is.",
    )
