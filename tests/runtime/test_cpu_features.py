"""Which instructions a CPU has: by /proc/cpuinfo, by macOS's sysctl, or not known."""

import os
import platform
from pathlib import Path

import pytest

from pocketgan.cpus import Cpu, read_cpu

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
