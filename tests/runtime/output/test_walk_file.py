"""The animation of a drawing: it walks through its first images, which are among the frames as they are drawn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import contents, drawing_of
from full_disk import small_files_only
from numpy.typing import NDArray
from PIL import Image

from pocketgan.drawing import Drawing
from pocketgan.errors import OutputError, RequestError
from pocketgan.generator import Generator
from pocketgan.output.walk import walk, write_walk

STEPS = 16


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "walk.gif"


def read(path: Path) -> NDArray[np.uint8]:
    """Return the frames of a GIF file of greys as they are shown: uint8 [n, H, W]."""
    frames = []
    with Image.open(path) as file:
        assert file.info["loop"] == 0
        for position in range(file.n_frames):  # type: ignore[attr-defined]
            file.seek(position)
            frames.append(np.asarray(file.convert("L")))
    return np.stack(frames)


def enlarged(images: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    return images.repeat(scale, axis=1).repeat(scale, axis=2)


def images_of(drawing: Drawing) -> NDArray[np.uint8]:
    return np.concatenate([batch.images for batch in drawing.batches(drawing.selection.indices)])


@pytest.mark.parametrize(
    ("options", "scale"),
    [
        ({}, 4),
        ({"count": 2}, 4),
        ({"count": 3, "start": 95, "seed": 4, "truncation": 0.3}, 4),
        ({"names": ("7", "7", "1")}, 4),
        ({"is_inverted": True}, 4),
        ({"height": 8}, 1),
        ({"height": 30}, 1),
        ({"height": 5, "is_inverted": True}, 1),
        ({"count": 4, "start": 7, "text": "2026"}, 4),
        ({"count": 4, "text": "42", "height": 12, "is_inverted": True, "truncation": 0.5}, 1),
    ],
    ids=str,
)
def test_the_images_are_among_the_frames_as_they_are_drawn(
    target: Path, conditional: Generator, options: dict[str, Any], scale: int
) -> None:
    drawing = drawing_of(conditional, **options)
    write_walk(target, drawing)
    frames, images = read(target), images_of(drawing)
    assert len(frames) == STEPS * len(images)
    np.testing.assert_array_equal(frames[::STEPS], enlarged(images, scale))


@pytest.mark.parametrize("is_inverted", [False, True])
def test_the_frames_between_are_a_walk(target: Path, tiny: Generator, is_inverted: bool) -> None:
    write_walk(target, drawing_of(tiny, 5, start=9, is_inverted=is_inverted))
    frames = np.stack(list(walk(tiny, range(9, 14), 1, None, 0, 1, STEPS)))
    np.testing.assert_array_equal(read(target), enlarged(255 - frames if is_inverted else frames, 4))


def test_the_frames_of_a_text_are_a_walk(target: Path, conditional: Generator) -> None:
    write_walk(target, drawing_of(conditional, 3, start=9, text="42"))
    frames = np.stack(list(walk(conditional, range(9, 12), 2, np.array([[4, 2]] * 3), 0, 1, STEPS)))
    np.testing.assert_array_equal(read(target), enlarged(frames, 4))


@pytest.mark.parametrize("text", [None, "4"])
def test_only_the_first_hundred_images_are_walked_through(tmp_path: Path, conditional: Generator, text: str | None) -> None:
    for count in (99, 100, 130, 10**8):
        write_walk(tmp_path / f"{count}.gif", drawing_of(conditional, count, start=7, text=text))
    files = contents(tmp_path)
    assert files["100.gif"] == files["130.gif"] == files["100000000.gif"] != files["99.gif"]
    drawn = images_of(drawing_of(conditional, 100, start=7, text=text))
    np.testing.assert_array_equal(read(tmp_path / "130.gif")[::STEPS], enlarged(drawn, 4))


def test_a_single_image_is_no_walk(target: Path, tiny: Generator) -> None:
    with pytest.raises(RequestError, match=r"^a walk from an image to itself does not move: expected a count of at least 2$"):
        write_walk(target, drawing_of(tiny, 1))
    assert list(target.parent.iterdir()) == []


def test_a_full_disk_leaves_the_older_file(target: Path, tiny: Generator) -> None:
    target.write_bytes(b"older")
    with pytest.raises(OutputError) as caught, small_files_only(5000):
        write_walk(target, drawing_of(tiny))
    assert str(caught.value) == f"cannot write {target}: File too large"
    assert contents(target.parent) == {"walk.gif": b"older"}
