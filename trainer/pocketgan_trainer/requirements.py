"""Checks that the packages of the extra `train` are installed."""

import os
from importlib.util import find_spec

from pocketgan_trainer.errors import TrainExtraMissingError, TrainingError

_PACKAGES = {
    "torch": "torch",
    "onnx": "onnx",
    "safetensors": "safetensors",
    "platformdirs": "platformdirs",
    "matplotlib": "matplotlib",
    "scipy": "scipy",
    "scikit-image": "skimage",
}
"""The modules of the packages that pip installs."""


def require_training_extra(is_quiet: bool = False) -> None:
    """Raise TrainExtraMissingError, with the command to run, unless torch, onnx and the other packages are installed.

    Imports torch, which takes seconds; a terminal shows that something happens, unless `is_quiet`.
    Raises TrainingError if the working folder no longer exists: torch's libraries would end the process.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise TrainingError(f"cannot work in the current folder ({error.strerror}): change to another one") from error
    missing = [package for package, module in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise TrainExtraMissingError(
            f"{', '.join(missing)} not installed: training and export need the packages of the extra 'train'; "
            f"run: pip install {' '.join(missing)}"
        )
    from pocketgan_trainer.plain_console import PlainConsole

    is_first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun started
    with PlainConsole(stderr=True, quiet=is_quiet or not is_first).status("loading PyTorch"):
        import torch  # noqa: F401
