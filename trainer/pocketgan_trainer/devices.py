"""Which device to train on, and what it is good at."""

import torch

from pocketgan_trainer.errors import TrainingError


def choose_device(name: str, number: int = 0) -> torch.device:
    """Return the device for `auto`, `cpu` or `cuda`; `auto` takes CUDA where there is one, and of several that with this number.

    Raises TrainingError if CUDA was asked for and torch finds none, or fewer than that.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError("--device cuda: torch finds no CUDA device here; use --device cpu, or install a CUDA build of torch")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    if number >= torch.cuda.device_count():
        raise TrainingError(f"process {number} of this machine has no GPU: torch finds {torch.cuda.device_count()}; start fewer")
    return torch.device("cuda", number)


def supports_bfloat16(device: torch.device) -> bool:
    """Say whether the device multiplies bfloat16 matrices natively; elsewhere it is emulated and slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
