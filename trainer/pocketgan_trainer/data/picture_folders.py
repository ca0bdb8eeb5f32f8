"""Read training images from a folder of pictures: one sub-folder per class, or all in one folder, as gan-gen also writes them."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from pocketgan_trainer.data.idx_folders import find_idx_images, find_idx_test_images, read_idx_source
from pocketgan_trainer.data.other_formats import other_format
from pocketgan_trainer.data.pictures import picture_source
from pocketgan_trainer.data.source import (
    PICTURE_FORMATS,
    ImageSource,
    NamedClasses,
    WantedImages,
    data_set_name,
    name_classes,
)
from pocketgan_trainer.errors import DataError

_CLASS_IN_NAME = re.compile(r"[0-9]{8,}_([A-Za-z0-9]{1,32})\.png", re.IGNORECASE)
_BESIDE_IMAGES = re.compile(r"(manifest|labels|grid|walk|vary)(_[0-9]{8,})?\.(json|csv|png|gif)")
"""The other files that gan-gen writes: manifest, labels, sheet and animation."""

_MADE_BY_SYSTEMS = (
    *("lost+found", "found.[0-9][0-9][0-9]", "lost.dir"),  # from checks of file systems
    *("$recycle.bin", "system volume information"),  # Windows
    *("thumbs.db", "ehthumbs*.db", "desktop.ini", "picasa.ini"),
    *("__macosx", ".appledouble", "network trash folder", "temporary items", "icon\r"),  # macOS
    ".trash*",  # Linux and macOS
    *("@eadir", "#recycle", "#snapshot", "@tmp", "@synoresource"),  # Synology
    *("@recycle", "@recently-snapshot", ".@__thumb", "@sharebin", "@transcode"),  # QNAP
    *(".snapshot", "~snapshot", ".zfs"),  # NetApp, ZFS
    *(".stversions", ".sync", ".dropbox.cache"),  # Syncthing, Resilio Sync, Dropbox
    *("cvs", "sccs", "_svn", "_darcs"),  # version control
    *("__pycache__", ".ipynb_checkpoints"),  # Python, Jupyter
)
"""Lower-case names of files and folders that systems and tools create; they may not even be readable."""
_FOR_TRAINING = ("train", "training")
"""Names of a folder with training data, next to one for testing."""
_FOR_TESTING = ("test", "testing", "val", "valid", "validation", "dev", "eval")
_SHOWN = 5


@dataclass(frozen=True)
class _Listing:
    """The contents of one folder, sorted by name, without hidden files and the other files of gan-gen (_BESIDE_IMAGES)."""

    pictures: tuple[Path, ...]
    others: tuple[Path, ...]
    folders: tuple[Path, ...]
    set_aside: tuple[Path, ...]
    """Folders whose names begin with `__`."""
    made_by_systems: tuple[str, ...]
    """Names that match _MADE_BY_SYSTEMS."""


def read_picture_folder(folder: Path, wanted: WantedImages) -> ImageSource:
    """Return the pictures of a folder. Their headers are read now, their pixels later.

    Each sub-folder is a class with the folder's name. If the pictures are in the folder itself, the class is the end of names
    such as `00000007_3.png`, as gan-gen writes them, provided that all have such names; else there are no labels, which is an
    error if certain classes are wanted. Deeper folders are skipped, with a note. If there are no pictures at all, but
    IDX files in one deeper folder, these are read.

    Raises DataError for a folder without pictures, with an empty sub-folder, or with pictures both in it and in sub-folders; for
    names of classes that do not fit a model card; and for pictures that cannot be read, naming the first few.
    """
    top = _list(folder, wanted)
    below = [_list(sub_folder, wanted) for sub_folder in top.folders]
    if top.pictures:
        _refuse_both(folder, below)
        files, names, notes = top.pictures, *_classes_in_names(top.pictures, wanted)
        listings, deeper = [top], top.folders
    elif (found := _find_idx_below(folder, top, below)) is not None:
        source = read_idx_source(found, wanted)
        return replace(source, notes=(*source.notes, f"The IDX files of {found.parent} were taken."))
    else:
        _refuse_parts(folder, top, below)
        _refuse_without_pictures(folder, top, below, wanted)
        files = tuple(file for listing in below for file in listing.pictures)
        names, notes = [file.parent.name for file in files], ()
        listings, deeper = [top, *below], tuple(folder for listing in below for folder in listing.folders)
    wanted.check_count(len(files), folder)
    set_aside = [path for path in top.set_aside if _list(path, wanted).pictures]
    return picture_source(
        data_set_name(folder.absolute().resolve().name),
        files,
        name_classes(names, folder) if names else NamedClasses(),
        wanted,
        (*notes, *_notes_on_left_out(listings, deeper, set_aside, wanted)),
    )


def _list(folder: Path, wanted: WantedImages) -> _Listing:
    """Return the contents of one folder. Raises OSError if it cannot be read."""
    suffixes = tuple(suffix for name in wanted.formats for suffix in PICTURE_FORMATS[name])
    pictures, others, folders, set_aside, made_by_systems = [], [], [], [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if any(fnmatchcase(entry.name.lower(), pattern) for pattern in _MADE_BY_SYSTEMS):
                made_by_systems.append(entry.name)
            elif entry.name.startswith((".", "__")) or _BESIDE_IMAGES.fullmatch(entry.name):
                if entry.name.startswith("__") and entry.is_dir():
                    set_aside.append(folder / entry.name)
            elif entry.is_dir():
                if wanted.classes is None or entry.name in wanted.classes:
                    folders.append(folder / entry.name)
            # A dangling link is skipped. A pipe is not: the error on reading it says what it is.
            elif entry.name.lower().endswith(suffixes) and os.path.exists(entry.path):
                pictures.append(folder / entry.name)
            else:
                others.append(folder / entry.name)
    return _Listing(
        tuple(sorted(pictures)), tuple(sorted(others)), tuple(sorted(folders)), tuple(sorted(set_aside)), tuple(made_by_systems)
    )


def _classes_in_names(files: Sequence[Path], wanted: WantedImages) -> tuple[list[str], tuple[str, ...]]:
    """Return the class in each file's name, or an empty list if some names have none, and notes."""
    matches = [_CLASS_IN_NAME.fullmatch(file.name) for file in files]
    names = [match[1] for match in matches if match]
    if not names:
        return [], ()
    example = next(file.name for file, match in zip(files, matches, strict=True) if match)
    if len(names) < len(files):
        if wanted.classes is not None:
            without = next(file for file, match in zip(files, matches, strict=True) if not match)
            expected = "expected names such as 00000007_3.png for all or none"
            raise DataError(f"{without} has no class in its name, unlike others there: {expected}")
        ends = "ends" if len(names) == 1 else "end"
        return [], (f"Only {len(names):,} of {len(files):,} file names {ends} in a class, such as {example}: none was taken.",)
    if wanted.classes is None and 2 * len(set(names)) > len(names):
        return [], (
            f"File names such as {example} would give {len(set(names)):,} classes, hardly two images each: none was taken.",
        )
    return names, (f"Classes were taken from the ends of file names such as {example}.",)


def _notes_on_left_out(
    listings: Sequence[_Listing], deeper: Sequence[Path], set_aside: Sequence[Path], wanted: WantedImages
) -> Iterator[str]:
    """Yield a note for each kind of files and folders that were skipped."""
    if others := [file for listing in listings for file in listing.others]:
        were = "other was" if len(others) == 1 else "others were"
        formats = ", ".join(wanted.formats)
        yield f"Only files named as {formats} are read: {len(others):,} {were} skipped, such as {others[0]}."
    if made := sorted({name for listing in listings for name in listing.made_by_systems}):
        rest = f", and {len(made) - _SHOWN:,} more" if len(made) > _SHOWN else ""
        yield f"Files and folders that systems and tools create were skipped: {', '.join(made[:_SHOWN])}{rest}."
    if deeper:
        yield f"Deeper folders, such as {deeper[0]}, were skipped."
    if set_aside:
        hold = "holds" if len(set_aside) == 1 else "hold"
        found = f"{len(set_aside):,} of them {hold} pictures, such as {set_aside[0]}"
        yield f"Folders whose names begin with __ are skipped: {found}."


def _find_idx_below(folder: Path, top: _Listing, below: Sequence[_Listing]) -> Path | None:
    """Return the only file of IDX images one or two levels down, where torchvision and others put it.

    Returns None if there is none, or if there are pictures. Raises DataError if there are several.
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


def _refuse_both(folder: Path, below: Sequence[_Listing]) -> None:
    """Raise DataError if there are pictures in sub-folders as well."""
    if deeper := next((listing.pictures[0] for listing in below if listing.pictures), None):
        message = (
            f"{folder} holds images both in it and in sub-folders, such as {deeper}: expected one folder per class, or all "
            "images in one folder; move the others away"
        )
        raise DataError(message)


def _refuse_parts(folder: Path, top: _Listing, below: Sequence[_Listing]) -> None:
    """Raise DataError if the names of the sub-folders with pictures show that they are parts of a data set, not classes."""
    holding = [path for path, listing in zip(top.folders, below, strict=True) if listing.pictures]
    parts = [path for path in holding if path.name.lower() in (*_FOR_TRAINING, *_FOR_TESTING)]
    has_both = all(any(path.name.lower() in names for path in parts) for names in (_FOR_TRAINING, _FOR_TESTING))
    if not parts or (parts != holding and not has_both):
        return
    training = next((path for path in top.folders if path.name.lower() in _FOR_TRAINING), parts[0])
    message = (
        f"{folder} holds images directly in {' and '.join(path.name for path in parts)}, named like parts of a data set: "
        f"expected one folder per class; give the path {training}, or rename the folders that are classes"
    )
    raise DataError(message)


def _refuse_without_pictures(folder: Path, top: _Listing, below: Sequence[_Listing], wanted: WantedImages) -> None:
    """Raise DataError unless there are sub-folders, each with pictures. The message suggests what to give instead."""
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
        set_aside = next((path for path in top.set_aside if _list(path, wanted).pictures), None)
        other = next(((file, other) for file in top.others if (other := other_format(file.name)) is not None), None)
        remedy = f"; {other[0]} is {other[1].what}: {other[1].remedy}" if other is not None else ""
        if set_aside is not None:
            remedy = f"; rename {set_aside} if it is one, to begin without __"
        named = f" named {wanted.classes[0]} to {wanted.classes[-1]}" if wanted.classes else ""
        expected = f"{', '.join(wanted.formats)} files, in it or in one folder per class{named}, or IDX files"
        message = f"{folder} holds no images: expected {expected}{remedy}"
        raise DataError(message)
    first, deeper = next((entry for entry in empty if entry[1] and entry[0].name.lower() in _FOR_TRAINING), empty[0])
    more = f", like {len(empty) - 1:,} more of {len(below):,} folders" if len(empty) > 1 else ""
    candidates = (path for sub_folder, folders in empty for path in (sub_folder, *folders))
    if (idx_folder := next((path for path in candidates if find_idx_images(path) is not None), None)) is not None:
        remedy = f"give the path {idx_folder}, which holds IDX files"
    elif deeper:
        remedy = f"give the path {first} if its folders are the classes"
    else:
        remedy = "fill or remove it"
    message = f"{first} holds no images{more}: expected {', '.join(wanted.formats)} files in each class's folder; {remedy}"
    raise DataError(message)
