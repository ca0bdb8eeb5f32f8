"""`labels.csv`: for each image its file, its index and its label, as tables of labels are wanted by many tools."""

import os
from collections.abc import Callable
from pathlib import Path

from pocketgan.drawing import Drawing
from pocketgan.files import open_regular_file, output_errors, remove_file, whole_file

_COLUMNS = "index,label\n"
_COLUMNS_OF_FILES = "file_name,index,label\n"


def write_labels(target: Path, drawing: Drawing, file_of: Callable[[int], str | None]) -> None:
    """Write the labels of all images, whole: the class of each by its name, or the row's text.

    `file_of` tells the path of an image's own file within the folder; where there is none, the column is left out. Memory does
    not grow with their number. Raises OutputError if the file cannot be written.
    """
    indices = drawing.selection.indices
    # The fields are letters and digits, which need no quotes.
    with (
        whole_file(target, is_on_disk_at_once=False) as temporary,
        temporary.open("w", encoding="ascii", newline="\n") as file,
    ):
        has_files = file_of(indices[0]) is not None
        file.write(_COLUMNS_OF_FILES if has_files else _COLUMNS)
        for index in indices:
            file.write(f"{file_of(index)}," if has_files else "")
            file.write(f"{index},{drawing.name(index)}\n")


def remove_labels(target: Path) -> None:
    """Remove labels of older images, if there are any that `write_labels` wrote. Raises OutputError if that fails."""
    if not os.path.exists(target):
        return
    with output_errors(target, "read"), open_regular_file(target) as file:
        is_ours = file.readline(len(_COLUMNS_OF_FILES)) in (_COLUMNS.encode(), _COLUMNS_OF_FILES.encode())
    if is_ours:
        remove_file(target, "labels of older images")
