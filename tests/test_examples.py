"""The examples: notebooks show what they hold when they are run, and the previews of the next models draw their pixels."""

import hashlib
import io
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
import run_notebooks
from nbformat import NotebookNode
from numpy.typing import NDArray
from PIL import Image

from pocketgan import Generator
from pocketgan_trainer.evaluate.handwriting import handwriting

PREVIEWS = {
    "pocket-canvas.onnx": "4ae26617122edb3ddd82a4b662f4d618786b1c4ef1b5b1fc5c4994c165e9ac52",
    "nano-canvas.onnx": "ebc72e743ffa503dbb4a940e6cf4d61911f7a90df6dd4df4bc9c16c26f43d68e",
}
"""Previews of the next models, and the SHA-256 of the first hundred images of seed 0."""


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


@pytest.mark.parametrize("name", PREVIEWS)
def test_a_preview_draws_the_pixels_that_it_was_exported_with_and_the_slant_that_is_asked_for(name: str) -> None:
    preview = Generator.load(run_notebooks.NOTEBOOKS[0].parent / name)
    assert hashlib.sha256(preview.generate(100).tobytes()).hexdigest() == PREVIEWS[name]
    least, most = preview.trait_range("slant", 7)
    sevens = [preview.generate(50, 7, slant=slant) for slant in (least, most)]
    slants = [np.nanmean(handwriting(images)[:, 0]) for images in sevens]
    assert slants == pytest.approx([least, most], abs=3)
