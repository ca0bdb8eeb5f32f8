"""Whether the packages of the `train` extra are there."""

from importlib.util import find_spec

from pocketgan_trainer.errors import TrainExtraMissingError


def require_training_extra() -> None:
    """Raise TrainExtraMissingError, naming the command that helps, unless torch, onnx and the rest are installed."""
    missing = [name for name in ("torch", "onnx", "safetensors", "platformdirs", "matplotlib") if find_spec(name) is None]
    if missing:
        raise TrainExtraMissingError(
            f"{', '.join(missing)} not installed: training and export need the extra 'train'; "
            "run in pocketgan's checkout: pip install '.[cpu,train]'"
        )
