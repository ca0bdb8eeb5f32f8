"""PNG files of a drawing that exist already: which of them are its images, whole, and which are missing."""

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

from pocketgan.errors import OutputError
from pocketgan.generator import Generator
from pocketgan.output import png
from pocketgan.output.png import PNG_END, PngFiles, encode_png, png_name, png_text
from pocketgan.request import Existing

OLDER = encode_png(np.zeros((2, 2), np.uint8), "pocketgan", "{}")
"""An image as another run may have written it."""


def write(files: PngFiles, existing: Existing = Existing.refuse) -> None:
    """Write all images of the files' drawing, into a folder that is made first."""
    made(files.folder)
    drain(files.write(files.drawing.batches(files.drawing.selection.indices), existing))


@pytest.mark.parametrize(
    ("name", "start", "count", "is_in_the_way"),
    [
        ("00000007.png", 7, 1, True),
        ("00000007.png", 8, 10, False),
        ("00000007.png", 0, 7, False),
        ("00000007_3.png", 0, 10, True),
        ("00000007_Seven.png", 7, 1, True),
        ("123456789012.png", 123_456_789_000, 100, True),
        ("7.png", 0, 10, False),
        ("0000000007.png", 0, 10, False),
        ("0000000\uff17.png", 0, 10, False),
        ("00000007_\u0667.png", 0, 10, False),
        ("00000007_seven-7.png", 0, 10, False),
        (f"{'9' * 200}.png", 0, 10, False),
        ("00000007.png.bak", 0, 10, False),
        (".00000007.png.99.tmp", 0, 10, False),
        ("grid.png", 0, 10, False),
        ("7/00000007_7.png", 0, 10, False),
    ],
)
def test_images_that_exist_in_the_range_are_found(
    tmp_path: Path, conditional: Generator, name: str, start: int, count: int, is_in_the_way: bool
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    files = PngFiles(tmp_path, drawing_of(conditional, count, start))
    assert list(files.existing()) == [tmp_path / name] * is_in_the_way
    assert files.is_ours(name) == is_in_the_way


@pytest.mark.parametrize(
    ("name", "is_in_the_way"),
    [
        ("7/00000007_7.png", True),
        ("Seven/00000007_Seven.png", True),
        ("7/00000010_7.png", False),
        ("7/00000007_3.png", False),
        ("7/00000007.png", False),
        ("7/0000000007_7.png", False),
        ("\u0667/00000007_\u0667.png", False),
        ("lost+found/00000007_lost+found.png", False),
        ("7/7/00000007_7.png", False),
        ("00000007_7.png", False),
        ("7/.00000007_7.png.99.tmp", False),
    ],
)
def test_images_that_exist_in_folders_of_any_class_are_found(
    tmp_path: Path, conditional: Generator, name: str, is_in_the_way: bool
) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    files = PngFiles(tmp_path, drawing_of(conditional), has_class_folders=True)
    assert list(files.existing()) == [tmp_path / name] * is_in_the_way


def test_all_existing_images_are_found_each_once(tmp_path: Path, tiny: Generator) -> None:
    names = ["00000003.png", "00000004_0.png", "00000004_1.png", "00000011.png"]
    for name in reversed(names):
        (tmp_path / name).touch()
    assert sorted(PngFiles(tmp_path, drawing_of(tiny, 100)).existing()) == [tmp_path / name for name in names]


@pytest.mark.parametrize(
    ("name", "existing"), [("lost+found", Existing.refuse), ("7 (copy)", Existing.resume), ("\u0667", Existing.overwrite)]
)
def test_folders_that_are_no_class_folders_are_passed_over(
    tmp_path: Path, conditional: Generator, monkeypatch: pytest.MonkeyPatch, name: str, existing: Existing
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / f"00000007_{name}.png").write_bytes(OLDER)
    scandir = os.scandir

    def refusing(path: Path) -> object:
        if path.name == name:
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    files = PngFiles(tmp_path, drawing_of(conditional), has_class_folders=True)
    assert (list(files.existing()), files.missing()) == ([], [range(10)])
    write(files, existing)
    assert files.missing() == []
    assert (tmp_path / name / f"00000007_{name}.png").read_bytes() == OLDER


def test_a_class_folder_that_cannot_be_read_is_an_output_error(
    tmp_path: Path, conditional: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = PngFiles(tmp_path, drawing_of(conditional), has_class_folders=True)
    write(files)
    scandir = os.scandir

    def refusing(path: Path) -> object:
        if path.name == "7":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    for look in (lambda: list(files.existing()), files.missing):
        with pytest.raises(OutputError, match=r"^cannot read the folder .*7: Permission denied; choose another --out$"):
            look()


def peak_bytes_of_looking(folder: Path, model: Path) -> int:
    """Return the most memory, in bytes, that looking at 4,000 images in a class folder takes."""
    count = 4000
    files = PngFiles(folder, drawing_of(Generator.load(model), count, names=("7",)), has_class_folders=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(png, "file_names", lambda path: (png_name(i, "7") for i in range(count)) if path.name == "7" else ["7"])
        patch.setattr(png, "_ends", lambda path: (png_text(files.drawing, int(path.name[:8])).encode(), PNG_END))
        tracemalloc.start()
        assert sum(1 for _ in files.existing()) == count
        assert files.missing() == []
        return tracemalloc.get_traced_memory()[1]


def test_many_images_that_exist_take_no_more_memory_than_few(tmp_path: Path, conditional: Generator) -> None:
    # In a new process: pathlib interns names, and the table of those may grow here because of the tests before.
    with get_context("spawn").Pool(1) as pool:
        most = pool.apply(peak_bytes_of_looking, (tmp_path, conditional.path))
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
    """The files of images 95 to 294, which are not there."""
    return PngFiles(tmp_path / "digits", drawing_of(conditional, 200, start=95), has_class_folders=request.param)


def test_all_images_are_missing_where_nothing_is(files: PngFiles) -> None:
    assert files.missing() == [range(95, 295)]
    files.folder.mkdir()
    assert files.missing() == [range(95, 295)]


def test_no_image_is_missing_where_all_were_written(files: PngFiles) -> None:
    write(files)
    assert files.missing() == []


@pytest.mark.parametrize(
    "gaps",
    [
        [range(95, 96)],
        [range(294, 295)],
        [range(95, 200), range(201, 295)],
        [range(100, 101), range(102, 103), range(104, 110), range(200, 264)],
        [range(index, index + 1) for index in range(95, 295, 2)],
    ],
    ids=["first", "last", "all but one", "several", "every other"],
)
def test_gaps_are_found_and_filled(files: PngFiles, gaps: list[range]) -> None:
    write(files)
    whole = contents(files.folder)
    for index in chain.from_iterable(gaps):
        (files.folder / files.file_of(index)).unlink()
    assert files.missing() == gaps
    drain(files.write(chain.from_iterable(map(files.drawing.batches, gaps)), Existing.resume))
    assert contents(files.folder) == whole
    assert files.missing() == []


@pytest.mark.parametrize("kept", [0, 100, -1])
def test_a_file_that_breaks_off_is_missing(files: PngFiles, kept: int) -> None:
    write(files)
    broken = files.folder / files.file_of(117)
    broken.write_bytes(broken.read_bytes()[:kept])
    assert files.missing() == [range(117, 118)]


@pytest.mark.parametrize("name", ["00000117_3.png", ".00000117_7.png.99.tmp"])
def test_an_image_by_another_name_is_not_the_one_that_is_missing(files: PngFiles, name: str) -> None:
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


def test_images_of_other_indices_do_not_matter(files: PngFiles) -> None:
    write(PngFiles(files.folder, drawing_of(files.drawing.generator, 95), files.has_class_folders))
    write(PngFiles(files.folder, drawing_of(files.drawing.generator, 10, start=295), files.has_class_folders))
    assert files.missing() == [range(95, 295)]
    write(files)
    assert files.missing() == []


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
    # Where no image of class 7 is asked for, its folder is nobody's, but images in it would be older ones of the same indices.
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
    [{"seed": 1}, {"truncation": 0.5}, {"is_inverted": True}, {"seed": 1, "height": 512}],
    ids=str,
)
def test_an_image_of_another_run_is_refused_and_stays(tmp_path: Path, conditional: Generator, options: dict[str, Any]) -> None:
    files = PngFiles(tmp_path, drawing_of(conditional, 20), has_class_folders=True)
    write(files)
    write(PngFiles(tmp_path, drawing_of(conditional, 1, start=7, **options), has_class_folders=True), Existing.overwrite)
    before = contents(tmp_path)
    with pytest.raises(OutputError) as caught:
        files.missing()
    assert str(caught.value) == (
        f"{tmp_path / files.file_of(7)} is an image of another run: move it away, use --overwrite, or another --out"
    )
    assert contents(tmp_path) == before


def test_an_image_that_says_nothing_of_itself_is_refused_and_one_that_breaks_off_is_missing(
    tmp_path: Path, conditional: Generator
) -> None:
    files = PngFiles(tmp_path, drawing_of(conditional))
    write(files)
    mine = encode_png(np.zeros((8, 8), np.uint8))
    (tmp_path / "00000007_7.png").write_bytes(mine)
    with pytest.raises(OutputError, match=r"00000007_7\.png is an image of another run: "):
        files.missing()
    (tmp_path / "00000007_7.png").write_bytes(mine[:-1])
    assert files.missing() == [range(7, 8)]


def test_an_image_of_another_index_is_refused(tmp_path: Path, conditional: Generator) -> None:
    files = PngFiles(tmp_path, drawing_of(conditional, 20))
    write(files)
    (tmp_path / "00000017_7.png").replace(tmp_path / "00000007_7.png")
    with pytest.raises(OutputError, match=r"00000007_7\.png is an image of another run: "):
        files.missing()


@pytest.mark.parametrize("existing", [Existing.overwrite, Existing.resume])
def test_a_run_removes_what_was_left_unfinished_of_its_own_images_in_class_folders(
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


def test_what_was_left_unfinished_and_cannot_be_removed_is_an_output_error(tmp_path: Path, conditional: Generator) -> None:
    files = PngFiles(tmp_path, drawing_of(conditional, 200, start=95), has_class_folders=True)
    (tmp_path / "9" / ".00000099_9.png.123.tmp").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"^cannot remove .*\.123\.tmp, a file that a killed run left unfinished: "):
        write(files, Existing.resume)
