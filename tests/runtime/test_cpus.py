"""How many CPUs may be used, by affinity and the quota of a container, and which instructions they have."""

import os
import platform
from pathlib import Path

import pytest

from pocketgan.cpus import Cpu, read_cpu, usable_cpus


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


HASWELL = """\
processor	: 0
model		: 60
model name	: Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz
flags		: fpu avx sse4_2 fma avx2 bmi2
power management:

processor	: 1
model name	: Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz
flags		: fpu avx sse4_2 fma avx2 bmi2
"""

SAPPHIRE_RAPIDS = """\
model name	: Intel(R) Xeon(R) Platinum 8480+
flags		: fpu avx2 avx512f avx_vnni avx512_vnni amx_bf16 amx_tile amx_int8
"""

RASPBERRY_PI_5 = """\
processor	: 0
BogoMIPS	: 108.00
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x4
CPU part	: 0xd0b
CPU revision	: 1

Model		: Raspberry Pi 5 Model B Rev 1.0
"""

TWO_KINDS_OF_CORES = """\
processor	: 0
Features	: fp asimd asimddp i8mm
CPU implementer	: 0x41
CPU part	: 0xd46

processor	: 1
Features	: fp asimd asimddp i8mm
CPU implementer	: 0x41
CPU part	: 0xd46

processor	: 2
Features	: fp asimd asimddp i8mm
CPU implementer	: 0x41
CPU part	: 0xd48
"""


@pytest.fixture
def cpuinfo(tmp_path: Path) -> Path:
    return tmp_path / "cpuinfo"


@pytest.fixture(autouse=True)
def linux(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system be Linux, wherever the tests run."""
    monkeypatch.setattr(platform, "system", lambda: "Linux")


@pytest.fixture
def macos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system be macOS."""
    monkeypatch.setattr(platform, "system", lambda: "Darwin")


def make_sysctl(folder: Path, script: str) -> Path:
    """Write a program in place of macOS's sysctl."""
    if os.name != "posix":
        pytest.skip("it is a shell script")
    path = folder / "sysctl"
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("machine", ["x86_64", "AMD64"])
def test_x86_without_vnni_has_avx2_alone(cpuinfo: Path, machine: str) -> None:
    cpuinfo.write_text(HASWELL)
    assert read_cpu(cpuinfo, machine) == Cpu(
        "x86_64",
        "Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz",
        {"avx2": True, "avx_vnni": False, "avx512_vnni": False, "amx_int8": False},
    )


def test_x86_with_everything_has_it_all(cpuinfo: Path) -> None:
    cpuinfo.write_text(SAPPHIRE_RAPIDS)
    features = read_cpu(cpuinfo, "x86_64").features
    assert features == {"avx2": True, "avx_vnni": True, "avx512_vnni": True, "amx_int8": True}


@pytest.mark.parametrize("machine", ["aarch64", "arm64"])
def test_arm_is_named_by_its_board_and_core(cpuinfo: Path, machine: str) -> None:
    cpuinfo.write_text(RASPBERRY_PI_5)
    assert read_cpu(cpuinfo, machine) == Cpu(
        "aarch64",
        "Raspberry Pi 5 Model B Rev 1.0, CPU part 0xd0b of implementer 0x41",
        {"asimddp": True, "i8mm": False},
    )


def test_arm_with_two_kinds_of_cores_is_named_by_both(cpuinfo: Path) -> None:
    cpuinfo.write_text(TWO_KINDS_OF_CORES)
    cpu = read_cpu(cpuinfo, "aarch64")
    assert cpu.name == "CPU part 0xd46 and 0xd48 of implementer 0x41"
    assert cpu.features == {"asimddp": True, "i8mm": True}


def test_an_emulated_processor_does_not_get_the_features_of_the_one_below_it(cpuinfo: Path) -> None:
    cpuinfo.write_text(SAPPHIRE_RAPIDS)
    assert read_cpu(cpuinfo, "aarch64").features is None


def test_features_of_another_architecture_are_not_known(cpuinfo: Path) -> None:
    cpuinfo.write_text("processor\t: 0\nisa\t\t: rv64imafdcv\n")
    assert read_cpu(cpuinfo, "riscv64") == Cpu("riscv64", None, None)


@pytest.mark.parametrize("contents", ["", "no colon here\n", "flags\n", "\x00\x01\n"])
def test_a_cpuinfo_that_says_nothing_leaves_all_unknown(cpuinfo: Path, contents: str) -> None:
    cpuinfo.write_text(contents)
    assert read_cpu(cpuinfo, "x86_64") == Cpu("x86_64", None, None)


def test_bytes_that_are_not_text_do_no_harm(cpuinfo: Path) -> None:
    cpuinfo.write_bytes(b"model name : \xff\xfe\nflags : avx2\n")
    assert (read_cpu(cpuinfo, "x86_64").features or {})["avx2"]


def test_without_cpuinfo_all_is_unknown(cpuinfo: Path) -> None:
    assert read_cpu(cpuinfo, "x86_64") == Cpu("x86_64", None, None)
    assert read_cpu(cpuinfo.parent, "x86_64") == Cpu("x86_64", None, None)


def test_this_machine_has_an_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert read_cpu().machine


@pytest.mark.usefixtures("macos")
def test_macos_is_asked_by_sysctl(tmp_path: Path) -> None:
    sysctl = make_sysctl(
        tmp_path,
        """\
        for name in "$@"; do
            case "$name" in
                machdep.cpu.brand_string) echo "$name: Apple M1" ;;
                hw.optional.arm.FEAT_DotProd) echo "$name: 1" ;;
                hw.optional.arm.FEAT_I8MM) echo "$name: 0" ;;
            esac
        done
        """,
    )
    assert read_cpu(machine="arm64", sysctl=sysctl) == Cpu("aarch64", "Apple M1", {"asimddp": True, "i8mm": False})


@pytest.mark.usefixtures("macos")
def test_a_macos_that_does_not_know_the_features_leaves_them_unknown(tmp_path: Path) -> None:
    script = "echo 'machdep.cpu.brand_string: Apple M1'; echo 'sysctl: unknown oid hw' >&2; exit 1"
    assert read_cpu(machine="arm64", sysctl=make_sysctl(tmp_path, script)) == Cpu("aarch64", "Apple M1", None)


@pytest.mark.usefixtures("macos")
def test_a_macos_without_sysctl_leaves_all_unknown(tmp_path: Path) -> None:
    assert read_cpu(machine="arm64", sysctl=tmp_path / "absent") == Cpu("aarch64", None, None)
