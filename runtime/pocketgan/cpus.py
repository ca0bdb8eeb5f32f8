"""How many CPUs this process may use, and which instructions for integer kernels they have."""

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

MOST_THREADS = 1024
"""The most threads that can be asked for."""


def usable_cpus(cgroup: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")) -> int:
    """Return the number of CPUs, at least 1: those in the process's affinity mask, or fewer if a container has a CPU quota.

    `os.cpu_count` knows neither; a container limited to one CPU of 64 would start 64 threads.
    """
    cpus = affinity_cpus() or os.cpu_count() or 1
    quota = _quota_version_2(cgroup, membership) or _quota_version_1(cgroup)
    return min(cpus, quota or cpus)


def affinity_cpus() -> int | None:
    """Return the number of CPUs in the process's affinity mask, None on systems without one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _quota_version_2(cgroup: Path, membership: Path) -> int | None:
    """Return the CPUs that the tightest `cpu.max` allows, of the process's own group and all above it; None if unlimited."""
    # The line "0::/a/b" names the group below the root; in a container that is often "/".
    own = next((line[3:] for line in _words(membership) if line.startswith("0::/")), "/")
    group = cgroup / own.lstrip("/")
    groups = [folder for folder in (group, *group.parents) if folder.is_relative_to(cgroup)]
    quotas = [quota for quota in map(_quota_of_group, groups) if quota is not None]
    return min(quotas, default=None)


def _quota_of_group(group: Path) -> int | None:
    """Return the CPUs that a group's `cpu.max` ("quota period" in microseconds, or "max period") allows, rounded up."""
    limit = _words(group / "cpu.max")
    if len(limit) != 2 or not all(word.isdecimal() for word in limit):
        return None
    return -(-int(limit[0]) // int(limit[1]))


def _quota_version_1(cgroup: Path) -> int | None:
    """Return the CPUs that a version 1 controller allows, rounded up; None if unlimited (a quota of -1) or absent."""
    quota, period = _words(cgroup / "cpu" / "cpu.cfs_quota_us"), _words(cgroup / "cpu" / "cpu.cfs_period_us")
    if len(quota) != 1 or len(period) != 1 or int(quota[0]) <= 0:
        return None
    return -(-int(quota[0]) // int(period[0]))


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:  # no such controller here
        return []


_SYSCTL_TIMEOUT_SECONDS = 5

# Where /proc/cpuinfo lists features, and the features that onnxruntime has integer kernels for, as the Linux kernel names them.
_LISTED_UNDER = {"x86_64": "flags", "aarch64": "Features"}
_FEATURES = {"x86_64": ("avx2", "avx_vnni", "avx512_vnni", "amx_int8"), "aarch64": ("asimddp", "i8mm")}
_MACHINE_ALIASES = {"amd64": "x86_64", "arm64": "aarch64"}

_NAME_ON_MACOS = "machdep.cpu.brand_string"
_FEATURES_ON_MACOS = {"asimddp": "hw.optional.arm.FEAT_DotProd", "i8mm": "hw.optional.arm.FEAT_I8MM"}


@dataclass(frozen=True)
class Cpu:
    """The kind of CPU."""

    machine: str
    """The architecture, such as x86_64 or aarch64."""
    name: str | None
    """The system's name of this CPU or board, None if it is not known."""
    features: Mapping[str, bool] | None
    """Whether the CPU has each feature that matters to integer kernels, by the Linux kernel's name (`asimddp` is arm's dot
    product); None if that is not known."""


def read_cpu(cpuinfo: Path = Path("/proc/cpuinfo"), machine: str | None = None, sysctl: Path = Path("/usr/sbin/sysctl")) -> Cpu:
    """Return what is known about this machine's CPU, from `cpuinfo` on Linux or the program `sysctl` on macOS.

    `machine` is the architecture, by default that of `platform.machine()`. In an emulator, /proc/cpuinfo may describe the real
    CPU.
    """
    machine = (machine or platform.machine()).lower()
    machine = _MACHINE_ALIASES.get(machine, machine)
    if platform.system() == "Darwin":
        return _cpu_on_macos(machine, sysctl)
    try:
        text = cpuinfo.read_text(errors="replace")
    except OSError:  # not Linux, or a sandbox without /proc
        return Cpu(machine, None, None)
    return _cpu_on_linux(machine, text)


def _cpu_on_linux(machine: str, text: str) -> Cpu:
    """Read /proc/cpuinfo: lines of "key : value", repeated for each processor."""
    facts: dict[str, list[str]] = {}
    for key, value in _pairs(text.splitlines()):
        facts.setdefault(key, []).append(value)
    # x86 has a model name; arm has the name of the board and the part numbers of its kinds of cores.
    names = [facts[key][0] for key in ("model name", "Model") if key in facts]
    if "CPU part" in facts:
        parts = " and ".join(dict.fromkeys(facts["CPU part"]))
        names.append(f"CPU part {parts} of implementer {facts.get('CPU implementer', ['?'])[0]}")
    listed = facts.get(_LISTED_UNDER.get(machine, ""))
    if listed is None:
        features = None
    else:
        present = set(listed[0].split())
        features = {name: name in present for name in _FEATURES[machine]}
    return Cpu(machine, ", ".join(names) or None, features)


def _cpu_on_macos(machine: str, sysctl: Path) -> Cpu:
    try:
        # It prints "key: value" for each name that it knows, and errors for the others on stderr.
        done = subprocess.run(
            [str(sysctl), _NAME_ON_MACOS, *_FEATURES_ON_MACOS.values()],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SYSCTL_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):  # it does not exist, or may not be run
        return Cpu(machine, None, None)
    facts = dict(_pairs(done.stdout.splitlines()))
    features = None
    if machine == "aarch64" and facts.keys() >= set(_FEATURES_ON_MACOS.values()):
        features = {name: facts[key] == "1" for name, key in _FEATURES_ON_MACOS.items()}
    return Cpu(machine, facts.get(_NAME_ON_MACOS), features)


def _pairs(lines: Iterable[str]) -> list[tuple[str, str]]:
    """Return the key and value of each line with a colon."""
    split = (line.partition(":") for line in lines)
    return [(key.strip(), value.strip()) for key, colon, value in split if colon]
