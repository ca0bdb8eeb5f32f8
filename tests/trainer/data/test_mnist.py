"""Finding and checking MNIST: the real digits, and folders with everything that can be wrong with them."""

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

from pocketgan_trainer.data import published
from pocketgan_trainer.data.published import SPLITS, MnistSplit, PublishedFile, load_mnist
from pocketgan_trainer.errors import DataError, DownloadError

IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def refusal(folder: Path) -> str:
    """Return the one line with which the test split in `folder` is refused."""
    with pytest.raises(DataError) as caught:
        load_mnist(folder, "test")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def folder(bundled: Path, tmp_path: Path) -> Path:
    """A folder of the user's own with the test split, which a test may damage."""
    for name in (IMAGES, LABELS):
        shutil.copy(bundled / f"{name}.gz", tmp_path)
    return tmp_path


@dataclass(frozen=True)
class Installation:
    """What pip noted of an installed package."""

    direct_url: str | None

    def read_text(self, name: str) -> str | None:
        """Return one of pip's notes."""
        return {"direct_url.json": self.direct_url}[name]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of a machine without the checkout's files, still to be made."""
    monkeypatch.setattr(published, "BUNDLED_FOLDER", tmp_path / "not-in-a-wheel")
    monkeypatch.setattr(published, "distribution", lambda name: Installation(None))
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "pocketgan" / "mnist"


def test_the_training_digits_are_the_known_ones(bundled: Path) -> None:
    digits = load_mnist()
    assert digits.images.shape == (60000, 28, 28)
    assert digits.images.dtype == digits.labels.dtype == np.uint8
    assert len(digits) == 60000
    assert digits.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(digits.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def test_the_test_digits_are_the_known_ones(bundled: Path) -> None:
    digits = load_mnist(split="test")
    assert digits.images.shape == (10000, 28, 28)
    assert digits.labels[0] == 7
    assert np.bincount(digits.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_background_is_black_and_ink_is_white(bundled: Path) -> None:
    images = load_mnist(split="test").images
    assert images[:, 0].max() < images[:, 10:18, 10:18].max() == 255


@pytest.mark.parametrize("spelling", ["{}.gz", "{}", "dotted", "dotted.gz"])
def test_a_folder_may_use_any_of_the_usual_names(folder: Path, spelling: str) -> None:
    for name in (IMAGES, LABELS):
        published = folder / f"{name}.gz"
        contents = published.read_bytes()
        published.unlink()
        renamed = spelling.format(name).replace("dotted", name.replace("-idx", ".idx"))
        (folder / renamed).write_bytes(contents if renamed.endswith(".gz") else gzip.decompress(contents))
    digits, expected = load_mnist(folder, "test"), load_mnist(split="test")
    np.testing.assert_array_equal(digits.images, expected.images)
    np.testing.assert_array_equal(digits.labels, expected.labels)


def test_one_split_is_enough_for_itself(folder: Path) -> None:
    assert len(load_mnist(folder, "test")) == 10000
    with pytest.raises(DataError, match="lacks train-images-idx3-ubyte and train-labels-idx1-ubyte"):
        load_mnist(folder, "train")


def test_images_without_labels_name_the_absent_file(folder: Path) -> None:
    (folder / f"{LABELS}.gz").unlink()
    assert refusal(folder).startswith(f"{folder} lacks {LABELS};")


def test_labels_without_images_name_the_absent_file(folder: Path) -> None:
    (folder / f"{IMAGES}.gz").unlink()
    assert refusal(folder).startswith(f"{folder} lacks {IMAGES};")


def test_a_folder_that_is_none_is_refused(folder: Path) -> None:
    assert "does not exist; expected a folder that holds" in refusal(folder / "nowhere")
    assert "is a file; expected a folder that holds" in refusal(folder / f"{IMAGES}.gz")


def test_labels_of_another_count_are_refused(bundled: Path, folder: Path) -> None:
    shutil.copy(bundled / "train-labels-idx1-ubyte.gz", folder / f"{LABELS}.gz")
    assert f"{LABELS}.gz holds 60000 labels for the 10000 images of {IMAGES}.gz" in refusal(folder)


def test_images_of_another_size_are_refused(folder: Path, small_idx: bytes) -> None:
    (folder / f"{IMAGES}.gz").write_bytes(small_idx)
    assert f"{IMAGES}.gz holds values of shape (3, 4, 5), expected (N, 28, 28)" in refusal(folder)


def test_images_in_place_of_labels_are_refused(folder: Path) -> None:
    shutil.copy(folder / f"{IMAGES}.gz", folder / f"{LABELS}.gz")
    assert f"{LABELS}.gz holds values of shape (10000, 28, 28), expected (N,)" in refusal(folder)


@pytest.mark.parametrize("file", [SPLITS["test"].images, SPLITS["test"].labels], ids=["images", "labels"])
def test_other_data_of_the_same_shape_is_refused_with_both_digests(folder: Path, file: PublishedFile) -> None:
    path = folder / f"{file.name}.gz"
    contents = bytearray(gzip.decompress(path.read_bytes()))
    contents[-1] ^= 1
    path.write_bytes(gzip.compress(contents, compresslevel=1))
    message = refusal(folder)
    assert message.startswith(f"{path} is not MNIST's {file.name}: ")
    assert hashlib.sha256(contents).hexdigest() in message
    assert file.contents_sha256 in message
    assert "only MNIST itself is accepted for now" in message


def test_a_damaged_file_is_named(folder: Path) -> None:
    path = folder / f"{LABELS}.gz"
    path.write_bytes(path.read_bytes()[:1000])
    assert refusal(folder).startswith(f"{path} is truncated")


def test_the_readme_of_the_data_lists_the_digests_that_are_checked(bundled: Path) -> None:
    readme = (bundled / "README.md").read_text(encoding="utf-8")
    for split in SPLITS.values():
        for file in (split.images, split.labels):
            row = next(line for line in readme.splitlines() if f"`{file.name}.gz`" in line)
            assert file.contents_sha256 in row


def test_the_cache_is_used_where_the_checkout_has_no_digits(bundled: Path, cache: Path) -> None:
    shutil.copytree(bundled, cache)
    assert len(load_mnist(split="test")) == 10000


def test_a_damaged_cache_says_how_to_mend_it(bundled: Path, cache: Path) -> None:
    shutil.copytree(bundled, cache)
    shutil.copy(cache / "train-labels-idx1-ubyte.gz", cache / f"{LABELS}.gz")
    with pytest.raises(DataError, match="delete that file and run again, to have it downloaded"):
        load_mnist(split="test")


def test_what_the_cache_lacks_is_downloaded_once(bundled: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir(parents=True)
    shutil.copy(bundled / f"{IMAGES}.gz", cache)
    archive = (bundled / f"{LABELS}.gz").read_bytes()
    # The mirrors serve files that were compressed otherwise, which no test can fetch.
    labels = replace(SPLITS["test"].labels, archive_sha256=hashlib.sha256(archive).hexdigest())
    monkeypatch.setitem(SPLITS, "test", MnistSplit(SPLITS["test"].images, labels))
    with FakeMirror(archive) as mirror:
        monkeypatch.setattr(published, "MIRRORS", (mirror.base,))
        assert len(load_mnist(split="test")) == 10000
        assert len(load_mnist(split="test")) == 10000
    assert mirror.paths == [f"/{LABELS}.gz"]
    assert (cache / f"{LABELS}.gz").read_bytes() == archive


def test_without_checkout_cache_and_mirror_every_mirror_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeMirror(b"an older release") as outdated:
        mirrors = (f"{outdated.base}one/", f"{outdated.base}two/")
        monkeypatch.setattr(published, "MIRRORS", mirrors)
        with pytest.raises(DownloadError) as caught:
            load_mnist(split="test")
    for mirror in mirrors:
        assert f"{mirror}{IMAGES}.gz: " in str(caught.value)
    assert "--data DIR" in str(caught.value)


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
    shutil.copytree(bundled, cache)
    note = json.dumps({"url": "https://example.org/pocketgan-0.1.0-py3-none-any.whl", "archive_info": {}})
    monkeypatch.setattr(published, "distribution", lambda name: Installation(note))
    assert len(load_mnist(split="test")) == 10000
