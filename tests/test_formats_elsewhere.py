"""What gan-gen writes, read by libraries that others wrote."""

import gzip
from pathlib import Path

import idx2numpy
import numpy as np
import pytest
from typer.testing import CliRunner

from pocketgan import Generator
from pocketgan.gen_cli import app

COUNT = 100


@pytest.mark.parametrize("file_format", ["idx", "idx.gz"])
def test_idx_files_are_read_by_idx2numpy(tmp_path: Path, file_format: str) -> None:
    arguments = ["--model", "pocket", "--count", str(COUNT), "--seed", "5", "--format", file_format, "--out", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    open_file = gzip.open if file_format == "idx.gz" else open
    arrays = []
    for name in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        with open_file(tmp_path / (name + file_format.removeprefix("idx")), "rb") as file:
            arrays.append(idx2numpy.convert_from_file(file))
    images, labels = arrays
    np.testing.assert_array_equal(images, Generator.load("pocket").generate(COUNT, seed=5))
    np.testing.assert_array_equal(labels, np.arange(COUNT) % 10)
