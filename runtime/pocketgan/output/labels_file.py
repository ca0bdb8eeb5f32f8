"""`labels.csv`: for each image its file, its index and its label, as tables of labels are wanted by many tools."""

from collections.abc import Callable
from pathlib import Path

from pocketgan.drawing import Drawing
from pocketgan.files import whole_file


def labels_path(folder: Path, start: int) -> Path:
    """Return where the labels of images from index `start` on lie: runs of several ranges may share a folder."""
    return folder / (f"labels_{start:08d}.csv" if start else "labels.csv")


def write_labels(folder: Path, drawing: Drawing, file_name: Callable[[int], str] | None) -> None:
    """Write the labels of all images, whole: the class of each by its name, or the row's text.

    `file_name` tells the path of an image within the folder; without it the column is left out. Memory does not grow with their
    number. Raises OutputError if the file cannot be written.
    """
    indices = drawing.selection.indices
    # The fields are letters and digits, which need no quotes.
    with (
        whole_file(labels_path(folder, indices.start), is_on_disk_at_once=False) as temporary,
        temporary.open("w", encoding="ascii", newline="\n") as file,
    ):
        file.write("file_name,index,label\n" if file_name else "index,label\n")
        for index in indices:
            file.write(f"{file_name(index)}," if file_name else "")
            file.write(f"{index},{drawing.name(index)}\n")
