"""The files that accompany the images: `manifest.json`, with all that is needed to draw them again, and `labels.csv`."""

import json
import os
import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pocketgan.errors import OutputError
from pocketgan.files import file_names, open_regular_file, output_errors, remove_file, whole_file
from pocketgan.output.formats import Format
from pocketgan.request import Grid
from pocketgan.series import Series, words
from pocketgan.version import VERSION

# For people to read; neither pixels nor files depend on these.
_BESIDE = "beside"
_NOT_COMPARED = ("pocketgan", "model_name", "command", "model_classes", _BESIDE)
_LONGEST_SHOWN, _SHOWN_START = 60, 12
# In the manifest only until all files of the run are written.
_IS_UNFINISHED = "is_unfinished"
# In the manifest only while older files are being replaced: some of them may still exist.
_IS_REPLACING = "is_replacing_older_files"
_LARGEST = 2**20


def manifest_of(drawing: Series, file_format: Format, grid: Grid | None, has_walk: bool, varied: str | None) -> dict[str, object]:
    """Return everything that the files of a run depend on, and the command that draws them again, into the folder `digits`."""
    options: dict[str, object] = {"--format": file_format.value}
    if grid is not None:
        options["--grid"] = grid
    if varied is not None:
        options["--vary"] = varied
    return {
        "pocketgan": VERSION,
        "command": shlex.join([*drawing.command, *words(options), *["--gif"] * has_walk]),
        **drawing.facts,
        "format": file_format.value,
        "grid": None if grid is None else str(grid),
        "gif": has_walk,
        **({} if varied is None else {"vary": varied}),
    }


def write_manifest(
    path: Path, manifest: Mapping[str, object], beside: Sequence[str], is_synced: bool, is_replacing: bool, is_finished: bool
) -> None:
    """Write a manifest, whole. Raises OutputError if that fails.

    `is_replacing` says that older files are being replaced, `is_finished` that all files of the run are there.

    `beside` are the names of the files that are written beside the images, but for labels.

    With `is_synced` a power cut afterwards does not lose it, which takes some milliseconds.
    """
    contents = {**manifest, _BESIDE: list(beside)}
    contents |= {key: True for key, holds in ((_IS_REPLACING, is_replacing), (_IS_UNFINISHED, not is_finished)) if holds}
    # One line for each key, even if its value is a list.
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in contents.items())
    with whole_file(path, is_synced) as temporary:
        temporary.write_text(f"{{\n{lines}\n}}\n")


def read_manifest(path: Path) -> dict[str, object] | None:
    """Return a manifest, or None if the file does not exist. Raises OutputError if it cannot be read."""
    try:
        with open_regular_file(path) as file:
            contents = json.loads(file.read(_LARGEST))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}; choose another --out") from error
    except (ValueError, RecursionError) as error:
        raise OutputError(f"{path} is not a pocketgan manifest ({error}): use --overwrite, or another --out") from error
    if not isinstance(contents, dict) or "pocketgan" not in contents:
        raise OutputError(f"{path} is not a pocketgan manifest (it has no key pocketgan): use --overwrite, or another --out")
    return contents


_BESIDE_NAME = re.compile(r"(?:grid|walk|vary|annotations|boxes|train|data|masks)(?:_[0-9]{8,})?(?:\.[a-z]{3,4})?")
_NUMBERED = re.compile(r"([0-9]{8,})\.(png|txt)")


def older_manifest(path: Path) -> Mapping[str, object]:
    """Return the manifest of an older run that is about to be replaced; one that cannot be read is of no run, and empty."""
    with suppress(OutputError):
        return read_manifest(path) or {}
    return {}


def images_that_stay(older: Mapping[str, object], newer: Mapping[str, object], images_in_file: int | None) -> int:
    """Return how many images of an older run are not replaced by a newer one into the same folder, by their manifests.

    Those of an older run that was stopped are not counted, since nobody knows how many there are. `images_in_file` is that of
    the newer one's format, see `formats.Row`.
    """
    start, count = older.get("start"), older.get("count")
    if type(start) is not int or type(count) is not int or not is_finished(older):
        return 0
    if older.get("format") != newer["format"]:
        return count
    if images_in_file is None:
        return 0
    first, new = (int(str(newer[key])) for key in ("start", "count"))
    replaced = range(first // images_in_file * images_in_file, -(-(first + new) // images_in_file) * images_in_file)
    return count - len(range(max(start, replaced.start), min(start + count, replaced.stop)))


def remove_older(folder: Path, found: Mapping[str, object], kept: Collection[str]) -> None:
    """Remove what an older run, by its manifest, wrote beside its images, but for the names that are written again.

    So no boxes, masks or sheets of other images stay. Raises OutputError if a file cannot be removed.
    """
    beside = found.get(_BESIDE)
    names = [name for name in beside if isinstance(name, str)] if isinstance(beside, list) else []
    older = [name for name in names if _BESIDE_NAME.fullmatch(name) and name not in kept]
    for name in older:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            _remove_numbered(path, "png", found)
            with suppress(OSError):  # it contains other files
                path.rmdir()
        elif not path.is_symlink():
            remove_file(path, "a file of older images")
    if any(name.startswith("train") for name in older):
        _remove_numbered(folder, "txt", found)


def _remove_numbered(folder: Path, ending: str, found: Mapping[str, object]) -> None:
    """Remove the files with this ending that are named by the indices of a run."""
    start, count = found.get("start"), found.get("count")
    if type(start) is not int or type(count) is not int:
        return
    for name in list(file_names(folder)):
        match = _NUMBERED.fullmatch(name)
        if match and match[2] == ending and start <= int(match[1]) < start + count:
            remove_file(folder / name, "a file of older images")


def is_finished(manifest: Mapping[str, object]) -> bool:
    """Return whether all files of a manifest's run were written."""
    return not any(manifest.get(key) for key in (_IS_REPLACING, _IS_UNFINISHED))


def is_replacing(manifest: Mapping[str, object]) -> bool:
    """Return whether a manifest was left by a run that was stopped while it replaced older files."""
    return manifest.get(_IS_REPLACING) is True


def differences(found: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    """Return in words how a run differs from the one that is wanted, by their manifests; nothing if it is the same."""
    return [
        f"{name} is {_shown(found.get(name))} there, {_shown(wanted.get(name))} requested"
        for name in {**wanted, **found}  # some names stand for an option that was given
        if name not in (*_NOT_COMPARED, _IS_REPLACING, _IS_UNFINISHED) and found.get(name) != wanted.get(name)
    ]


def _shown(value: object) -> str:
    """Return a value of a manifest for a message; digests and long lists are cut off."""
    text = json.dumps(value)
    if len(text) <= _LONGEST_SHOWN:
        return text
    return f"{text[:_SHOWN_START]}...{text[-1]}"  # with its closing quote or bracket


def refuse_another_run(path: Path, found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    """Raise OutputError, which lists the differences, unless the manifest found belongs to the run that is wanted."""
    if others := differences(found, wanted):
        raise OutputError(
            f"cannot resume: {path} belongs to another run, {'; '.join(others)}: give the same options, or another --out"
        )


_COLUMNS = "index,label\n"
_COLUMNS_OF_FILES = "file_name,index,label\n"


def write_labels(target: Path, drawing: Series, file_of: Callable[[int], str | None]) -> None:
    """Write the labels of all images: the name of each image's class, or the text of the row.

    `file_of` returns the path of an image within the folder; if images share files it returns None, and the column is left out.
    Memory use does not depend on the number of images. Raises OutputError if the file cannot be written.
    """
    indices = drawing.indices
    # Fields contain only letters, digits, gaps and `_./`, so none needs quotes.
    with (
        whole_file(target, is_synced=False) as temporary,
        temporary.open("w", encoding="ascii", newline="\n") as file,
    ):
        has_files = file_of(indices[0]) is not None
        file.write(_COLUMNS_OF_FILES if has_files else _COLUMNS)
        for index in indices:
            file.write(f"{file_of(index)}," if has_files else "")
            text = drawing.text(index)
            file.write(f"{index},{drawing.name(index) if text is None else text}\n")


def remove_labels(target: Path) -> None:
    """Remove the labels of older images, if `write_labels` wrote them. Raises OutputError if that fails."""
    if not os.path.exists(target):
        return
    with output_errors(target, "read"), open_regular_file(target) as file:
        is_ours = file.readline(len(_COLUMNS_OF_FILES)) in (_COLUMNS.encode(), _COLUMNS_OF_FILES.encode())
    if is_ours:
        remove_file(target, "labels of older images")
