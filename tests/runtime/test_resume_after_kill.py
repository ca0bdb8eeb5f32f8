"""Runs that are killed and resumed: no half file, no gap, nothing twice, the bytes of an unbroken run."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from drawings import contents

PATIENCE = 120
COUNTS = {
    "png": 12_000,
    "imagefolder": 12_000,
    "idx": 400_000,
    "npy": 400_000,
    "webdataset": 25_000,
    "npz": 100_000,
    "parquet": 25_000,
}
"""Images that take about a second each time."""


def start(folder: Path, model: Path, file_format: str, *options: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "pocketgan.gen_cli", "--model", str(model), "--quiet", "--threads", "2"]
    command += ["--count", str(COUNTS[file_format]), "--format", file_format, "--out", str(folder), *options]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


def whole_files(folder: Path) -> dict[str, bytes]:
    """Return the files of a run but for temporary ones, and for a manifest that says that the run is unfinished."""
    found = {name: data for name, data in contents(folder).items() if not os.path.basename(name).startswith(".")}
    return {name: data for name, data in found.items() if name != "manifest.json" or b"is_unfinished" not in data}


@pytest.mark.slow
@pytest.mark.parametrize("file_format", COUNTS)
def test_a_run_killed_at_random_moments_is_completed(tmp_path: Path, models: Path, file_format: str) -> None:
    if file_format == "parquet":
        pytest.importorskip("pyarrow")
    model, unbroken, killed = models / "tiny_conditional.onnx", tmp_path / "unbroken", tmp_path / "killed"
    with start(unbroken, model, file_format) as process:
        seconds = -time.monotonic()
        assert process.wait(PATIENCE) == 0
        seconds += time.monotonic()
    expected = contents(unbroken)

    # Short waits, so that several kills fit into one run.
    moments, longest_wait = random.Random(file_format), seconds / 3
    kills = attempts = 0
    while kills < 3:
        attempts += 1
        assert attempts <= 20, "too few kills came before the end: draw more images"
        with start(killed, model, file_format, "--resume") as process:
            deadline = time.monotonic() + PATIENCE
            while not (killed / "manifest.json").exists() and process.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.001)
            time.sleep(moments.uniform(0, longest_wait))
            process.send_signal(signal.SIGKILL)
            is_killed = process.wait(PATIENCE) == -signal.SIGKILL
        whole = whole_files(killed)
        assert whole.items() <= expected.items()
        kills += is_killed
        if not is_killed:  # the machine is faster than it was: start again, with shorter waits
            assert whole == expected
            shutil.rmtree(killed)
            longest_wait /= 2

    with start(killed, model, file_format, "--resume") as process:
        assert process.wait(PATIENCE) == 0
    assert contents(killed) == expected


_KILLED_AT_A_RENAME = """if True:
    import os, signal, sys
    from pocketgan.output import formats
    formats.IMAGES_IN_SHARD = 100
    left, rename = int(sys.argv.pop(1)), os.replace
    def counted(*arguments):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(*arguments)
    os.replace = counted
    from pocketgan.gen_cli import main
    main()
"""


@pytest.mark.parametrize(
    ("file_format", "rename"),
    [("png", 1), ("png", 150), ("imagefolder", 302), ("npy", 2), ("npy", 3), ("idx.gz", 3), ("webdataset", 3)],
)
def test_a_run_killed_at_a_rename_is_completed_and_keeps_what_was_whole(
    tmp_path: Path, models: Path, file_format: str, rename: int
) -> None:
    # The first and the last rename are those of the manifest.
    def run(folder: Path, kill_at: int, *options: str) -> int:
        command = [sys.executable, "-c", _KILLED_AT_A_RENAME, str(kill_at), "--model", str(models / "tiny_conditional.onnx")]
        command += ["--quiet", "--count", "300", "--format", file_format, "--out", str(folder), *options]
        return subprocess.run(command, stdin=subprocess.DEVNULL, timeout=PATIENCE).returncode

    assert run(tmp_path / "unbroken", 0) == 0
    expected = contents(tmp_path / "unbroken")
    killed = tmp_path / "killed"
    assert run(killed, rename) == -signal.SIGKILL
    whole = whole_files(killed)
    assert len(whole) == max(0, rename - 2)
    assert whole.items() <= expected.items()
    before = {name: (killed / name).stat().st_mtime_ns for name in whole}
    assert run(killed, 0, "--resume") == 0
    assert contents(killed) == expected
    if file_format != "idx.gz":  # which begins again
        assert {name: (killed / name).stat().st_mtime_ns for name in before} == before
