"""Writing drawn images: a folder of PNG files, one NPZ file, or one sheet for people."""

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pocketgan.card import ModelCard
from pocketgan.errors import OutputError
from pocketgan.files import remove_file, whole_file, write_whole_file
from pocketgan.generator import Batch
from pocketgan.pipeline import ordered_map
from pocketgan.png import encode_png

if TYPE_CHECKING:
    from zipfile import ZipFile

NPZ_NAME = "digits.npz"
GRID_NAME = "grid.png"
GRID_IMAGES = 400
"""A sheet shows at most this many images, the first ones; each character of a row of text counts as one."""

# Small images are enlarged to about this height on a sheet, large ones are shown as they are, if so many pixels hold them.
_SHOWN_HEIGHT = 112
_LARGEST_SCALE = 4
_LARGEST_SHEET = 2**26
_PNG_NAME = re.compile(r"(\d{8,})(_[A-Za-z0-9]+)?\.png")
NOTHING_OLDER: Mapping[int, Sequence[str]] = MappingProxyType({})
NOTHING_ABOUT: Mapping[str, str | int | float] = MappingProxyType({})
# The smallest date that a zip file can hold: equal images give equal bytes.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_PIECE = 2**16


def prepare_folder(folder: Path, option: str = "--out") -> None:
    """Make an output folder and its parents. Raises OutputError, which names `option`, if that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        message = f"output {folder} is a file, expected a folder or a name that is free: choose another {option}"
        raise OutputError(message) from error
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; choose another {option}") from error


def refuse_overwriting(folder: Path, names: Iterable[str]) -> None:
    """Raise OutputError if one of these files exists in the folder."""
    existing = [name for name in names if os.path.exists(folder / name)]
    if existing:
        raise OutputError(f"{folder / existing[0]} exists already: use --overwrite, or another --out")


def refuse_overwriting_images(folder: Path, start: int, count: int) -> None:
    """Raise OutputError if the folder holds a PNG file of an image from index `start` to `start + count - 1`, of any class."""
    existing = sorted(name for names in images_by_index(folder, start, count).values() for name in names)
    if existing:
        more = f", as do {len(existing) - 1:,} more" if len(existing) > 1 else ""
        raise OutputError(f"{folder / existing[0]} exists already{more}: use --overwrite, another --out, or another --start")


def images_by_index(folder: Path, start: int, count: int) -> dict[int, list[str]]:
    """Return the names of the folder's PNG files of images from index `start` to `start + count - 1`, of any class, by index.

    Raises OutputError if the folder cannot be read.
    """
    found: dict[int, list[str]] = {}
    try:
        for name in os.listdir(folder):
            if (match := _PNG_NAME.fullmatch(name)) and start <= int(match[1]) < start + count:
                found.setdefault(int(match[1]), []).append(name)
    except OSError as error:
        raise OutputError(f"cannot read the folder {folder}: {error.strerror}; choose another --out") from error
    return found


def png_name(index: int, class_name: str | None) -> str:
    """Return the file name of an image: `00000007.png`, or with its class or text `00000007_3.png`."""
    return f"{index:08d}.png" if class_name is None else f"{index:08d}_{class_name}.png"


def write_png_files(
    folder: Path,
    batches: Iterable[Batch],
    card: ModelCard,
    older: Mapping[int, Sequence[str]] = NOTHING_OLDER,
    threads: int = 1,
    about: Mapping[str, str | int | float] = NOTHING_ABOUT,
) -> Iterator[Batch]:
    """Write each image as a grey PNG file, by so many threads, and pass the batches on. A kill leaves whole files only.

    A file is named by the image's index and class, or by the row's index and all its classes. Its text `pocketgan` is a JSON
    object: what `about` says of all, the index, and the class or the row's text. Once it is there, the `older` files of its
    index, see `images_by_index`, are removed: an index has one image. Raises OutputError if a file cannot be written or removed;
    files of the batches passed on are complete.
    """
    place = os.fspath(folder)

    def write(batch: Batch) -> Batch:
        for offset, image in enumerate(batch.images):
            index = batch.start + offset
            name = None if batch.labels is None else "".join(card.classes[label] for label in np.atleast_1d(batch.labels[offset]))
            shows = {} if batch.labels is None else {"class" if batch.labels.ndim == 1 else "text": name}
            text = json.dumps({**about, "index": index, **shows})
            written = png_name(index, name)
            write_whole_file(place, written, encode_png(image, "pocketgan", text))
            for other in older.get(index, ()):
                if other != written:
                    remove_file(folder / other, "an older image of the same index")
        return batch

    return map(write, batches) if threads == 1 else ordered_map(write, batches, threads)


def write_npz_file(
    target: Path,
    batches: Iterable[Batch],
    start: int,
    count: int,
    labels: Callable[[int, int], NDArray[np.int64] | None],
) -> Iterator[Batch]:
    """Write all images into one compressed NPZ file and pass the batches on; the file appears after the last.

    It holds `images` uint8 [count, H, W], `index` int64 [count] and, if the model has classes, `labels` int64 [count], or int64
    [count, characters] for rows of text. `labels(start, count)` tells these, as `Generator.labels` does. All is written piece by
    piece, so memory does not grow with `count`. Raises OutputError if the file cannot be written.
    """
    from zipfile import ZIP_DEFLATED, ZipFile  # a few milliseconds, which PNG files need not wait for

    batches = iter(batches)
    with whole_file(target) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as archive:
        first_batch = next(batches)
        with _array_entry(archive, "images", "|u1", (count, *first_batch.images.shape[1:])) as file:
            for batch in chain([first_batch], batches):
                file.write(np.ascontiguousarray(batch.images).data)
                yield batch
        pieces = [(first, min(_PIECE, start + count - first)) for first in range(start, start + count, _PIECE)]
        with _array_entry(archive, "index", "<i8", (count,)) as file:
            for first, length in pieces:
                file.write(np.arange(first, first + length, dtype="<i8").data)
        if first_batch.labels is not None:
            with _array_entry(archive, "labels", "<i8", (count, *first_batch.labels.shape[1:])) as file:
                for first, length in pieces:
                    file.write(np.ascontiguousarray(labels(first, length), dtype="<i8").data)


def images_on_sheet(height: int, width: int, characters: int = 1) -> int:
    """Return how many images of a size, or rows of text of so many characters, are shown on a sheet: at least one."""
    return max(1, min(GRID_IMAGES // characters, _LARGEST_SHEET // (height * width)))


def write_grid(target: Path, images: NDArray[np.uint8]) -> None:
    """Write images uint8 [N, H, W] as one sheet about as wide as high, a PNG file. Raises OutputError if that fails."""
    from pocketgan.pictures import contact_sheet  # and Pillow with it, which PNG files do without

    count, height, width = images.shape
    scale = max(1, min(_LARGEST_SCALE, _SHOWN_HEIGHT // height))
    columns = math.ceil(math.sqrt(count * height / width))
    with whole_file(target) as temporary:
        contact_sheet(images, columns, scale).save(temporary, format="PNG")


@contextmanager
def _array_entry(archive: "ZipFile", name: str, dtype: str, shape: tuple[int, ...]) -> Iterator[IO[bytes]]:
    """Yield a new entry of an NPZ file, into which the bytes of an array of this type and shape are to be written."""
    from zipfile import ZIP_DEFLATED, ZipInfo

    entry = ZipInfo(f"{name}.npy", _ZIP_DATE)
    entry.compress_type = ZIP_DEFLATED
    with archive.open(entry, "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
        yield file
