"""Existing PNG files: which of them are whole images of a drawing, and which images are missing."""

import errno
import os
import tracemalloc
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawings import contents, drain, drawing_of, made

from pocketgan.address import Hand
from pocketgan.errors import OutputError
from pocketgan.generator import Generator
from pocketgan.output import png
from pocketgan.output.png import PNG_END, PngFiles, encode_png, png_bytes, png_name, png_text
from pocketgan.request import Existing

OLDER = encode_png(np.zeros((2, 2), np.uint8), "pocketgan", "{}")
"""An image as another run may have written it."""


def write(files: PngFiles, existing: Existing = Existing.refuse) -> None:
    """Write all images."""
    made(files.folder)
    drain(files.write(files.drawing.batches(files.drawing.indices), existing))


@pytest.mark.parametrize(
    ("name", "has_class_folders", "start", "count", "is_found"),
    [
        ("00000007.png", False, 7, 1, True),
        ("00000007.png", False, 8, 10, False),
        ("00000007.png", False, 0, 7, False),
        ("00000007_Seven.png", False, 0, 10, True),
        ("123456789012.png", False, 123_456_789_000, 100, True),
        ("7.png", False, 0, 10, False),
        ("0000000007.png", False, 0, 10, False),
        ("0000000\uff17.png", False, 0, 10, False),
        ("00000007_\u0667.png", False, 0, 10, False),
        ("00000007_seven-7.png", False, 0, 10, False),
        (f"{'9' * 200}.png", False, 0, 10, False),
        ("00000007.png.bak", False, 0, 10, False),
        (".00000007.png.99.tmp", False, 0, 10, False),
        ("7/00000007_7.png", False, 0, 10, False),
        ("7/00000007_7.png", True, 7, 1, True),
        ("7/00000007_7.png", True, 8, 10, False),
        ("Seven/00000007_Seven.png", True, 0, 10, True),
        ("7/00000007_3.png", True, 0, 10, False),
        ("7/00000007.png", True, 0, 10, False),
        ("\u0667/00000007_\u0667.png", True, 0, 10, False),
        ("lost+found/00000007_lost+found.png", True, 0, 10, False),
        ("7/7/00000007_7.png", True, 0, 10, False),
        ("00000007_7.png", True, 0, 10, False),
        ("7/.00000007_7.png.99.tmp", True, 0, 10, False),
    ],
)
def test_existing_images_are_found_by_name(
    tmp_path: Path, conditional: Generator, name: str, has_class_folders: bool, start: int, count: int, is_found: bool
) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    files = PngFiles(tmp_path, drawing_of(conditional, count, start), has_class_folders)
    assert list(files.existing()) == [tmp_path / name] * is_found
    assert has_class_folders or files.is_ours(name) == is_found


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of folders that cannot be read; a test adds to them."""
    names: set[str] = set()
    scandir = os.scandir

    def refusing(path: Path) -> object:
        if path.name in names:
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    return names


@pytest.mark.parametrize(
    ("name", "existing"), [("lost+found", Existing.refuse), ("7 (copy)", Existing.resume), ("\u0667", Existing.overwrite)]
)
def test_other_folders_are_ignored(
    tmp_path: Path, conditional: Generator, unreadable: set[str], name: str, existing: Existing
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / f"00000007_{name}.png").write_bytes(OLDER)
    unreadable.add(name)
    files = PngFiles(tmp_path, drawing_of(conditional), has_class_folders=True)
    assert (list(files.existing()), files.missing()) == ([], [range(10)])
    write(files, existing)
    assert files.missing() == []
    assert (tmp_path / name / f"00000007_{name}.png").read_bytes() == OLDER


def test_a_class_folder_that_cannot_be_read_is_an_output_error(
    tmp_path: Path, conditional: Generator, unreadable: set[str]
) -> None:
    files = PngFiles(tmp_path, drawing_of(conditional), has_class_folders=True)
    write(files)
    unreadable.add("7")
    for look in (lambda: list(files.existing()), files.missing):
        with pytest.raises(OutputError, match=r"^cannot read the folder .*7: Permission denied; choose another --out$"):
            look()


def peak_bytes_of_finding(folder: Path, model: Path) -> int:
    """Return the most memory, in bytes, used to find 4,000 images in a class folder."""
    count = 4000
    files = PngFiles(folder, drawing_of(Generator.load(model), count, names=("7",)), has_class_folders=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(png, "file_names", lambda path: (png_name(i, "7") for i in range(count)) if path.name == "7" else ["7"])
        patch.setattr(png, "_ends", lambda path, text_bytes=0: (png_text(files.drawing, int(path.name[:8])).encode(), PNG_END))
        tracemalloc.start()
        assert sum(1 for _ in files.existing()) == count
        assert files.missing() == []
        return tracemalloc.get_traced_memory()[1]


def test_many_images_that_exist_take_no_more_memory_than_few(tmp_path: Path, conditional: Generator) -> None:
    # In a new process, because pathlib interns names, and earlier tests may make that table grow here.
    with get_context("spawn").Pool(1) as pool:
        most = pool.apply(peak_bytes_of_finding, (tmp_path, conditional.path))
    assert most < 500_000  # a path for each image would take more than a megabyte


def test_of_large_images_only_the_ends_are_read(tmp_path: Path, tiny: Generator) -> None:
    files = PngFiles(tmp_path, drawing_of(tiny, 1))
    write(files)
    with (tmp_path / "00000000.png").open("r+b") as file:
        file.seek(2**30)
        file.write(PNG_END)
    tracemalloc.start()
    try:
        assert files.missing() == []
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 500_000


@pytest.fixture(params=[False, True], ids=["one folder", "class folders"])
def files(request: pytest.FixtureRequest, tmp_path: Path, conditional: Generator) -> PngFiles:
    """The files of images 95 to 294, not yet written."""
    return PngFiles(tmp_path / "digits", drawing_of(conditional, 200, start=95), has_class_folders=request.param)


@pytest.mark.parametrize(
    "gaps",
    [
        [range(95, 96), range(294, 295)],
        [range(100, 101), range(102, 103), range(104, 110), range(200, 264)],
        [range(index, index + 1) for index in range(95, 295, 2)],
    ],
    ids=["first and last", "several", "every other"],
)
def test_gaps_are_found_and_filled(files: PngFiles, gaps: list[range]) -> None:
    write(files)
    whole = contents(files.folder)
    for index in chain.from_iterable(gaps):
        (files.folder / files.file_of(index)).unlink()
    assert files.missing() == gaps
    drain(files.write(chain.from_iterable(map(files.drawing.batches, gaps)), Existing.resume))
    assert contents(files.folder) == whole


@pytest.mark.parametrize("kept", [0, 100, -1])
def test_a_file_that_is_cut_short_is_missing(files: PngFiles, kept: int) -> None:
    write(files)
    broken = files.folder / files.file_of(117)
    broken.write_bytes(broken.read_bytes()[:kept])
    assert files.missing() == [range(117, 118)]


@pytest.mark.parametrize("name", ["00000117_3.png", ".00000117_7.png.99.tmp"])
def test_an_image_under_another_name_does_not_count(files: PngFiles, name: str) -> None:
    write(files)
    right = files.folder / files.file_of(117)
    right.rename(right.with_name(name))
    assert files.missing() == [range(117, 118)]
    right.write_bytes(right.with_name(name).read_bytes())
    assert files.missing() == []
    right.with_name(name).write_bytes(b"broken off")
    assert files.missing() == []


def test_an_image_in_the_folder_of_another_class_is_missing(tmp_path: Path, conditional: Generator) -> None:
    files = PngFiles(tmp_path, drawing_of(conditional, 20), has_class_folders=True)
    write(files)
    (tmp_path / "7" / "00000017_7.png").rename(tmp_path / "3" / "00000017_7.png")
    assert files.missing() == [range(17, 18)]


@pytest.mark.parametrize("existing", Existing)
def test_a_class_folder_that_is_a_link_is_not_written_to(tmp_path: Path, conditional: Generator, existing: Existing) -> None:
    drawing = drawing_of(conditional, 10)
    elsewhere = tmp_path / "elsewhere"
    write(PngFiles(elsewhere, drawing, has_class_folders=True))
    before = contents(elsewhere)
    made(tmp_path / "digits")
    (tmp_path / "digits" / "7").symlink_to(elsewhere / "7")
    with pytest.raises(
        OutputError, match=r"digits/7 is a symbolic link, expected a folder: move it away, or choose another --out"
    ):
        write(PngFiles(tmp_path / "digits", drawing, has_class_folders=True), existing)
    # Without images of class 7 the link is allowed, but images behind it must not be removed as older ones.
    write(PngFiles(tmp_path / "digits", drawing_of(conditional, 10, names=("1",)), has_class_folders=True), existing)
    assert contents(elsewhere) == before


def test_missing_rows_of_text_are_found(tmp_path: Path, conditional: Generator) -> None:
    for has_class_folders in (False, True):
        files = PngFiles(tmp_path, drawing_of(conditional, 5, text="2026"), has_class_folders)
        write(files)
        (tmp_path / files.file_of(3)).unlink()
        assert files.missing() == [range(3, 4)]
        other = PngFiles(tmp_path, drawing_of(conditional, 5, text="2027"), has_class_folders)
        assert other.missing() == [range(5)]


def test_a_folder_by_the_name_of_an_image_cannot_be_read(tmp_path: Path, tiny: Generator) -> None:
    (tmp_path / "00000003.png").mkdir()
    with pytest.raises(OutputError, match=r"^cannot read .*00000003\.png: it is a folder, not a file$"):
        PngFiles(tmp_path, drawing_of(tiny)).missing()


def test_a_folder_that_cannot_be_read_is_an_output_error(tmp_path: Path, tiny: Generator) -> None:
    files = PngFiles(tmp_path / ("x" * 300), drawing_of(tiny))
    for look in (lambda: list(files.existing()), files.missing):
        with pytest.raises(OutputError, match=r"^cannot read the folder .*; choose another --out$"):
            look()


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 1},
        {"truncation": 0.5},
        {"is_inverted": True},
        {"seed": 1, "height": 512},
        {"start": 17},
        {"hand": Hand(0, 3, 0)},
        None,
    ],
    ids=str,
)
def test_a_whole_image_of_another_run_is_an_error_and_stays(
    tmp_path: Path, conditional: Generator, options: dict[str, Any] | None
) -> None:
    files = PngFiles(tmp_path, drawing_of(conditional, 20), has_class_folders=True)
    write(files)
    image = tmp_path / files.file_of(7)
    if options is None:
        found = encode_png(np.zeros((8, 8), np.uint8))
    else:
        other = drawing_of(conditional, 1, **{"start": 7, **options})
        found = png_bytes(other, next(other.batches(other.selection.indices)))[0]
    image.write_bytes(found)
    with pytest.raises(OutputError) as caught:
        files.missing()
    assert str(caught.value) == f"{image} is an image of another run: move it away, use --overwrite, or another --out"
    assert image.read_bytes() == found
    image.write_bytes(found[:-1])
    assert files.missing() == [range(7, 8)]


@pytest.mark.parametrize("existing", [Existing.overwrite, Existing.resume])
def test_a_run_removes_its_own_temporary_files_from_class_folders(
    tmp_path: Path, conditional: Generator, existing: Existing
) -> None:
    files = PngFiles(tmp_path, drawing_of(conditional, 200, start=95), has_class_folders=True)
    ours = [".00000099_9.png.123.tmp", ".00000294_4.png.4.tmp", ".00000100_3.png.99999.tmp"]
    others = [
        ".00000094_4.png.123.tmp",
        ".00000295_5.png.123.tmp",
        ".00000099_9.png.tmp",
        ".00000099_9.png.1.tmp.bak",
        "00000099_9.png.123.tmp",
        ".grid.png.123.tmp",
        ".tmp",
    ]
    folder = made(files.folder / "9")
    for name in (*ours, *others):
        (folder / name).touch()
    drain(files.write(files.drawing.batches(range(95, 105)), existing))
    left = {name for name in os.listdir(folder) if "tmp" in name}
    assert left == set(others)
    assert files.missing() == [range(105, 295)]


def test_a_temporary_file_that_cannot_be_removed_is_an_output_error(tmp_path: Path, conditional: Generator) -> None:
    files = PngFiles(tmp_path, drawing_of(conditional, 200, start=95), has_class_folders=True)
    (tmp_path / "9" / ".00000099_9.png.123.tmp").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"^cannot remove .*\.123\.tmp, a file that a killed run left unfinished: "):
        write(files, Existing.resume)
