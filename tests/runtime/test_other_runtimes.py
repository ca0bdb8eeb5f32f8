"""The bundled int8 files in other runtimes than onnxruntime for Python. Each test is skipped unless its runtime is installed.

.venv/bin/pip install openvino
npm install --no-save onnxruntime-web
"""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import pocketgan_models
from pocketgan.generator import Generator
from pocketgan.latents import latents

ROOT = Path(__file__).parents[2]
COUNT, SEED = 64, 3


@pytest.fixture(params=pocketgan_models.names())
def model(request: pytest.FixtureRequest) -> Generator:
    """Each bundled model in turn."""
    return Generator.load(request.param, "cpu")


def inputs(model: Generator) -> dict[str, NDArray[np.float32] | NDArray[np.int64]]:
    """Return the model inputs for the first images of SEED, with the classes in turn."""
    latent = latents(SEED, 0, COUNT, model.card.latent_size)
    return {"z": latent, "label": np.arange(COUNT) % len(model.card.classes)} if model.card.classes else {"z": latent}


def test_webassembly_draws_the_same_pixels(model: Generator, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None or not (ROOT / "node_modules" / "onnxruntime-web").is_dir():
        pytest.skip("needs node, and onnxruntime-web in node_modules")
    feeds = inputs(model)
    feeds["z"].tofile(tmp_path / "latents")
    feeds.get("label", np.zeros(0, np.int64)).tofile(tmp_path / "labels")
    script = ROOT / "tests" / "helpers" / "draw_with_wasm.mjs"
    arguments = [pocketgan_models.path(model.card.architecture), model.card.latent_size]
    files = [tmp_path / name for name in ("latents", "labels", "images")]
    subprocess.run([node, script, *map(str, [*arguments, *files])], check=True)
    expected = model.generate(COUNT, seed=SEED)
    np.testing.assert_array_equal(np.fromfile(tmp_path / "images", np.uint8).reshape(expected.shape), expected)


def test_openvino_draws_nearly_the_same_pixels(model: Generator) -> None:
    openvino = pytest.importorskip("openvino")
    compiled = openvino.Core().compile_model(str(pocketgan_models.path(model.card.architecture)), "CPU")
    difference = np.abs(compiled(inputs(model))["images"].astype(int) - model.generate(COUNT, seed=SEED))
    # OpenVINO optimizes the graph in its own way, and rounds at other places.
    assert difference.mean() < 1
    assert difference.max() < 64
