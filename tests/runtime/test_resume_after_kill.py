"""Runs that are killed at random moments and resumed: no half file, no gap, nothing twice, the bytes of an unbroken run."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from drawings import contents

PATIENCE = 120
COUNTS = {"png": 12_000, "imagefolder": 12_000, "idx": 400_000, "npy": 400_000, "webdataset": 25_000, "npz": 100_000}
"""Images that take about a second each time."""


def start(folder: Path, model: Path, file_format: str, *options: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "pocketgan.gen_cli", "--model", str(model), "--quiet", "--threads", "2"]
    command += ["--count", str(COUNTS[file_format]), "--format", file_format, "--out", str(folder), *options]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("file_format", COUNTS)
def test_a_run_killed_at_random_moments_is_completed(tmp_path: Path, models: Path, file_format: str) -> None:
    model, unbroken, killed = models / "tiny_conditional.onnx", tmp_path / "unbroken", tmp_path / "killed"
    with start(unbroken, model, file_format) as process:
        seconds = -time.monotonic()
        assert process.wait(PATIENCE) == 0
        seconds += time.monotonic()
    expected = contents(unbroken)

    moments = random.Random(file_format)
    kills = 0
    for _ in range(4):
        with start(killed, model, file_format, "--resume") as process:
            deadline = time.monotonic() + PATIENCE
            while not (killed / "manifest.json").exists() and process.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.001)
            # Short waits, so that several kills fit into one run.
            time.sleep(moments.uniform(0, seconds / 3))
            process.send_signal(signal.SIGKILL)
            kills += process.wait(PATIENCE) == -signal.SIGKILL
        found = contents(killed)
        whole = {name: found[name] for name in found if not os.path.basename(name).startswith(".")}
        assert whole.items() <= expected.items()
    assert kills >= 2, "too few kills came before the end: draw more images"

    with start(killed, model, file_format, "--resume") as process:
        assert process.wait(PATIENCE) == 0
    assert contents(killed) == expected


def test_what_a_killed_run_has_drawn_is_not_drawn_again(tmp_path: Path, models: Path) -> None:
    killed = tmp_path / "killed"
    with start(killed, models / "tiny_conditional.onnx", "png") as process:
        deadline = time.monotonic() + PATIENCE
        while not killed.exists() or len(os.listdir(killed)) < 3000:
            assert time.monotonic() < deadline
            assert process.poll() is None
        process.kill()
        process.wait(PATIENCE)
    before = {path.name: path.stat().st_mtime_ns for path in killed.glob("*.png")}
    with start(killed, models / "tiny_conditional.onnx", "png", "--resume") as process:
        assert process.wait(PATIENCE) == 0
    after = {path.name: path.stat().st_mtime_ns for path in killed.glob("*.png")}
    assert len(before) >= 2900
    assert before.items() <= after.items()
    assert len(after) == COUNTS["png"]
