"""Training images in a folder of pictures: one folder a class, or all in one, as people and as gan-gen leave them."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TypeVar

from pocketgan_trainer.data.array_files import WantedImages
from pocketgan_trainer.data.idx_folders import find_idx_images, find_idx_test_images, read_idx_source
from pocketgan_trainer.data.other_formats import other_format
from pocketgan_trainer.data.picture_files import DEEP_GREY, FORMATS, SUFFIXES, brightest_pixel, picture_kind, read_grey
from pocketgan_trainer.data.source import ImageSource, class_names, data_set_name, in_order, number_labels, renaming_notes
from pocketgan_trainer.errors import DataError

_CLASS_IN_NAME = re.compile(r"[0-9]{8,}_([A-Za-z0-9]{1,32})\.png", re.IGNORECASE)
_BESIDE_IMAGES = re.compile(r"(manifest|labels|grid|walk)(_[0-9]{8,})?\.(json|csv|png|gif)")
"""What gan-gen writes beside its images: facts and tables, a sheet, an animation."""

_MADE_BY_SYSTEMS = (
    *("lost+found", "found.[0-9][0-9][0-9]", "lost.dir"),  # what checks of file systems found
    *("$recycle.bin", "system volume information"),  # Windows
    *("thumbs.db", "ehthumbs*.db", "desktop.ini", "picasa.ini"),
    *("__macosx", ".appledouble", "network trash folder", "temporary items", "icon\r"),  # macOS
    ".trash*",  # Linux and macOS
    *("@eadir", "#recycle", "#snapshot", "@tmp", "@synoresource"),  # Synology
    *("@recycle", "@recently-snapshot", ".@__thumb", "@sharebin", "@transcode"),  # QNAP
    *(".snapshot", "~snapshot", ".zfs"),  # NetApp, ZFS
    *(".stversions", ".sync", ".dropbox.cache"),  # Syncthing, Resilio Sync, Dropbox
    *("cvs", "sccs", "_svn", "_darcs"),  # versions
    *("__pycache__", ".ipynb_checkpoints"),  # Python, Jupyter
)
"""Names, in small letters, of files and folders that nobody made for training; they may not even be readable."""
_FOR_TRAINING = ("train", "training")
"""Names of the folder to take where another holds what is for testing."""
_FOR_TESTING = ("test", "testing", "val", "valid", "validation", "dev", "eval")
_DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras and scanners use of 16."""
_SHOWN = 5

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class _Listing:
    """What lies in one folder, sorted by name, without hidden files and those that gan-gen writes beside its images."""

    pictures: tuple[Path, ...]
    others: tuple[Path, ...]
    folders: tuple[Path, ...]
    set_aside: tuple[Path, ...]
    """Folders whose names begin with `__`."""
    made_by_systems: tuple[str, ...]
    """Names of files and folders of _MADE_BY_SYSTEMS."""


def read_picture_folder(folder: Path, wanted: WantedImages) -> ImageSource:
    """Return the pictures of a folder: what they are is looked at now, their pixels are read when they are wanted.

    Each sub-folder is a class, named by it. Where the pictures lie in the folder itself, the class is the end of names such as
    `00000007_3.png`, as gan-gen gives them, if all have such names; else there are no labels. What lies in folders further down
    is left out, and a note says so. If there are no pictures at all, but IDX files in one folder further down, these are read.

    Raises DataError for a folder without pictures, with an empty sub-folder, or with pictures both in it and in sub-folders; for
    names of classes that do not fit a model card; and for pictures that cannot be read, of which it names some.
    """
    top = _list(folder)
    below = [_list(sub_folder) for sub_folder in top.folders]
    if top.pictures:
        _refuse_both(folder, below)
        files, names, notes = top.pictures, *_classes_in_names(top.pictures)
        listings, deeper = [top], top.folders
    elif (found := _find_idx_below(folder, top, below)) is not None:
        source = read_idx_source(found, wanted)
        return replace(source, notes=(*source.notes, f"The IDX files of {found.parent} were taken."))
    else:
        _refuse_parts(folder, top, below)
        _refuse_without_pictures(folder, top, below)
        files = tuple(file for listing in below for file in listing.pictures)
        names, notes = [file.parent.name for file in files], ()
        listings, deeper = [top, *below], tuple(folder for listing in below for folder in listing.folders)
    ordered = in_order(sorted(set(names)))
    classes = class_names(ordered, folder)
    kinds = list(_all(files, picture_kind))
    depth, depth_notes = _depth_in_use([file for file, kind in zip(files, kinds, strict=True) if kind.colours == DEEP_GREY])
    animated = [file for file, kind in zip(files, kinds, strict=True) if kind.is_animated]
    set_aside = [path for path in top.set_aside if _list(path).pictures]
    return ImageSource(
        name=data_set_name(folder.absolute().resolve().name),
        classes=classes,
        labels=number_labels(names, ordered) if names else None,
        kinds=Counter(kinds),
        pictures=_all(files, partial(read_grey, depth=depth)),
        notes=(
            *notes,
            *_notes_on_left_out(listings, deeper, set_aside, animated),
            *renaming_notes(ordered, classes),
            *depth_notes,
        ),
    )


def _list(folder: Path) -> _Listing:
    """Look into one folder; raises OSError if that cannot be read."""
    pictures, others, folders, set_aside, made_by_systems = [], [], [], [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if any(fnmatchcase(entry.name.lower(), pattern) for pattern in _MADE_BY_SYSTEMS):
                made_by_systems.append(entry.name)
            elif entry.name.startswith((".", "__")) or _BESIDE_IMAGES.fullmatch(entry.name):
                if entry.name.startswith("__") and entry.is_dir():
                    set_aside.append(folder / entry.name)
            elif entry.is_dir():
                folders.append(folder / entry.name)
            # A link to nowhere is passed over; a pipe is not, since reading it says what it is.
            elif entry.name.lower().endswith(SUFFIXES) and os.path.exists(entry.path):
                pictures.append(folder / entry.name)
            else:
                others.append(folder / entry.name)
    return _Listing(
        tuple(sorted(pictures)), tuple(sorted(others)), tuple(sorted(folders)), tuple(sorted(set_aside)), tuple(made_by_systems)
    )


def _find_idx_below(folder: Path, top: _Listing, below: Sequence[_Listing]) -> Path | None:
    """Return the one file of IDX images one or two levels down, as torchvision and others lay them, where there are no pictures.

    None if there is none, or if pictures are there. Raises DataError if there are several.
    """
    if any(listing.pictures for listing in below):
        return None
    candidates = (path for sub, listing in zip(top.folders, below, strict=True) for path in (sub, *listing.folders))
    found = [images for path in candidates if (images := find_idx_images(path)) is not None]
    if len(found) > 1:
        message = (
            f"{folder} holds IDX files of {len(found)} data sets, in {', '.join(str(path.parent) for path in found[:_SHOWN])}: "
            f"expected one; give the path of one, such as {found[0].parent}"
        )
        raise DataError(message)
    return found[0] if found else None


def _depth_in_use(files: Sequence[Path]) -> tuple[int, tuple[str, ...]]:
    """Return how many bits are in use in pictures of DEEP_GREY, all together, and a note on that."""
    if not files:
        return _DEPTHS[-1], ()
    brightest = max(_all(files, brightest_pixel))
    depth = next(depth for depth in _DEPTHS if brightest < 2**depth)
    pictures = "picture has" if len(files) == 1 else "pictures have"
    found = f"{len(files):,} {pictures} pixels of 16 bits, the brightest of all of value {brightest:,} of 65,535"
    return depth, (f"{found}: they were read as {depth} bits, all alike.",)


def _classes_in_names(files: Sequence[Path]) -> tuple[list[str], tuple[str, ...]]:
    """Return the class that each file's name tells, or none if not all do, and notes on that."""
    matches = [_CLASS_IN_NAME.fullmatch(file.name) for file in files]
    names = [match[1] for match in matches if match]
    if not names:
        return [], ()
    example = next(file.name for file, match in zip(files, matches, strict=True) if match)
    if len(names) < len(files):
        tell = "tells" if len(names) == 1 else "tell"
        note = f"Only {len(names):,} of {len(files):,} file names {tell} a class, such as {example}: none was taken from them."
        return [], (note,)
    if 2 * len(set(names)) > len(names):
        return [], (
            f"File names such as {example} would tell {len(set(names)):,} classes, hardly two images each: none was taken.",
        )
    return names, (f"Classes were taken from the ends of file names such as {example}.",)


def _notes_on_left_out(
    listings: Sequence[_Listing], deeper: Sequence[Path], set_aside: Sequence[Path], animated: Sequence[Path]
) -> Iterator[str]:
    """Yield a note on each of these kinds of files and folders that there are."""
    if others := [file for listing in listings for file in listing.others]:
        were = "other was" if len(others) == 1 else "others were"
        yield f"Only files named as {', '.join(FORMATS)} are read: {len(others):,} {were} passed over, such as {others[0]}."
    if made := sorted({name for listing in listings for name in listing.made_by_systems}):
        rest = f", and {len(made) - _SHOWN:,} more" if len(made) > _SHOWN else ""
        yield f"What systems and tools make was passed over: {', '.join(made[:_SHOWN])}{rest}."
    if deeper:
        yield f"Folders further down, such as {deeper[0]}, were not looked into."
    if set_aside:
        hold = "holds" if len(set_aside) == 1 else "hold"
        found = f"{len(set_aside):,} of them {hold} pictures, such as {set_aside[0]}"
        yield f"Folders whose names begin with __ are passed over: {found}."
    if animated:
        pictures = "picture" if len(animated) == 1 else "pictures"
        yield f"Only the first frame was taken of {len(animated):,} animated {pictures}, such as {animated[0]}."


def _refuse_both(folder: Path, below: Sequence[_Listing]) -> None:
    """Raise DataError if there are pictures in sub-folders besides those in the folder."""
    if deeper := next((listing.pictures[0] for listing in below if listing.pictures), None):
        message = (
            f"{folder} holds images both in it and in sub-folders, such as {deeper}: expected one folder a class, or all "
            "images in one folder; move the others away"
        )
        raise DataError(message)


def _refuse_parts(folder: Path, top: _Listing, below: Sequence[_Listing]) -> None:
    """Raise DataError if sub-folders with pictures are no classes but parts of a data set, by their names."""
    holding = [path for path, listing in zip(top.folders, below, strict=True) if listing.pictures]
    parts = [path for path in holding if path.name.lower() in (*_FOR_TRAINING, *_FOR_TESTING)]
    has_both = all(any(path.name.lower() in names for path in parts) for names in (_FOR_TRAINING, _FOR_TESTING))
    if not parts or (parts != holding and not has_both):
        return
    training = next((path for path in top.folders if path.name.lower() in _FOR_TRAINING), parts[0])
    message = (
        f"{folder} holds images straight in {' and '.join(path.name for path in parts)}, by their names parts of a data set: "
        f"expected one folder a class; give the path {training}, or rename what is a class"
    )
    raise DataError(message)


def _refuse_without_pictures(folder: Path, top: _Listing, below: Sequence[_Listing]) -> None:
    """Raise DataError, which says what to give instead, unless there are sub-folders and pictures in each."""
    empty = [(path, listing.folders) for path, listing in zip(top.folders, below, strict=True) if not listing.pictures]
    if top.folders and not empty:
        return
    if (test_images := find_idx_test_images(folder)) is not None:
        training_name = test_images.name.replace("t10k-", "train-").replace("-test-", "-train-")
        message = (
            f"{folder} holds only test images, {test_images.name}: expected training images, {training_name}; put them there, or "
            f"give the path {test_images}"
        )
        raise DataError(message)
    if not top.folders:
        set_aside = next((path for path in top.set_aside if _list(path).pictures), None)
        other = next(((file, other) for file in top.others if (other := other_format(file.name)) is not None), None)
        remedy = f"; {other[0]} is {other[1].what}: {other[1].remedy}" if other is not None else ""
        if set_aside is not None:
            remedy = f"; rename {set_aside} if it is one, to begin without __"
        expected = f"{', '.join(FORMATS)} files, in it or in one folder a class, or IDX files"
        message = f"{folder} holds no images: expected {expected}{remedy}"
        raise DataError(message)
    first, deeper = next((entry for entry in empty if entry[1] and entry[0].name.lower() in _FOR_TRAINING), empty[0])
    more = f", like {len(empty) - 1:,} more of {len(below):,} folders" if len(empty) > 1 else ""
    candidates = (path for sub_folder, folders in empty for path in (sub_folder, *folders))
    if (idx_folder := next((path for path in candidates if find_idx_images(path) is not None), None)) is not None:
        remedy = f"give the path {idx_folder}, where IDX files lie"
    elif deeper:
        remedy = f"give the path {first} if its folders are the classes"
    else:
        remedy = "fill or remove it"
    message = f"{first} holds no images{more}: expected {', '.join(FORMATS)} files in each class's folder; {remedy}"
    raise DataError(message)


def _all(files: Sequence[Path], read: Callable[[Path], _Read]) -> Iterator[_Read]:
    """Yield what `read` makes of each file; after the last raise DataError if it failed for any.

    It has the first's message and the next four's paths.
    """
    failures: list[tuple[Path, DataError]] = []
    for file in files:
        try:
            yield read(file)
        except DataError as error:
            failures.append((file, error))
    if failures:
        _, first = failures[0]
        also = ", ".join(str(file) for file, _ in failures[1:_SHOWN])
        rest = f", and {len(failures) - _SHOWN:,} more of {len(files):,} files" if len(failures) > _SHOWN else ""
        message = f"{first}; cannot be used either: {also}{rest}" if also else str(first)
        raise DataError(message) from first
