"""Opens a session for a model file: in onnxruntime on the requested execution provider and no other, or with numpy alone."""

import os
import sys
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

from pocketgan.errors import ModelError, ProviderError, RuntimeMissingError, first_line
from pocketgan.model.limits import LARGEST_FOLDED_BYTES

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from pocketgan.model.numpy_session import NumpySession


_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class Provider(StrEnum):
    """The processor to draw on: the values of the option --provider."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    numpy = "numpy"
    """The CPU, without onnxruntime."""


@dataclass(frozen=True)
class OpenSession:
    """A session, and the provider that was chosen for it."""

    session: "InferenceSession | NumpySession"
    provider: Provider
    """`cpu`, `cuda` or `numpy`: what the session really runs on."""
    reason: str
    """Why this provider, in a few words."""


def open_session(contents: bytes, precision: str, provider: Provider = Provider.auto) -> OpenSession:
    """Open a model on a provider.

    `auto` chooses CUDA for a float model if CUDA is live, else the CPU. An int8 model runs on the CPU, since CUDA has no integer
    kernels: in onnxruntime, or in numpy if that is not installed. Raises RuntimeMissingError if onnxruntime is needed and cannot
    be used, ProviderError if the provider is not live, ModelError if the file does not load.
    """
    if provider is Provider.numpy:
        return OpenSession(_open_in_numpy(contents, precision), Provider.numpy, "requested")
    if provider is Provider.auto and precision == "int8" and find_spec("onnxruntime") is None:
        return OpenSession(_open_in_numpy(contents, precision), Provider.numpy, "onnxruntime is not installed")
    runtime = import_onnxruntime()
    if provider is Provider.cuda and precision == "int8":
        raise ProviderError(
            "--provider cuda: this model is int8 and CUDA has no integer kernels for it; use --provider cpu, or export "
            "one with gan-export --precision fp32"
        )
    if provider is Provider.cpu or precision == "int8":
        reason = "requested" if provider is Provider.cpu else "an int8 model"
        return OpenSession(_open(runtime, contents, _CPU), Provider.cpu, reason)
    try:
        reason = "requested" if provider is Provider.cuda else "a float model, and CUDA is live"
        return OpenSession(_open_on_cuda(runtime, contents), Provider.cuda, reason)
    except ProviderError as error:
        if provider is Provider.auto:
            return OpenSession(_open(runtime, contents, _CPU), Provider.cpu, str(error))
        raise ProviderError(
            f"--provider cuda: {error}; use --provider cpu, or make sure that the NVIDIA driver works and that "
            "onnxruntime-gpu (the extra 'cuda') is installed in place of onnxruntime"
        ) from error


INSTALL_ONNXRUNTIME = "pip install onnxruntime, or on a machine with CUDA: pip install 'onnxruntime-gpu[cuda,cudnn]'"
"""What to run where it is missing; the packages of the extras `cpu` and `cuda`."""


def import_onnxruntime() -> ModuleType:
    """Return the onnxruntime module. Raises RuntimeMissingError if it is absent, damaged or installed twice."""
    if all(_is_installed(name) for name in ("onnxruntime", "onnxruntime_gpu")):
        raise RuntimeMissingError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other; run: "
            f"pip uninstall onnxruntime onnxruntime-gpu, then {INSTALL_ONNXRUNTIME}"
        )
    try:
        import onnxruntime

        # A folder that another distribution left behind can be imported, but is empty.
        onnxruntime.InferenceSession  # noqa: B018
    except ImportError as error:
        raise RuntimeMissingError(
            f"onnxruntime cannot be imported ({error}); for int8 models --provider numpy will do; else run: {INSTALL_ONNXRUNTIME}"
        ) from error
    except (OSError, AttributeError) as error:
        raise RuntimeMissingError(
            f"onnxruntime is damaged ({first_line(error)}); run: pip uninstall onnxruntime, then {INSTALL_ONNXRUNTIME}"
        ) from error
    module: ModuleType = onnxruntime
    return module


def _is_installed(distribution: str) -> bool:
    """Return whether pip installed a distribution. This is ten milliseconds faster than importlib.metadata."""
    entries: list[str] = []
    for folder in sys.path:
        with suppress(OSError):  # imports ignore such folders too
            entries += os.listdir(folder)
    return any(entry.startswith(f"{distribution}-") and entry.endswith(".dist-info") for entry in entries)


def _open_in_numpy(contents: bytes, precision: str) -> "NumpySession":
    """Open a session without onnxruntime. Raises ProviderError for a float model, ModelError if the file does not load."""
    if precision != "int8":
        raise ProviderError(
            f"--provider numpy: this model is {precision}, and numpy draws int8 models only; use --provider cpu, or export one "
            "with gan-export --precision int8"
        )
    from pocketgan.model.numpy_session import NumpySession

    return NumpySession(contents)


def _open_on_cuda(runtime: ModuleType, contents: bytes) -> "InferenceSession":
    """Open a session that runs every node on CUDA. Raises ProviderError if that is not possible."""
    if _CUDA not in runtime.get_available_providers():
        raise ProviderError("CUDA is not live: this onnxruntime has no CUDA provider")
    # It prints which libraries are missing, but standard output is for data.
    with redirect_stdout(sys.stderr):
        runtime.preload_dlls()
    try:
        session = _open(runtime, contents, _CUDA)
    except ModelError as error:
        raise ProviderError(f"CUDA is not live: {error}") from error
    if session.get_providers()[0] != _CUDA:
        raise ProviderError(f"CUDA is not live: onnxruntime chose {session.get_providers()[0]}")
    return session


def _open(runtime: ModuleType, contents: bytes, provider: str) -> "InferenceSession":
    options = runtime.SessionOptions()
    # One thread per call: simultaneous calls from threads that share the session are faster than several threads in one call.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # A memory pattern allocates one block for all tensors of a call: no faster here, and up to twice the memory with threads.
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Otherwise bytes that start like onnxruntime's own format are read as such, which bypasses all checks of `model.checked`.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # Only onnxruntime 1.27 and later do this.
    options.add_session_config_entry("optimization.constant_folding_max_output_size_in_bytes", str(LARGEST_FOLDED_BYTES))
    if provider != _CPU:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        return runtime.InferenceSession(contents, options, providers=[provider], enable_fallback=0)
    except Exception as error:  # onnxruntime's errors have no public root class
        raise ModelError(f"onnxruntime cannot load it: {first_line(error)}") from error
