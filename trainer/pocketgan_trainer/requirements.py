"""Whether the packages of the `train` extra are there."""

from importlib.util import find_spec

from pocketgan.errors import PocketganError


class TrainExtraMissingError(PocketganError):
    """A package that only the trainer needs is not installed."""


def require_training_extra() -> None:
    """Raise TrainExtraMissingError, naming the command that helps, unless torch, onnx and the rest are installed."""
    missing = [name for name in ("torch", "onnx", "safetensors", "platformdirs") if find_spec(name) is None]
    if missing:
        raise TrainExtraMissingError(
            f"{', '.join(missing)} not installed: training and export need the extra 'train'; "
            "run in pocketgan's checkout: pip install '.[cpu,train]'"
        )
