"""How many CPUs may be used: by affinity, by the quota of either version of cgroups, or as many as there are."""

import os
from pathlib import Path

import pytest

from pocketgan.cpus import usable_cpus


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process be allowed 8 of 64 CPUs."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)


def version_1(cgroup: Path, quota: str | None, period: str | None) -> None:
    """Write the files of a version 1 controller."""
    (cgroup / "cpu").mkdir()
    for name, value in (("cpu.cfs_quota_us", quota), ("cpu.cfs_period_us", period)):
        if value is not None:
            (cgroup / "cpu" / name).write_text(value)


def test_without_a_quota_the_affinity_counts(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path, tmp_path / "no membership") == 8


def test_without_cgroups_the_affinity_counts(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path / "absent", tmp_path / "no membership") == 8


@pytest.mark.parametrize(("cpus", "expected"), [(64, 64), (None, 1)])
def test_without_an_affinity_all_cpus_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpus: int | None, expected: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    assert usable_cpus(tmp_path, tmp_path / "no membership") == expected


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000\n", 8),
        ("100000 100000\n", 1),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("6400000 100000\n", 8),
        ("25000 5000\n", 5),
        ("", 8),
    ],
)
def test_a_version_2_quota_is_rounded_up(tmp_path: Path, limit: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    assert usable_cpus(tmp_path, tmp_path / "no membership") == expected


@pytest.mark.parametrize(
    ("quota", "period", "expected"),
    [
        ("-1\n", "100000\n", 8),
        ("0\n", "100000\n", 8),
        ("100000\n", "100000\n", 1),
        ("250000\n", "100000\n", 3),
        ("10000\n", "100000\n", 1),
        ("6400000\n", "100000\n", 8),
        (None, "100000\n", 8),
        ("100000\n", None, 8),
        ("", "", 8),
    ],
)
def test_a_version_1_quota_is_rounded_up(tmp_path: Path, quota: str | None, period: str | None, expected: int) -> None:
    version_1(tmp_path, quota, period)
    assert usable_cpus(tmp_path, tmp_path / "no membership") == expected


def test_version_2_without_a_limit_leaves_the_word_to_version_1(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    version_1(tmp_path, "300000\n", "100000\n")
    assert usable_cpus(tmp_path, tmp_path / "no membership") == 3


def test_on_this_machine_there_is_at_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 1 <= usable_cpus() <= (os.cpu_count() or 1)


def test_the_tightest_quota_of_the_own_group_and_those_above_counts(tmp_path: Path) -> None:
    (tmp_path / "machine" / "service").mkdir(parents=True)
    (tmp_path / "machine" / "cpu.max").write_text("300000 100000\n")
    (tmp_path / "machine" / "service" / "cpu.max").write_text("500000 100000\n")
    membership = tmp_path / "membership"
    membership.write_text("0::/machine/service\n")
    assert usable_cpus(tmp_path, membership) == 3


def test_a_group_that_is_not_there_sets_no_quota(tmp_path: Path) -> None:
    membership = tmp_path / "membership"
    membership.write_text("0::/gone\n")
    assert usable_cpus(tmp_path, membership) == 8
