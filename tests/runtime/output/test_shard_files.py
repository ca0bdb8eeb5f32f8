"""Tar files for WebDataset: what each contains, wherever a run starts and ends, and which are missing."""

import io
import json
import os
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from drawings import contents, drain, drawing_of, identities, made, resume
from full_disk import small_files_only
from PIL import Image

from pocketgan.address import INDEX_LIMIT
from pocketgan.drawing import Drawing
from pocketgan.errors import OutputError
from pocketgan.generator import Batch, Generator
from pocketgan.output import shards
from pocketgan.output.png import PngFiles
from pocketgan.request import Existing

tar_shards = partial(shards.tar_shards, images_in_shard=10)


def write(folder: Path, drawing: Drawing, existing: Existing = Existing.refuse) -> Iterator[Batch]:
    return tar_shards(made(folder), drawing).write(drawing.batches(drawing.selection.indices), existing)


def written(folder: Path, drawing: Drawing) -> dict[str, bytes]:
    """Return the files of a complete run."""
    drain(write(folder, drawing))
    return contents(folder)


def unpacked(path: Path) -> dict[str, bytes]:
    """Return the files in a tar file, in order."""
    files: dict[str, bytes] = {}
    with tarfile.open(path, "r:") as tar:
        for entry in tar:
            contents = tar.extractfile(entry)
            assert contents is not None
            assert entry.name not in files
            files[entry.name] = contents.read()
    return files


def tar_name(number: int) -> str:
    return f"digits-{number:06d}.tar"


def test_a_model_without_classes_has_images_alone(tmp_path: Path, tiny: Generator) -> None:
    written(tmp_path, drawing_of(tiny, 10, seed=3))
    assert os.listdir(tmp_path) == ["digits-000000.tar"]
    files = unpacked(tmp_path / "digits-000000.tar")
    assert list(files) == [f"{index:08d}.png" for index in range(10)]
    for png, expected in zip(files.values(), tiny.generate(10, seed=3), strict=True):
        with Image.open(io.BytesIO(png)) as image:
            assert (image.format, image.mode) == ("PNG", "L")
            np.testing.assert_array_equal(np.asarray(image), expected)


def test_each_image_has_its_label_in_a_file(tmp_path: Path, conditional: Generator) -> None:
    written(tmp_path, drawing_of(conditional, 4, start=12, names=("3", "9", "0")))
    files = unpacked(tmp_path / "digits-000001.tar")
    assert list(files) == [f"{index:08d}.{ending}" for index in range(12, 16) for ending in ("png", "cls")]
    assert [data for name, data in files.items() if name.endswith(".cls")] == [b"3", b"9", b"0", b"3"]
    with Image.open(io.BytesIO(files["00000013.png"])) as image:
        np.testing.assert_array_equal(np.asarray(image), conditional.generate(1, 9, start=13)[0])


def test_each_row_has_its_text_in_a_file(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional, 3, text="2026")
    written(tmp_path, drawing)
    files = unpacked(tmp_path / "digits-000000.tar")
    assert list(files) == [f"{index:08d}.{ending}" for index in range(3) for ending in ("png", "txt")]
    assert [data for name, data in files.items() if name.endswith(".txt")] == [b"2026"] * 3
    (rows,) = drawing.batches(range(3))
    for index, expected in enumerate(rows.images):
        with Image.open(io.BytesIO(files[f"{index:08d}.png"])) as image:
            np.testing.assert_array_equal(np.asarray(image), expected)


@pytest.mark.parametrize("text", [None, "12"])
def test_images_are_the_png_files_that_a_folder_would_hold(tmp_path: Path, conditional: Generator, text: str | None) -> None:
    drawing = drawing_of(conditional, 23, start=4, text=text, height=11, is_inverted=True)
    drain(PngFiles(made(tmp_path / "png"), drawing).write(drawing.batches(drawing.selection.indices), Existing.refuse))
    written(tmp_path / "tar", drawing)
    pngs = [data for path in sorted((tmp_path / "tar").iterdir()) for name, data in unpacked(path).items() if "png" in name]
    assert pngs == [data for _, data in sorted(contents(tmp_path / "png").items())]
    with Image.open(io.BytesIO(pngs[5])) as image:
        assert json.loads(image.info["pocketgan"])["index"] == 9


def test_entries_are_plain_files_without_owner_or_time_of_day(tmp_path: Path, conditional: Generator) -> None:
    written(tmp_path, drawing_of(conditional))
    with tarfile.open(tmp_path / "digits-000000.tar", "r:") as tar:
        facts = {(entry.type, entry.mode, entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname) for entry in tar}
        assert facts == {(tarfile.REGTYPE, 0o644, 0, 0, 0, "", "")}
        assert tar.pax_headers == {}


@pytest.mark.parametrize(
    ("start", "count", "expected"),
    [
        (0, 10, {0: range(10)}),
        (0, 11, {0: range(10), 1: range(10, 11)}),
        (9, 2, {0: range(9, 10), 1: range(10, 11)}),
        (3, 4, {0: range(3, 7)}),
        (25, 20, {2: range(25, 30), 3: range(30, 40), 4: range(40, 45)}),
        (30, 10, {3: range(30, 40)}),
        (123_456_789_015, 6, {12_345_678_901: range(123_456_789_015, 123_456_789_020), 12_345_678_902: [123_456_789_020]}),
        (INDEX_LIMIT - 1, 1, {(INDEX_LIMIT - 1) // 10: [INDEX_LIMIT - 1]}),
    ],
)
def test_a_shard_contains_the_images_of_its_range(
    tmp_path: Path, tiny: Generator, start: int, count: int, expected: dict[int, list[int]]
) -> None:
    drawing = drawing_of(tiny, count, start)
    files = tar_shards(tmp_path / "digits", drawing)
    assert files.existing() == []
    assert [list(indices) for indices in files.missing()] == [list(indices) for indices in expected.values()]
    written(files.folder, drawing)
    assert sorted(os.listdir(files.folder)) == sorted(map(tar_name, expected))
    for number, indices in expected.items():
        assert list(unpacked(files.folder / tar_name(number))) == [f"{index:08d}.png" for index in indices]
    assert files.existing() == [files.folder / tar_name(number) for number in expected]
    assert files.missing() == []


def test_runs_split_between_shards_make_the_same_shards(tmp_path: Path, conditional: Generator) -> None:
    whole = written(tmp_path / "whole", drawing_of(conditional, 150, start=5))
    written(tmp_path / "parts", drawing_of(conditional, 75, start=80))
    assert written(tmp_path / "parts", drawing_of(conditional, 75, start=5)) == whole


def test_a_full_disk_leaves_earlier_new_shards_and_later_older_ones(tmp_path: Path, conditional: Generator) -> None:
    older = written(tmp_path / "digits", drawing_of(conditional, 22, start=8, seed=1))
    drawing = drawing_of(conditional, 22, start=8, seed=2)
    new = written(tmp_path / "new", drawing)
    # Two images take one block of 10240 bytes, ten take more.
    assert len(new["digits-000000.tar"]) == 10240 < len(new["digits-000001.tar"])
    with pytest.raises(OutputError) as caught, small_files_only(11_000):
        drain(write(tmp_path / "digits", drawing, Existing.overwrite))
    assert str(caught.value) == f"cannot write {tmp_path / 'digits' / 'digits-000001.tar'}: File too large"
    assert contents(tmp_path / "digits") == older | {"digits-000000.tar": new["digits-000000.tar"]}


@pytest.mark.parametrize("absent", [{0}, {1, 2, 4}], ids=str)
def test_only_missing_shards_are_drawn_again(tmp_path: Path, conditional: Generator, absent: set[int]) -> None:
    drawing = drawing_of(conditional, 42, start=5)
    whole = written(tmp_path / "whole", drawing)
    files = tar_shards(tmp_path / "digits", drawing)
    files.folder.mkdir()
    for name in map(tar_name, set(range(5)) - absent):
        (files.folder / name).write_bytes(whole[name])
    there = {tar_name(number) for number in set(range(5)) - absent}
    before = identities(files.folder)
    expected = [range(5, 10), range(10, 20), range(20, 30), range(30, 40), range(40, 47)]
    assert files.existing() == [files.folder / name for name in sorted(there)]
    assert resume(files, drawing) == [expected[number] for number in sorted(absent)]
    assert contents(files.folder) == whole
    after = identities(files.folder)
    assert {path: after[path] for path in before} == before


def test_our_shards_are_those_of_these_indices(tmp_path: Path, conditional: Generator) -> None:
    files = tar_shards(tmp_path, drawing_of(conditional, 15, start=10))
    others = ["digits-000000.tar", "digits-000003.tar", "digits-1.tar", "digits-0000001.tar"]
    ours = ["digits-000001.tar", "digits-000002.tar"]
    assert [name for name in ours + others if files.is_ours(name)] == ours


def test_other_files_stay_unchanged(tmp_path: Path, conditional: Generator) -> None:
    drawing = drawing_of(conditional, 15, start=10)
    others = [".digits-000001.tar.99.tmp", "digits-000001.tar.99.tmp", "digits-000000.tar", "x.tar"]
    for name in others:
        (tmp_path / name).write_bytes(b"half")
    tar_shards(tmp_path, drawing).discard_unfinished()
    assert resume(tar_shards(tmp_path, drawing), drawing) == [range(10, 20), range(20, 25)]
    assert contents(tmp_path).keys() == {*others, "digits-000001.tar", "digits-000002.tar"}
    assert {contents(tmp_path)[name] for name in others} == {b"half"}
