"""The examples: notebooks show what they hold when they are run."""

import io
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
import run_notebooks
from nbformat import NotebookNode
from numpy.typing import NDArray
from PIL import Image


def shown(notebook: NotebookNode) -> list[str | NDArray[np.uint8]]:
    """Return what the cells show: texts, and the pixels of pictures."""
    results: list[str | NDArray[np.uint8]] = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                with Image.open(io.BytesIO(b64decode(data["image/png"]))) as picture:
                    results.append(np.asarray(picture))
            else:
                results.append(data.get("text/plain", output.get("text", "")))
    return results


@pytest.mark.parametrize("notebook", run_notebooks.NOTEBOOKS, ids=lambda notebook: notebook.name)
def test_a_notebook_shows_what_it_holds(notebook: Path) -> None:
    held, found = shown(run_notebooks.read(notebook)), shown(run_notebooks.run(notebook))
    assert len(held) >= 5
    assert len(found) == len(held), "run: python scripts/run_notebooks.py"
    for one, other in zip(held, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_there_is_a_notebook() -> None:
    assert run_notebooks.NOTEBOOKS
