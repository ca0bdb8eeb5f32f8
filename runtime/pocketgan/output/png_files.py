"""PNG files, one for each image: in one folder, or in one folder a class."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketgan.drawing import Drawing
from pocketgan.drawing_run import Existing
from pocketgan.errors import OutputError
from pocketgan.files import remove_file, write_whole_file
from pocketgan.generator import BATCH_SIZE, Batch
from pocketgan.output.folder import file_names, prepare_folder, remove_leftovers
from pocketgan.output.png import PNG_END, encode_png
from pocketgan.pipeline import ordered_map

_PNG_NAME = re.compile(r"(\d{8,})(_[A-Za-z0-9]+)?\.png")


def png_name(index: int, class_name: str | None) -> str:
    """Return the file name of an image: `00000007.png`, or with its class or text `00000007_3.png`."""
    return f"{index:08d}.png" if class_name is None else f"{index:08d}_{class_name}.png"


def png_bytes(drawing: Drawing, batch: Batch) -> list[bytes]:
    """Return each image of a batch as a PNG file, whose text `pocketgan` says in JSON what it was drawn from.

    That is all of `Drawing.about`, the index, and the class or the row's text.
    """
    kind = "class" if drawing.selection.text is None else "text"
    files = []
    for index, image in enumerate(batch.images, batch.start):
        name = drawing.name(index)
        text = json.dumps({**drawing.about, "index": index, **({} if name is None else {kind: name})})
        files.append(encode_png(image, "pocketgan", text))
    return files


def encoded(drawing: Drawing, batches: Iterable[Batch]) -> Iterator[tuple[Batch, list[bytes]]]:
    """Yield each batch with its images as PNG files, encoded by as many threads as draw."""

    def encode(batch: Batch) -> tuple[Batch, list[bytes]]:
        return batch, png_bytes(drawing, batch)

    return map(encode, batches) if drawing.threads == 1 else ordered_map(encode, batches, drawing.threads)


@dataclass(frozen=True)
class PngFiles:
    """The PNG files of a drawing. Each is named by its index and class, or by the row's index and its text.

    With folders by class these stand in the folder, as torchvision's ImageFolder and others read them: `7/00000007_7.png`.
    """

    folder: Path
    drawing: Drawing
    has_class_folders: bool = False

    def __post_init__(self) -> None:
        """Raise OutputError for class folders of a model that has no classes."""
        if self.has_class_folders and not self.drawing.generator.card.classes:
            raise OutputError(
                f"model {self.drawing.generator.card.name} has no classes to make a folder for each: use --format png, "
                "or another model"
            )

    def name(self, index: int) -> str:
        """Return the path of an image's file within the folder, as `7/00000007_7.png` or without the first part."""
        class_name = self.drawing.name(index)
        file_name = png_name(index, class_name)
        return f"{class_name}/{file_name}" if self.has_class_folders else file_name

    def existing(self) -> list[Path]:
        """Return the PNG files that are there of images of these indices, of any class. Raises OutputError if it cannot look."""
        return sorted(path for _, path in self._found())

    def missing(self) -> list[range]:
        """Return the indices of the images that are not there as whole files. Raises OutputError if it cannot look."""
        indices = self.drawing.selection.indices
        # With one more at each end, so that every gap has a beginning and an end.
        is_there = np.ones(len(indices) + 2, bool)
        is_there[1:-1] = False
        for index, path in self._found():
            if path == self.folder / self.name(index):
                is_there[index - indices.start + 1] = _is_whole(path)
        begins, ends = np.flatnonzero(np.diff(is_there.astype(np.int8))).reshape(-1, 2).T.tolist()
        return [indices[begin:end] for begin, end in zip(begins, ends, strict=True)]

    def write(self, batches: Iterable[Batch], existing: Existing) -> Iterator[Batch]:
        """Write images, by as many threads as draw, and pass the batches on, whose files are complete then.

        A kill leaves whole files only, and hidden others that a resumed run removes. Where older files are replaced, those of
        another class go once the image of the same index is there: an index has one image. Raises OutputError if a file cannot be
        written or removed.
        """
        for folder in self._used_folders():
            prepare_folder(folder)
            if existing is not Existing.refuse:
                remove_leftovers(folder, lambda name: self._index(name) is not None)
        older: dict[int, list[Path]] = {}
        if existing is Existing.overwrite:
            for index, path in self._found():
                older.setdefault(index, []).append(path)
        # Threads that would have no batch to write take milliseconds to start.
        batches_of_all = -(-self.drawing.selection.count * self.drawing.characters // BATCH_SIZE)
        threads = min(self.drawing.threads, batches_of_all)

        def write(batch: Batch) -> Batch:
            self._write_batch(batch, older)
            return batch

        return map(write, batches) if threads == 1 else ordered_map(write, batches, threads)

    def _write_batch(self, batch: Batch, older: Mapping[int, Sequence[Path]]) -> None:
        for index, contents in enumerate(png_bytes(self.drawing, batch), batch.start):
            written = os.path.join(self.folder, self.name(index))
            write_whole_file(written, contents)
            for other in older.get(index, ()):
                if other != Path(written):
                    remove_file(other, "an older image of the same index")
                    if other.parent not in self._used_folders():
                        with suppress(OSError):  # other files are in it
                            other.parent.rmdir()

    def _used_folders(self) -> set[Path]:
        """Return the folders that get images: torchvision's ImageFolder refuses an empty one."""
        return {(self.folder / self.name(index)).parent for index in self.drawing.one_of_each_class}

    def _found(self) -> Iterator[tuple[int, Path]]:
        """Yield index and path of each PNG file that is there of these indices, of any class."""
        if not self.has_class_folders:
            yield from (
                (index, self.folder / name) for name in file_names(self.folder) if (index := self._index(name)) is not None
            )
            return
        for class_name in file_names(self.folder):
            for name in file_names(self.folder / class_name):
                index = self._index(name)
                # Files that are not named by their folder are somebody else's.
                if index is not None and name == png_name(index, class_name):
                    yield index, self.folder / class_name / name

    def _index(self, name: str) -> int | None:
        """Return which of these images a file name is of, or None."""
        match = _PNG_NAME.fullmatch(name)
        return int(match[1]) if match and int(match[1]) in self.drawing.selection.indices else None


def _is_whole(file: Path) -> bool:
    """Return whether a PNG file has its last chunk, which one lacks that a power cut took the end of."""
    try:
        with file.open("rb") as contents:
            size = contents.seek(0, os.SEEK_END)
            contents.seek(max(0, size - len(PNG_END)))
            return contents.read() == PNG_END
    except OSError as error:
        raise OutputError(f"cannot read {file}: {error.strerror}; choose another --out") from error
