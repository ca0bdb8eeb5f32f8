"""Finds out what is installed and whether it works: versions, onnxruntime and its providers, and the CPUs.

These facts are needed when something is broken, so failures become fields of the result instead of exceptions.
"""

import io
import os
import platform
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec

from pocketgan.cpus import Cpu, affinity_cpus, read_cpu, usable_cpus
from pocketgan.errors import RuntimeMissingError, first_line
from pocketgan.model.session import INSTALL_ONNXRUNTIME, Provider, import_onnxruntime, open_session
from pocketgan.version import VERSION

# Each of these installs a folder onnxruntime/ and overwrites that of the others.
_DISTRIBUTIONS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "onnxruntime-migraphx",
    "onnxruntime-openvino",
    "onnxruntime-qnn",
    "onnxruntime-rocm",
    "onnxruntime-training",
    "ort-nightly",
    "ort-nightly-gpu",
)

# How to request each provider that pocketgan uses. `auto` chooses CUDA if it is live, and otherwise gives the reason.
_REQUESTS = {"CPUExecutionProvider": Provider.cpu, "CUDAExecutionProvider": Provider.auto}

# A model with one node to open sessions with: y = Relu(x), float32 [2]. It is a float model because CUDA has no integer kernels.
# It is not a file, because a file would need a script that makes it with onnx and a place in the wheel, must be readable inside
# zip archives, and could be missing.
_PROBE = (
    b"\x08\x08"  # version 8 of the format
    b"\x3a\x33"  # the graph, 51 bytes: its node, its name, x and y
    b"\x0a\x0c\x0a\x01x\x12\x01y\x22\x04Relu"
    b"\x12\x01g"
    b"\x5a\x0f\x0a\x01x\x12\x0a\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x02"
    b"\x62\x0f\x0a\x01y\x12\x0a\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x02"
    b"\x42\x02\x10\x11"  # version 17 of the operators
)


@dataclass(frozen=True)
class Distribution:
    """A package that pip installed."""

    name: str
    version: str


@dataclass(frozen=True)
class ProviderState:
    """An execution provider that onnxruntime lists as available."""

    name: str
    is_live: bool | None
    """Whether a session really ran on it; None if pocketgan never uses it."""
    reason: str | None
    """Why it is not live, in one line."""


@dataclass(frozen=True)
class OnnxRuntime:
    """The installed onnxruntime."""

    distributions: tuple[Distribution, ...]
    """The installed distributions with a folder `onnxruntime`: there should be exactly one."""
    version: str | None
    """The module's version; None if it, or numpy, cannot be imported."""
    providers: tuple[ProviderState, ...]
    problem: str | None
    """Why it cannot be used and what to do, in one line."""


@dataclass(frozen=True)
class Numpy:
    """The installed numpy."""

    version: str | None
    problem: str | None
    """Why it cannot be imported and what to do, in one line."""


@dataclass(frozen=True)
class Cpus:
    """The number of CPUs."""

    usable: int
    """CPUs that this process may use, by its affinity and its container's quota: the default number of threads."""
    affinity: int | None
    """CPUs that its affinity allows; None if the system has no affinity."""
    machine: int | None
    """CPUs of the machine; None if not known."""


@dataclass(frozen=True)
class Installation:
    """Everything outside a model that determines whether it draws, and how fast."""

    pocketgan: str
    """The version of pocketgan."""
    python: str
    """Implementation and version."""
    platform: str
    cpu: Cpu
    cpus: Cpus
    numpy: Numpy
    onnxruntime: OnnxRuntime

    @property
    def problems(self) -> tuple[str, ...]:
        """Why this installation cannot draw and what to do, one line each, with the cause of others first."""
        return tuple(problem for problem in (self.numpy.problem, self.onnxruntime.problem) if problem is not None)


def find_installation() -> Installation:
    """Return the facts about the installation that this process runs in."""
    numpy = _find_numpy()
    return Installation(
        pocketgan=VERSION,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        platform=platform.platform(),
        cpu=read_cpu(),
        cpus=Cpus(
            usable=usable_cpus(),
            affinity=affinity_cpus(),
            machine=os.cpu_count(),
        ),
        numpy=numpy,
        onnxruntime=_find_onnxruntime(has_numpy=numpy.problem is None),
    )


def _find_numpy() -> Numpy:
    try:
        import numpy
    except Exception as error:  # a damaged numpy may raise anything
        return Numpy(None, f"numpy cannot be imported ({first_line(error)}); run: pip install --force-reinstall numpy")
    return Numpy(numpy.__version__, None)


def _find_onnxruntime(has_numpy: bool) -> OnnxRuntime:
    distributions = tuple(found for name in _DISTRIBUTIONS for found in _installed(name))
    # Without numpy it would print a long error on stderr; without it, numpy draws int8 models.
    if not has_numpy or find_spec("onnxruntime") is None:
        return OnnxRuntime(distributions, None, (), None)
    version: str | None = None
    providers: tuple[ProviderState, ...] = ()
    try:
        module = import_onnxruntime()
        version = str(module.__version__)
        providers = tuple(_state(name) for name in module.get_available_providers())
        problem = _problem(distributions, providers)
    except RuntimeMissingError as error:
        problem = str(error)
    except Exception as error:  # a module that is half overwritten or half uninstalled may raise anything
        problem = f"onnxruntime is damaged ({first_line(error)}); {_reinstalling(distributions)}"
    return OnnxRuntime(distributions, version, providers, problem)


def _installed(name: str) -> list[Distribution]:
    """Return a distribution, or nothing if it is not installed or, like plug-ins, has no package `onnxruntime`."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return []
    if found.files is not None and "onnxruntime/__init__.py" not in map(str, found.files):
        return []
    return [Distribution(name, found.version)]


def _state(provider: str) -> ProviderState:
    """Return whether a provider is live, by running a session on it."""
    if provider not in _REQUESTS:
        return ProviderState(provider, None, None)
    printed = io.StringIO()
    try:
        # onnxruntime prints which CUDA libraries are missing: that is part of the reason.
        with redirect_stderr(printed):
            opened = open_session(_PROBE, "fp32", _REQUESTS[provider])
        if opened.session.get_providers()[0] != provider:
            output = " ".join(printed.getvalue().split())
            return ProviderState(provider, False, opened.reason + (f"; it printed: {output}" if output else ""))
        import numpy as np

        opened.session.run(None, {"x": np.zeros(2, np.float32)})
    except Exception as error:  # onnxruntime's errors have no public root class
        return ProviderState(provider, False, first_line(error))
    return ProviderState(provider, True, None)


def _problem(distributions: Sequence[Distribution], providers: Sequence[ProviderState]) -> str | None:
    """Return the problem of an onnxruntime that can be imported, None if there is none."""
    if len(distributions) > 1:
        names = " and ".join(found.name for found in distributions)
        return f"{names} are installed together and overwrite each other; {_reinstalling(distributions)}"
    reasons = {state.name: state.reason for state in providers if not state.is_live}
    if "CPUExecutionProvider" in reasons:
        return f"onnxruntime does not run on the CPU ({reasons['CPUExecutionProvider']}); {_reinstalling(distributions)}"
    return None


def _reinstalling(distributions: Sequence[Distribution]) -> str:
    """Return the advice to reinstall onnxruntime."""
    names = " ".join(found.name for found in distributions) or "onnxruntime"
    return f"run: pip uninstall {names}, then {INSTALL_ONNXRUNTIME}"
