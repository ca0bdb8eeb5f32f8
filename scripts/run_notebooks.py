"""Run the notebooks in examples/ and write what their cells show into them.

    python scripts/run_notebooks.py

Needs nbclient and ipykernel (extra `dev`). Of a picture, only the PNG is kept.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.ipynb"))


def read(notebook: Path) -> NotebookNode:
    """Return a notebook as it is."""
    return nbformat.read(notebook, as_version=4)


def run(notebook: Path) -> NotebookNode:
    """Return a notebook after running all its cells in an empty folder. Raises CellExecutionError if one fails."""
    cells = read(notebook)
    with TemporaryDirectory() as folder:
        NotebookClient(cells, timeout=600, resources={"metadata": {"path": folder}}).execute()
    for cell in cells.cells:
        cell.metadata = {}  # without times
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                output.data = {"image/png": data["image/png"]}
    return cells


if __name__ == "__main__":
    for path in NOTEBOOKS:
        nbformat.write(run(path), path)
        print(path)
