"""Animated GIF files: all frames and their times can be read back, and repeat forever."""

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from drawings import contents, read_gif
from full_disk import small_files_only
from numpy.typing import NDArray

from pocketgan.address import image_range
from pocketgan.errors import OutputError
from pocketgan.generator import Generator
from pocketgan.output.walk import walk, write_gif


def noise(count: int, height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, height, width), np.uint8)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "digits.gif"


@pytest.mark.parametrize(
    ("count", "height", "width", "scale"), [(1, 28, 28, 4), (5, 28, 112, 4), (3, 1, 1, 1), (2, 100, 7, 1), (2, 300, 300, 1)]
)
def test_frames_can_be_read_back_exactly(target: Path, count: int, height: int, width: int, scale: int) -> None:
    frames = noise(count, height, width)
    write_gif(target, frames, scale, 80)
    found, times = read_gif(target)
    np.testing.assert_array_equal(found, frames.repeat(scale, axis=1).repeat(scale, axis=2))
    assert times == [80] * count
    assert list(target.parent.iterdir()) == [target]


def test_all_256_greys_are_themselves(target: Path) -> None:
    greys = np.arange(256, dtype=np.uint8).reshape(16, 16)
    write_gif(target, [greys, 255 - greys, greys.T], 1, 80)
    np.testing.assert_array_equal(read_gif(target)[0], [greys, 255 - greys, greys.T])


def test_a_walk_can_be_read_back_and_is_small(target: Path) -> None:
    pocket = Generator.load("pocket")
    frames = list(walk(pocket, image_range(0, 0, 4), np.arange(4)[:, None], 1, 16))
    write_gif(target, iter(frames), 4, 60)
    found, times = read_gif(target)
    np.testing.assert_array_equal(found[:, ::4, ::4], frames)
    assert times == [60] * 64
    assert target.stat().st_size < 64 * 1800


def test_a_change_anywhere_is_shown_and_nothing_else_is(target: Path) -> None:
    frames = noise(6, 9, 12)
    frames[1:] = frames[0]
    for position, (row, column) in enumerate([(0, 0), (8, 11), (0, 11), (8, 0), (4, 5)], start=1):
        frames[position:, row, column] += 1
    write_gif(target, frames, 3, 80)
    np.testing.assert_array_equal(read_gif(target)[0][:, ::3, ::3], frames)


def test_equal_frames_in_a_row_keep_their_number_and_their_time(target: Path) -> None:
    first, second = noise(2, 10, 10)
    frames = [first, first, first, second, second, first]
    write_gif(target, frames, 2, 80)
    found, times = read_gif(target)
    np.testing.assert_array_equal(found[:, ::2, ::2], frames)
    assert times == [80] * 6


@pytest.mark.parametrize(("requested", "shown"), [(84, 80), (85, 90), (20, 20), (0, 10), (10**6, 655350)])
def test_times_are_rounded_to_what_a_gif_can_hold(target: Path, requested: int, shown: int) -> None:
    write_gif(target, noise(2, 5, 5), 1, requested)
    assert read_gif(target)[1] == [shown] * 2


def test_frames_are_not_kept(target: Path) -> None:
    made: list[weakref.ref[NDArray[np.uint8]]] = []

    def frames() -> Iterator[NDArray[np.uint8]]:
        for frame in noise(50, 8, 8):
            copy = frame.copy()
            made.append(weakref.ref(copy))
            yield copy
            del copy
            assert sum(reference() is not None for reference in made) <= 2

    write_gif(target, frames(), 1, 80)
    assert len(made) == 50


def test_a_full_disk_leaves_the_older_file(target: Path) -> None:
    target.write_bytes(b"older")
    with pytest.raises(OutputError) as caught, small_files_only(5000):
        write_gif(target, noise(10, 28, 28), 4, 80)
    assert str(caught.value) == f"cannot write {target}: File too large"
    assert contents(target.parent) == {target.name: b"older"}


def test_frames_too_large_for_a_gif_are_rejected(target: Path) -> None:
    write_gif(target, noise(1, 1, 13107), 5, 80)
    with pytest.raises(OutputError) as caught:
        write_gif(target, noise(1, 1, 16384), 4, 80)
    assert str(caught.value) == f"cannot write {target}: 65536x4 pixels, but a GIF has at most 65535 each way"
