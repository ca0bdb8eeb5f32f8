"""How many CPUs this process may really use."""

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def usable_cpus(cgroup: Path = _CGROUP, membership: Path = _MEMBERSHIP) -> int:
    """Return the number of CPUs, at least 1: those of the process's affinity, or fewer under a container's CPU quota.

    `os.cpu_count` knows neither; a container limited to one CPU of 64 would start 64 threads.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota_version_2(cgroup, membership) or _quota_version_1(cgroup)
    return max(1, min(cpus, quota or cpus))


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
