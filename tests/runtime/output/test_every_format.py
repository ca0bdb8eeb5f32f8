"""Files of every format: equal bytes, stopped runs, replacing older files, and names."""

import errno
import os
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest
from drawings import contents, drain, drawing_of, identities, made, resume, visible

from pocketgan.drawing import Drawing
from pocketgan.errors import ModelError, OutputError
from pocketgan.generator import Batch, Generator
from pocketgan.output import formats
from pocketgan.output.formats import Files, Format
from pocketgan.request import Existing

# Three batches, of 64, 64 and 22 images.
START, COUNT, BATCH = 5, 150, 64
STOP = START + COUNT


class After(NamedTuple):
    """What exists after the first batch of a run."""

    complete: int
    """The number of complete files."""
    missing: list[range]


ALL_OR_NOTHING = After(0, [range(START, STOP)])
CONTINUED = After(0, [range(START + BATCH, STOP)])
ONE_BY_ONE = After(BATCH, CONTINUED.missing)
IN_SHARDS_OF_30 = After(2, [range(first, min(first + 30, STOP)) for first in range(60, STOP, 30)])
AFTER_ONE_BATCH = {
    Format.png: ONE_BY_ONE,
    Format.imagefolder: ONE_BY_ONE,
    Format.idx: CONTINUED,
    Format.idx_gz: ALL_OR_NOTHING,
    Format.npy: CONTINUED,
    Format.npz: ALL_OR_NOTHING,
    Format.webdataset: IN_SHARDS_OF_30,
    Format.parquet: IN_SHARDS_OF_30,
    Format.raw: CONTINUED,
}


@pytest.fixture(params=Format)
def file_format(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Format:
    if request.param is Format.parquet and find_spec("pyarrow") is None:
        pytest.skip("pyarrow is not installed")
    monkeypatch.setattr(formats, "IMAGES_IN_SHARD", 30)
    member: Format = request.param
    return member


@pytest.fixture
def drawing(conditional: Generator) -> Drawing:
    return drawing_of(conditional, COUNT, START, seed=3)


def files_in(folder: Path, file_format: Format, drawing: Drawing) -> Files:
    return file_format.row.files(made(folder), drawing)


def unbroken(folder: Path, file_format: Format, drawing: Drawing) -> dict[str, bytes]:
    """Return the files of a complete run, sorted by name."""
    drain(files_in(folder, file_format, drawing).write(drawing.batches(drawing.selection.indices), Existing.refuse))
    return dict(sorted(contents(folder).items(), key=lambda item: os.path.basename(item[0])))


def failing(drawing: Drawing) -> Iterator[Batch]:
    yield from drawing.batches(range(START, START + BATCH))
    raise ModelError("model x.onnx failed to draw")


@pytest.mark.parametrize(
    "options", [{}, {"text": "20", "height": 11}, {"is_inverted": True, "names": ("3", "9", "9")}], ids=["", "text", "names"]
)
def test_threads_and_time_change_no_byte_and_batches_are_yielded_in_order(
    tmp_path: Path, conditional: Generator, monkeypatch: pytest.MonkeyPatch, file_format: Format, options: dict[str, object]
) -> None:
    whole = unbroken(tmp_path / "alone", file_format, drawing_of(conditional, COUNT, START, **options))  # type: ignore[arg-type]
    monkeypatch.setattr("time.time", lambda: 1.7e9)
    drawing = drawing_of(conditional, COUNT, START, **options, threads=3)  # type: ignore[arg-type]
    batches = list(drawing.batches(range(START, STOP)))
    yielded = list(files_in(tmp_path / "together", file_format, drawing).write(batches, Existing.refuse))
    assert [id(batch) for batch in yielded] == [id(batch) for batch in batches]
    assert contents(tmp_path / "together") == whole


@pytest.mark.parametrize("ending", ["closed", "failed"])
@pytest.mark.parametrize("existing", [Existing.refuse, Existing.resume])
def test_what_a_stopped_run_leaves_is_whole_and_completed(
    tmp_path: Path, drawing: Drawing, file_format: Format, ending: str, existing: Existing
) -> None:
    whole = unbroken(tmp_path / "whole", file_format, drawing)
    files = files_in(tmp_path / "digits", file_format, drawing)
    assert (list(files.existing()), list(chain(*files.missing()))) == ([], list(range(START, STOP)))
    if ending == "closed":
        begun = files.write(drawing.batches(range(START, STOP)), existing)
        next(begun)
        begun.close()
    else:
        with pytest.raises(ModelError):
            drain(files.write(failing(drawing), existing))
    after = AFTER_ONE_BATCH[file_format]
    assert visible(tmp_path / "digits") == dict(list(whole.items())[: after.complete])
    assert resume(files, drawing) == after.missing
    assert contents(tmp_path / "digits") == whole


@pytest.mark.parametrize("has_failed", [False, True])
def test_older_files_are_replaced_when_new_ones_are_complete(
    tmp_path: Path, conditional: Generator, drawing: Drawing, file_format: Format, has_failed: bool
) -> None:
    older = unbroken(tmp_path / "digits", file_format, drawing_of(conditional, COUNT, START, seed=4))
    new = unbroken(tmp_path / "new", file_format, drawing)
    half = older | dict(list(new.items())[: AFTER_ONE_BATCH[file_format].complete])
    files = files_in(tmp_path / "digits", file_format, drawing)
    assert sorted(files.existing()) == sorted(tmp_path / "digits" / name for name in older)
    if has_failed:
        with pytest.raises(ModelError):
            drain(files.write(failing(drawing), Existing.overwrite))
        assert visible(tmp_path / "digits") == half
    else:
        written = files.write(drawing.batches(range(START, STOP)), Existing.overwrite)
        next(written)
        assert visible(tmp_path / "digits") == half
        drain(written)
        assert contents(tmp_path / "digits") == new


def test_complete_files_are_not_written_again(tmp_path: Path, drawing: Drawing, file_format: Format) -> None:
    unbroken(tmp_path, file_format, drawing)
    before = identities(tmp_path)
    assert resume(files_in(tmp_path, file_format, drawing), drawing) == []
    assert identities(tmp_path) == before


def test_our_files_are_known_by_name(tmp_path: Path, drawing: Drawing, file_format: Format) -> None:
    files = files_in(tmp_path, file_format, drawing)
    for name in filter(lambda name: "/" not in name, unbroken(tmp_path, file_format, drawing)):
        others = (f".{name}.99.tmp", f".{name}.part", f"{name}.bak", f"x{name}", name[:-1])
        assert [other for other in (name, *others) if files.is_ours(other)] == [name]
    assert files.holds_labels is (file_format not in (Format.png, Format.imagefolder, Format.raw))


def test_a_folder_that_does_not_exist_is_an_output_error(tmp_path: Path, drawing: Drawing, file_format: Format) -> None:
    (tmp_path / "file").touch()
    # Class folders are made together with their parents.
    for place in ("file",) if file_format is Format.imagefolder else ("file", "absent"):
        files = file_format.row.files(tmp_path / place, drawing)
        assert (list(files.existing()), list(chain(*files.missing()))) == ([], list(range(START, STOP)))
        with pytest.raises(OutputError, match=rf"^cannot (write|make the folder) .*{place}/.*: No(t a| such file or) directory"):
            drain(files.write(drawing.batches(range(START, STOP)), Existing.refuse))
        assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("which", [0, -1])
def test_a_folder_in_the_place_of_a_file_is_an_output_error(
    tmp_path: Path, drawing: Drawing, file_format: Format, which: int
) -> None:
    whole = unbroken(tmp_path / "whole", file_format, drawing)
    path = tmp_path / "digits" / list(whole)[which]
    path.mkdir(parents=True)
    files = files_in(tmp_path / "digits", file_format, drawing)
    assert list(files.existing()) == [path]
    with pytest.raises(OutputError) as caught:
        drain(files.write(drawing.batches(range(START, STOP)), Existing.overwrite))
    assert str(caught.value) == f"cannot write {path}: Is a directory"
    path.rmdir()
    resume(files, drawing)
    assert contents(tmp_path / "digits") == whole


TOGETHER = (Format.idx, Format.idx_gz, Format.npy, Format.npz, Format.raw)


@pytest.mark.parametrize("file_format", TOGETHER)
@pytest.mark.parametrize("failing_call", [None, 1, 2])
def test_files_get_their_names_when_all_are_on_disk(
    tmp_path: Path,
    conditional: Generator,
    drawing: Drawing,
    monkeypatch: pytest.MonkeyPatch,
    file_format: Format,
    failing_call: int | None,
) -> None:
    before = unbroken(tmp_path, file_format, drawing_of(conditional, COUNT, START, seed=4))
    synced: list[int] = []

    def watched(descriptor: int) -> None:
        assert visible(tmp_path) == before
        synced.append(os.fstat(descriptor).st_size)
        if len(synced) == failing_call:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", watched)
    written = files_in(tmp_path, file_format, drawing).write(drawing.batches(range(START, STOP)), Existing.overwrite)
    if failing_call is None or failing_call > len(before):
        drain(written)
        assert sorted(synced) == sorted(map(len, contents(tmp_path).values()))
    else:
        with pytest.raises(OutputError, match=r"^cannot write .*: No space left on device$"):
            drain(written)
        assert visible(tmp_path) == before
