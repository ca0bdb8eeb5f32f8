"""What the tests of the data set share: the real files and a way to write damaged ones."""

import socket
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketgan_trainer.data.published import BUNDLED_FOLDER


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let requests to 127.0.0.1 go there, whatever proxy the machine has."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def bundled() -> Path:
    """The folder of the real MNIST in the checkout."""
    return BUNDLED_FOLDER


@pytest.fixture
def closed_port_url() -> str:
    """An address where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/digits.gz"


@pytest.fixture
def small_images() -> NDArray[np.uint8]:
    """Three images of 4x5, every value another."""
    return np.arange(60, dtype=np.uint8).reshape(3, 4, 5)


@pytest.fixture
def small_idx(small_images: NDArray[np.uint8]) -> bytes:
    """The three images as an IDX file, written out by hand: 16 bytes of header and 60 of values."""
    return bytes.fromhex("00000803 00000003 00000004 00000005") + small_images.tobytes()
