"""Files of a header and a fixed number of bytes per image: a run that stopped after any byte is continued."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from drawings import contents, drain, drawing_of, identities, made, resume, visible
from full_disk import small_files_only
from strange_files import LINKS, put

from pocketgan.drawing import Drawing
from pocketgan.errors import OutputError
from pocketgan.generator import Batch, Generator
from pocketgan.output.arrays import ArrayFiles, idx_files, npy_files, raw_files
from pocketgan.request import Existing

FILES: dict[str, Callable[[Path, Drawing], ArrayFiles]] = {"idx": idx_files, "npy": npy_files, "raw": raw_files}
# Two batches of 64 and one of 22, not from index 0.
START, COUNT = 7, 150
STOP = START + COUNT

each_format = pytest.mark.parametrize("file_format", list(FILES))


@pytest.fixture
def drawing(conditional: Generator) -> Drawing:
    return drawing_of(conditional, COUNT, START, seed=3)


def write(files: ArrayFiles, drawing: Drawing, existing: Existing = Existing.refuse) -> Iterator[Batch]:
    """Write all images, a batch each time that one is taken."""
    made(files.folder)
    return files.write(drawing.batches(drawing.selection.indices), existing)


def unbroken(folder: Path, file_format: str, drawing: Drawing) -> dict[str, bytes]:
    """Return the files of a complete run, images first."""
    drain(write(FILES[file_format](folder, drawing), drawing))
    return dict(sorted(contents(folder).items()))


def lay_out(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def as_parts(files: dict[str, bytes]) -> dict[str, bytes]:
    return {f".{name}.part": data for name, data in files.items()}


@each_format
def test_images_that_are_not_contiguous_are_written_in_order(tmp_path: Path, drawing: Drawing, file_format: str) -> None:
    (batch,) = drawing.batches(range(START, START + 20))
    turned = Batch(START, batch.images.swapaxes(1, 2), batch.labels)
    copied = Batch(START, turned.images.copy(), batch.labels)
    written = []
    for name, one in (("turned", turned), ("copied", copied)):
        drain(FILES[file_format](made(tmp_path / name), drawing).write([one], Existing.refuse))
        written.append(contents(tmp_path / name))
    assert written[0] == written[1]
    assert batch.images.tobytes() not in b"".join(written[0].values())


@each_format
def test_a_run_stopped_by_a_full_disk_is_continued(tmp_path: Path, drawing: Drawing, file_format: str) -> None:
    whole = unbroken(tmp_path / "whole", file_format, drawing)
    files = FILES[file_format](tmp_path / "digits", drawing)
    with pytest.raises(OutputError) as caught, small_files_only(5000):
        drain(write(files, drawing))
    part = files.folder / f".{files.files[0].name}.part"
    assert str(caught.value) == f"cannot write {part}: File too large"
    assert visible(files.folder) == {}
    (missing,) = resume(files, drawing)
    # The first batch of 64 fits, the second does not: of images of 64 bytes there are at most 78 in 5000.
    assert START + 64 <= missing.start <= START + 78
    assert missing.stop == STOP
    assert contents(files.folder) == whole


def test_a_full_disk_leaves_older_files_and_the_run_can_be_repeated(tmp_path: Path, conditional: Generator) -> None:
    # Twenty images are few enough that nothing is on disk before the files are closed, and their labels fit.
    before = unbroken(tmp_path / "digits", "idx", drawing_of(conditional, 20, seed=1))
    drawing = drawing_of(conditional, 20, seed=2, names=("7",))
    files = idx_files(tmp_path / "digits", drawing)
    with pytest.raises(OutputError, match=r"cannot write .*images.*\.part: File too large"), small_files_only():
        drain(write(files, drawing, Existing.overwrite))
    assert visible(files.folder) == before
    assert files.missing()[0].start < 20
    drain(write(files, drawing, Existing.overwrite))
    assert contents(files.folder) == unbroken(tmp_path / "new", "idx", drawing)


# The images in a part after its header, the bytes that it has more or less than these, and the images that can be kept.
CUTS = {
    "empty": (0, -1000, 0),
    "in the header": (0, -3, 0),
    "after the header": (0, 0, 0),
    "after an image": (1, 0, 1),
    "in an image": (100, 5, 100),
    "before the last byte of an image": (101, -1, 100),
    "before the last byte": (COUNT, -1, COUNT - 1),
    "nowhere": (COUNT, 0, COUNT),
    "after more than all": (COUNT, 200, COUNT),
}


def cut(where: str, data: bytes, header: int, image_bytes: int) -> bytes:
    images, more_bytes, _ = CUTS[where]
    return (data + b"more" * 50)[: max(0, header + images * image_bytes + more_bytes)]


@pytest.mark.parametrize(
    ("images_cut", "labels_cut"),
    [*((where, "nowhere") for where in CUTS), ("nowhere", "in an image"), ("in an image", "after an image")],
)
def test_images_and_labels_cut_at_different_places_become_those_of_an_unbroken_run(
    tmp_path: Path, drawing: Drawing, images_cut: str, labels_cut: str
) -> None:
    whole = unbroken(tmp_path / "whole", "npy", drawing)
    parts = {
        ".images.npy.part": cut(images_cut, whole["images.npy"], 128, 64),
        ".labels.npy.part": cut(labels_cut, whole["labels.npy"], 128, 8),
    }
    lay_out(tmp_path / "digits", parts)
    kept = min(CUTS[images_cut][2], CUTS[labels_cut][2])
    assert resume(npy_files(tmp_path / "digits", drawing), drawing) == ([range(START + kept, STOP)] if kept < COUNT else [])
    assert contents(tmp_path / "digits") == whole


@pytest.mark.parametrize(
    ("file_format", "header", "where"),
    [
        ("idx", 16, "in the header"),
        ("idx", 16, "in an image"),
        ("raw", 0, "in an image"),
        ("raw", 0, "after more than all"),
    ],
)
def test_images_cut_anywhere_become_those_of_an_unbroken_run(
    tmp_path: Path, tiny: Generator, file_format: str, header: int, where: str
) -> None:
    drawing = drawing_of(tiny, COUNT, START)
    ((name, data),) = unbroken(tmp_path / "whole", file_format, drawing).items()
    lay_out(tmp_path / "digits", as_parts({name: cut(where, data, header, 64)}))
    kept = CUTS[where][2]
    missing = resume(FILES[file_format](tmp_path / "digits", drawing), drawing)
    assert missing == ([range(START + kept, STOP)] if kept < COUNT else [])
    assert contents(tmp_path / "digits") == {name: data}


@pytest.mark.parametrize(("file_format", "size"), [("idx", None), ("npy", 50_000)])
def test_a_part_with_another_header_is_started_over(
    tmp_path: Path, conditional: Generator, drawing: Drawing, file_format: str, size: int | None
) -> None:
    whole = unbroken(tmp_path / "whole", file_format, drawing)
    other = unbroken(tmp_path / "other", file_format, drawing_of(conditional, COUNT, START, seed=4, height=9))
    images, labels = whole
    left = {f".{images}.part": other[images] if size is None else bytes(size), f".{labels}.part": whole[labels]}
    lay_out(tmp_path / "digits", left)
    assert resume(FILES[file_format](tmp_path / "digits", drawing), drawing) == [range(START, STOP)]
    assert contents(tmp_path / "digits") == whole


@pytest.mark.parametrize(("file_format", "renamed"), [("idx", 0), ("npy", 1)])
def test_a_run_that_is_killed_between_renames_is_completed_without_drawing(
    tmp_path: Path, drawing: Drawing, monkeypatch: pytest.MonkeyPatch, file_format: str, renamed: int
) -> None:
    whole = unbroken(tmp_path / "whole", file_format, drawing)
    files = FILES[file_format](tmp_path / "digits", drawing)
    targets: list[Path] = []
    replace = Path.replace

    def killed(source: Path, target: Path) -> Path:
        if len(targets) == renamed:
            raise KeyboardInterrupt
        targets.append(target)
        return replace(source, target)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):  # noqa: PT012
        patched.setattr(Path, "replace", killed)
        drain(write(files, drawing))
    assert len(visible(files.folder)) == renamed
    assert sorted(contents(files.folder).values()) == sorted(whole.values())
    assert resume(files, drawing) == []
    assert contents(files.folder) == whole


@pytest.mark.parametrize("final", [0, 1])
def test_a_complete_file_is_kept_while_the_other_is_continued(tmp_path: Path, drawing: Drawing, final: int) -> None:
    whole = unbroken(tmp_path / "whole", "npy", drawing)
    name, other = sorted(whole, reverse=final == 1)
    lay_out(tmp_path / "digits", {name: whole[name], f".{other}.part": whole[other][: 128 + 8 * 64]})
    before = identities(tmp_path / "digits")[str(tmp_path / "digits" / name)]
    images = 64 if other == "labels.npy" else 8
    assert resume(npy_files(tmp_path / "digits", drawing), drawing) == [range(START + images, STOP)]
    assert contents(tmp_path / "digits") == whole
    assert identities(tmp_path / "digits")[str(tmp_path / "digits" / name)] == before


@pytest.mark.parametrize(("file_format", "difference"), [("idx", -1), ("npy", -64), ("npy", 64), ("raw", 1), ("raw", None)])
def test_a_file_of_the_wrong_size_is_not_complete(
    tmp_path: Path, drawing: Drawing, file_format: str, difference: int | None
) -> None:
    whole = unbroken(tmp_path / "whole", file_format, drawing)
    files = FILES[file_format](tmp_path / "digits", drawing)
    images = files.files[0].name
    size = 0 if difference is None else len(whole[images]) + difference
    lay_out(files.folder, whole | {images: (whole[images] + bytes(64))[:size]})
    assert resume(files, drawing) == [range(START, STOP)]
    assert contents(files.folder) == whole


@pytest.mark.parametrize("existing", [Existing.refuse, Existing.overwrite])
def test_only_a_resumed_run_continues_parts(tmp_path: Path, conditional: Generator, drawing: Drawing, existing: Existing) -> None:
    whole = unbroken(tmp_path / "whole", "idx", drawing)
    older = unbroken(tmp_path / "older", "idx", drawing_of(conditional, COUNT, START, seed=4))
    files = idx_files(tmp_path / "digits", drawing)
    lay_out(files.folder, as_parts(older))
    assert files.existing() == []
    drain(write(files, drawing, existing))
    assert contents(files.folder) == whole


def test_a_file_that_has_a_new_part_is_not_complete(tmp_path: Path, conditional: Generator, drawing: Drawing) -> None:
    older = unbroken(tmp_path / "digits", "npy", drawing_of(conditional, COUNT, START, seed=4))
    files = npy_files(tmp_path / "digits", drawing)
    written = write(files, drawing, Existing.overwrite)
    next(written)
    written.close()  # type: ignore[attr-defined]
    assert visible(files.folder) == older
    assert resume(files, drawing) == [range(START + 64, STOP)]
    assert contents(files.folder) == unbroken(tmp_path / "whole", "npy", drawing)


def test_a_file_of_older_labels_that_cannot_be_removed_is_an_output_error(tmp_path: Path, tiny: Generator) -> None:
    (tmp_path / "labels.npy").mkdir()
    drawing = drawing_of(tiny)
    with pytest.raises(OutputError, match=r"^cannot remove .*labels\.npy, an older file of other images: "):
        drain(write(npy_files(tmp_path, drawing), drawing, Existing.overwrite))


def test_a_folder_in_the_place_of_a_part_is_an_output_error(tmp_path: Path, drawing: Drawing) -> None:
    files = npy_files(tmp_path, drawing)
    part = tmp_path / f".{files.files[0].name}.part"
    part.mkdir()
    with pytest.raises(OutputError) as caught:
        files.missing()
    assert str(caught.value) == f"cannot continue {part}: Is a directory"
    for existing in Existing:
        with pytest.raises(OutputError) as caught:
            drain(write(files, drawing, existing))
        verb = "continue" if existing is Existing.resume else "write"
        assert str(caught.value) == f"cannot {verb} {part}: Is a directory"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the user, with a file that is long enough to be continued."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "letter").write_bytes(bytes(10_000))
    return tmp_path / "outside"


@pytest.mark.parametrize("kind", LINKS)
def test_a_part_that_is_a_link_is_not_continued(tmp_path: Path, outside: Path, drawing: Drawing, kind: str) -> None:
    files = npy_files(made(tmp_path / "digits"), drawing)
    part = files.folder / f".{files.files[0].name}.part"
    put(kind, part, outside / "letter")
    said = f"^cannot continue {re.escape(str(part))}: it {'has another hard' if kind == 'hard link' else 'is a symbolic'} link"
    with pytest.raises(OutputError, match=said):
        files.missing()
    with pytest.raises(OutputError, match=said):
        drain(write(files, drawing, Existing.resume))
    assert contents(outside) == {"letter": bytes(10_000)}


@pytest.mark.parametrize("kind", LINKS)
def test_a_new_part_replaces_a_link_and_does_not_follow_it(tmp_path: Path, outside: Path, drawing: Drawing, kind: str) -> None:
    files = npy_files(made(tmp_path / "digits"), drawing)
    put(kind, files.folder / f".{files.files[0].name}.part", outside / "letter")
    drain(write(files, drawing))
    assert contents(files.folder) == unbroken(tmp_path / "other", "npy", drawing)
    assert contents(outside) == {"letter": bytes(10_000)}
    assert not any(path.is_symlink() for path in files.folder.iterdir())


def test_a_broken_link_counts_as_an_existing_file(tmp_path: Path, drawing: Drawing) -> None:
    files = npy_files(tmp_path, drawing)
    (tmp_path / files.files[0].name).symlink_to("absent")
    assert files.existing() == [tmp_path / files.files[0].name]


def test_unfinished_files_of_these_and_of_older_labels_are_discarded_and_nothing_else(tmp_path: Path, tiny: Generator) -> None:
    names = ("images-idx3-ubyte", "labels-idx1-ubyte", "labels-idx2-ubyte")
    whole = dict.fromkeys(names, b"whole")
    others = {".notes.part": b"mine", f"{names[0]}.part": b"mine", f".{names[0]}.parts": b"mine"}
    lay_out(tmp_path, whole | as_parts(whole) | others)
    for _ in range(2):
        idx_files(tmp_path, drawing_of(tiny)).discard_unfinished()
        assert contents(tmp_path) == whole | others


def test_an_unfinished_file_that_cannot_be_removed_is_an_output_error(tmp_path: Path, drawing: Drawing) -> None:
    (tmp_path / ".images.npy.part").mkdir()
    with pytest.raises(OutputError, match=r"^cannot remove .*\.images\.npy\.part, a file that a stopped run left unfinished: "):
        npy_files(tmp_path, drawing).discard_unfinished()
