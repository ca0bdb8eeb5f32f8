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


@pytest.mark.parametrize(("cpus", "expected"), [(64, 64), (None, 1)])
def test_without_an_affinity_all_cpus_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpus: int | None, expected: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    assert usable_cpus(tmp_path, tmp_path / "no membership") == expected


def version_1(quota: str, period: str = "100000\n") -> dict[str, str]:
    """Return the files of a version 1 controller."""
    return {"cpu/cpu.cfs_quota_us": quota, "cpu/cpu.cfs_period_us": period}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "1000 100000\n"}, 1),
        ({"cpu.max": "6400000 100000\n"}, 8),
        ({"cpu.max": "25000 5000\n"}, 5),
        ({"cpu.max": ""}, 8),
        (version_1("-1\n"), 8),
        (version_1("0\n"), 8),
        (version_1("250000\n"), 3),
        (version_1("10000\n"), 1),
        (version_1("6400000\n"), 8),
        (version_1("", ""), 8),
        ({"cpu/cpu.cfs_quota_us": "100000\n"}, 8),
        ({"cpu.max": "max 100000\n", **version_1("300000\n")}, 3),
        # The tightest quota counts, of the process's own group and those above it.
        ({"membership": "0::/a/b\n", "a/cpu.max": "300000 100000\n", "a/b/cpu.max": "500000 100000\n"}, 3),
        ({"membership": "0::/a/b\n", "a/cpu.max": "500000 100000\n", "a/b/cpu.max": "300000 100000\n"}, 3),
        ({"membership": "0::/gone\n"}, 8),
    ],
    ids=str,
)
def test_a_quota_of_either_version_is_rounded_up(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert usable_cpus(tmp_path, tmp_path / "membership") == expected


def test_on_this_machine_there_is_at_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 1 <= usable_cpus() <= (os.cpu_count() or 1)


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

TWO_KINDS_OF_CORES = "".join(
    f"processor\t: {core}\nFeatures\t: fp asimd asimddp i8mm\nCPU implementer\t: 0x41\nCPU part\t: {part}\n\n"
    for core, part in enumerate(("0xd46", "0xd46", "0xd48"))
)


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


X86_FEATURES = ("avx2", "avx_vnni", "avx512_vnni", "amx_int8")
CORE_I7, XEON = "Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz", "Intel(R) Xeon(R) Platinum 8480+"
BOARD, CORES = (
    "Raspberry Pi 5 Model B Rev 1.0, CPU part 0xd0b of implementer 0x41",
    "CPU part 0xd46 and 0xd48 of implementer 0x41",
)


@pytest.mark.parametrize(
    ("contents", "machine", "expected"),
    [
        (HASWELL, "AMD64", Cpu("x86_64", CORE_I7, {name: name == "avx2" for name in X86_FEATURES})),
        (SAPPHIRE_RAPIDS, "x86_64", Cpu("x86_64", XEON, dict.fromkeys(X86_FEATURES, True))),
        (RASPBERRY_PI_5, "arm64", Cpu("aarch64", BOARD, {"asimddp": True, "i8mm": False})),
        (TWO_KINDS_OF_CORES, "aarch64", Cpu("aarch64", CORES, {"asimddp": True, "i8mm": True})),
        # An emulator shows the real processor, whose features are not those of the emulated one.
        (SAPPHIRE_RAPIDS, "aarch64", Cpu("aarch64", XEON, None)),
        ("processor\t: 0\nisa\t\t: rv64imafdcv\n", "riscv64", Cpu("riscv64", None, None)),
        ("", "x86_64", Cpu("x86_64", None, None)),
        ("flags\n\x00\x01\n", "x86_64", Cpu("x86_64", None, None)),
    ],
    ids=["x86 without VNNI", "x86 with everything", "arm board", "two kinds of cores", "emulator", "RISC-V", "empty", "no colon"],
)
def test_cpuinfo_names_the_cpu_and_its_features(cpuinfo: Path, contents: str, machine: str, expected: Cpu) -> None:
    cpuinfo.write_text(contents)
    assert read_cpu(cpuinfo, machine) == expected


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
