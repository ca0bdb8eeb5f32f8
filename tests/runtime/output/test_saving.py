"""`pocketgan.save`: each ending is read back by a library that others wrote."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from pocketgan import OutputError, RequestError, save
from pocketgan.contact_sheet import contact_sheet

IMAGES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5) * 4
LABELS = [7, 1, 4]


def test_one_image_is_a_picture_and_several_are_a_sheet(tmp_path: Path) -> None:
    for name, images, expected in (
        ("one.png", IMAGES[1], IMAGES[1]),
        ("Three.PNG", IMAGES, np.asarray(contact_sheet(IMAGES))),
    ):
        save(images, tmp_path / name)
        with Image.open(tmp_path / name) as picture:
            assert picture.mode == "L"
            np.testing.assert_array_equal(np.asarray(picture), expected)


def test_an_animation_has_a_frame_for_each_image(tmp_path: Path) -> None:
    save(IMAGES, str(tmp_path / "three.gif"))
    with Image.open(tmp_path / "three.gif") as animation:
        frames = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(animation)]
    np.testing.assert_array_equal(frames, IMAGES)


@pytest.mark.parametrize(("name", "labels"), [("three.npy", None), ("three.npz", None), ("three.npz", LABELS)])
def test_arrays_keep_images_and_labels(tmp_path: Path, name: str, labels: list[int] | None) -> None:
    save(IMAGES, tmp_path / name, labels)
    loaded = np.load(tmp_path / name)
    images = loaded if name.endswith("npy") else loaded["images"]
    np.testing.assert_array_equal(images, IMAGES)
    assert (labels is not None) == ("labels" in getattr(loaded, "files", []))
    if labels is not None:
        assert loaded["labels"].tolist() == labels


@pytest.mark.parametrize(
    ("images", "name", "labels", "message"),
    [
        (IMAGES, "three.jpg", None, "expected a name that ends in one of .png, .gif, .npy, .npz"),
        (IMAGES / 255, "three.png", None, r"images are float64 \(3, 4, 5\): expected uint8"),
        (IMAGES[None], "three.png", None, r"images are uint8 \(1, 3, 4, 5\)"),
        (IMAGES[:0], "none.gif", None, r"images are uint8 \(0, 4, 5\)"),
        (IMAGES, "three.npz", LABELS[:2], r"labels of shape \(2,\) for .*three.npz: expected one for each image"),
        (IMAGES, "three.png", LABELS, "expected one for each image, in a .npz file"),
        (IMAGES[0], "one.npz", [7], "expected one for each image"),
        (IMAGES, "three.npz", ["a", None, 3], "expected one for each image"),
        (IMAGES, "three.npz", [[1], [2, 3], [4]], "these values cannot be made into an array"),
    ],
)
def test_what_cannot_be_saved_is_refused_and_leaves_no_file(
    tmp_path: Path, images: np.ndarray, name: str, labels: list[Any] | None, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        save(images, tmp_path / name, labels)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["one.png", "one.gif", "one.npy", "one.npz"])
def test_a_folder_that_does_not_exist_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*missing/one"):
        save(IMAGES, tmp_path / "missing" / name)
