"""Training images in a folder of pictures: one folder a class, or all in one, as people and as gan-gen leave them."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pocketgan_trainer.data.class_names import class_names, data_set_name, in_order, number_labels, renaming_notes
from pocketgan_trainer.data.image_source import ImageSource
from pocketgan_trainer.data.picture_files import FORMATS, SUFFIXES, picture_kind, read_grey
from pocketgan_trainer.errors import DataError

_CLASS_IN_NAME = re.compile(r"[0-9]{8,}_([A-Za-z0-9]{1,32})\.png", re.IGNORECASE)
_BESIDE_IMAGES = re.compile(r"(manifest|labels|grid|walk)(_[0-9]{8,})?\.(json|csv|png|gif)")
"""What gan-gen writes beside its images: facts and tables, a sheet, an animation."""

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class _Listing:
    """What lies in one folder, sorted by name, without hidden files and those that gan-gen writes beside its images."""

    pictures: tuple[Path, ...]
    others: tuple[Path, ...]
    folders: tuple[Path, ...]


def read_picture_folder(folder: Path) -> ImageSource:
    """Return the pictures of a folder: what they are is looked at now, their pixels are read when they are wanted.

    Each sub-folder is a class, named by it. Where the pictures lie in the folder itself, the class is the end of names such as
    `00000007_3.png`, as gan-gen gives them, if all have such names; else there are no labels. What lies in folders further down
    is left out, and a note says so.

    Raises DataError for a folder without pictures, with an empty sub-folder, or with pictures both in it and in sub-folders; for
    names of classes that do not fit a model card; and for a picture that cannot be read, which it names, with the number of
    others.
    """
    top = _list(folder)
    below = [_list(sub_folder) for sub_folder in top.folders]
    if top.pictures:
        _refuse_both(folder, below)
        files, names, notes = top.pictures, *_classes_in_names(top.pictures)
        others, deeper = top.others, top.folders
    else:
        _refuse_without_pictures(folder, top, below)
        files = tuple(file for listing in below for file in listing.pictures)
        names, notes = [file.parent.name for file in files], ()
        others = tuple(file for listing in (top, *below) for file in listing.others)
        deeper = tuple(folder for listing in below for folder in listing.folders)
    ordered = in_order(sorted(set(names)))
    classes = class_names(ordered, folder)
    if others:
        notes = (*notes, f"{len(others):,} files that are no pictures were passed over, such as {others[0]}.")
    if deeper:
        notes = (*notes, f"Folders further down, such as {deeper[0]}, were not looked into.")
    return ImageSource(
        name=data_set_name(folder.absolute().resolve().name),
        classes=classes,
        labels=number_labels(names, ordered) if names else None,
        kinds=Counter(_all(files, picture_kind)),
        pictures=_all(files, read_grey),
        notes=(*notes, *renaming_notes(ordered, classes)),
    )


def _list(folder: Path) -> _Listing:
    """Look into one folder; raises OSError if that cannot be read."""
    pictures, others, folders = [], [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith((".", "__")) or _BESIDE_IMAGES.fullmatch(entry.name):
                continue
            if entry.is_dir():
                folders.append(folder / entry.name)
            # Nothing but files: reading from a pipe would wait for ever.
            elif entry.is_file() and entry.name.lower().endswith(SUFFIXES):
                pictures.append(folder / entry.name)
            else:
                others.append(folder / entry.name)
    return _Listing(tuple(sorted(pictures)), tuple(sorted(others)), tuple(sorted(folders)))


def _classes_in_names(files: Sequence[Path]) -> tuple[list[str], tuple[str, ...]]:
    """Return the class that each file's name tells, or none if not all do, and notes on that."""
    matches = [_CLASS_IN_NAME.fullmatch(file.name) for file in files]
    names = [match[1] for match in matches if match]
    if not names:
        return [], ()
    example = next(file.name for file, match in zip(files, matches, strict=True) if match)
    if len(names) < len(files):
        note = f"Only {len(names):,} of {len(files):,} file names tell a class, such as {example}: none was taken from them."
        return [], (note,)
    if 2 * len(set(names)) > len(names):
        return [], (
            f"File names such as {example} would tell {len(set(names)):,} classes, hardly two images each: none was taken.",
        )
    return names, (f"Classes were taken from the ends of file names such as {example}.",)


def _refuse_both(folder: Path, below: Sequence[_Listing]) -> None:
    """Raise DataError if there are pictures in sub-folders besides those in the folder."""
    if deeper := next((listing.pictures[0] for listing in below if listing.pictures), None):
        message = (
            f"{folder} holds images both in it and in sub-folders, such as {deeper}: expected one folder a class, or all "
            "images in one folder; move the others away"
        )
        raise DataError(message)


def _refuse_without_pictures(folder: Path, top: _Listing, below: Sequence[_Listing]) -> None:
    """Raise DataError unless there are sub-folders and pictures in each."""
    if not top.folders:
        message = f"{folder} holds no images: expected {', '.join(FORMATS)} files, in it or in one folder a class, or IDX files"
        raise DataError(message)
    empty = [path for path, listing in zip(top.folders, below, strict=True) if not listing.pictures]
    if not empty:
        return
    more = f", like {len(empty) - 1:,} more of {len(below):,} folders" if len(empty) > 1 else ""
    first = next(listing for path, listing in zip(top.folders, below, strict=True) if path == empty[0])
    remedy = f"give the path {empty[0]} if its folders are the classes" if first.folders else "fill or remove it"
    message = f"{empty[0]} holds no images{more}: expected {', '.join(FORMATS)} files in each class's folder; {remedy}"
    raise DataError(message)


def _all(files: Sequence[Path], read: Callable[[Path], _Read]) -> Iterator[_Read]:
    """Yield what `read` makes of each file; after the last raise DataError if it failed for any, with the first's message."""
    failures: list[DataError] = []
    for file in files:
        try:
            yield read(file)
        except DataError as error:
            failures.append(error)
    if failures:
        more = f"; the same goes for {len(failures) - 1:,} more of {len(files):,} files" if len(failures) > 1 else ""
        message = f"{failures[0]}{more}"
        raise DataError(message) from failures[0]
