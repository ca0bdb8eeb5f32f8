"""`gan-gen` as a process of its own: exit codes, streams, imports, and what is left when it is stopped half-way."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
from drawings import contents
from PIL import Image

from pocketgan.gen_cli import main
from pocketgan.generator import Generator
from pocketgan.model.limits import BATCH_SIZE

GAN_GEN = [sys.executable, "-m", "pocketgan.gen_cli"]
PATIENCE = 60
"""Seconds after which a process is taken to hang."""


def run(folder: Path, *arguments: str | Path, command: list[str] = GAN_GEN) -> tuple[int, str, str]:
    """Run a command in a folder, and return its exit code and what it printed on stdout and stderr."""
    done = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return done.returncode, done.stdout, done.stderr


def stopped_half_way(folder: Path, model: Path, *arguments: str) -> tuple[int, str]:
    """Start drawing a great many images, press Ctrl-C when some exist, and return the exit code and stderr."""
    # Where the tests run in the background, Ctrl-C is ignored, which children inherit.
    script = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from pocketgan.gen_cli import main; main()"
    command = [sys.executable, "-c", script, "--model", str(model), "--count", "50000000", *arguments]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while not is_well_under_way(folder / "digits"):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            out, said = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert out == ""
    return process.returncode, said


def is_well_under_way(folder: Path) -> bool:
    """Return whether a folder holds more than a batch of PNG files, or a kilobyte of a single file that is not ready yet."""
    if not folder.exists():
        return False
    names = os.listdir(folder)
    return len(names) > 100 or any(
        name.startswith((".digits", ".images")) and (folder / name).stat().st_size > 1000 for name in names
    )


def test_gan_gen_is_a_command_of_the_package() -> None:
    (command,) = entry_points(group="console_scripts", name="gan-gen")
    assert command.load() is main


def test_success_is_0_with_nothing_on_stdout(tmp_path: Path, models: Path) -> None:
    code, out, printed = run(tmp_path, "--model", models / "tiny.onnx", "--count", "2")
    assert (code, out) == (0, "")
    assert printed.startswith(f"model {models / 'tiny.onnx'} (as named): ")
    assert len(list((tmp_path / "digits").glob("*.png"))) == 2


def test_an_expected_failure_is_1_with_one_line_on_stderr(tmp_path: Path, models: Path) -> None:
    code, out, printed = run(tmp_path, "--model", models / "fails_when_drawing.onnx", "--quiet")
    assert (code, out) == (1, "")
    assert re.fullmatch(r"error: model \S+/fails_when_drawing\.onnx failed to draw: [^\n]+\n", printed)


def test_without_onnxruntime_it_says_what_to_install(tmp_path: Path, models: Path) -> None:
    script = "import sys; sys.modules['onnxruntime'] = None; from pocketgan.gen_cli import main; main()"
    code, out, printed = run(tmp_path, "--model", models / "tiny_float.onnx", command=[sys.executable, "-c", script])
    assert (code, out) == (1, "")
    assert re.fullmatch(r"error: onnxruntime cannot be imported [^\n]+ run: pip install onnxruntime, [^\n]+\n", printed)


def test_without_onnxruntime_numpy_draws_int8_models_and_says_so(tmp_path: Path, models: Path) -> None:
    script = "import sys; sys.modules['onnxruntime'] = None; from pocketgan.gen_cli import main; main()"
    code, _, printed = run(tmp_path, "--model", models / "tiny.onnx", command=[sys.executable, "-c", script])
    assert code == 0
    assert "provider numpy: onnxruntime is not installed\n" in printed


HEAVY = ("numpy", "onnxruntime", "PIL", "rich")
"""What takes long to import."""


@pytest.mark.parametrize(
    ("arguments", "unwanted", "code"),
    [
        (("--help",), HEAVY, 0),
        (("--version",), HEAVY, 0),
        (("--digits", "4-0"), HEAVY, 2),
        (("--count", "10", "--quiet"), ("concurrent.futures", "rich", "zipfile", "torch"), 0),
    ],
)
def test_nothing_is_imported_that_is_not_needed(
    tmp_path: Path, models: Path, arguments: tuple[str, ...], unwanted: tuple[str, ...], code: int
) -> None:
    script = f"""if True:
        import sys
        from pocketgan.gen_cli import app
        try:
            app()
        finally:
            print([name for name in {unwanted} if name in sys.modules], file=sys.stderr)
    """
    ended, _, printed = run(tmp_path, "--model", models / "tiny.onnx", *arguments, command=[sys.executable, "-c", script])
    assert (ended, printed.splitlines()[-1]) == (code, "[]")


@pytest.mark.parametrize(
    ("file_format", "kept"),
    [
        ("png", lambda folder: len(list(folder.glob("*.png")))),
        ("npz", lambda folder: 0),
        ("idx", lambda folder: ((folder / ".images-idx3-ubyte.part").stat().st_size - 16) // 64),
    ],
)
def test_ctrl_c_is_130_and_leaves_only_what_can_be_resumed(
    tmp_path: Path, models: Path, tiny: Generator, file_format: str, kept: Callable[[Path], int]
) -> None:
    code, printed = stopped_half_way(tmp_path, models / "tiny.onnx", "--format", file_format)
    assert code == 130
    assert "Traceback" not in printed
    message = r"stopped: ([0-9,]+) of 50,000,000 images are in digits; the same command with --resume draws the rest\n"
    (shown,) = re.findall(message, printed)
    folder = tmp_path / "digits"
    assert int(shown.replace(",", "")) == kept(folder)
    others = {name for name in os.listdir(folder) if not name.endswith(".png")}
    assert others == {"manifest.json", *[".images-idx3-ubyte.part"] * (file_format == "idx")}

    images = {int(path.stem): path for path in folder.glob("*.png")}
    expected = tiny.generate(max(images, default=0) + 1)
    assert len(expected) - len(images) < 20 * BATCH_SIZE  # threads write a few batches at the same time
    for index, path in images.items():
        with Image.open(path) as image:
            np.testing.assert_array_equal(np.asarray(image), expected[index])


def test_on_a_terminal_a_progress_bar_is_shown_and_taken_away(tmp_path: Path, models: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*GAN_GEN, "--model", str(models / "tiny.onnx"), "--count", "2000"]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=theirs, stdout=subprocess.PIPE, env=os.environ | {"TERM": "xterm"}
    ) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # on Linux, the end
                break
            if not part:
                break
            said += part
        os.close(ours)
        assert process.stdout is not None
        assert process.stdout.read() == b""
    assert process.returncode == 0
    assert b"images" in said.split(b"provider cpu")[1].split(b"2,000 images")[0]
    assert len(list((tmp_path / "digits").glob("*.png"))) == 2000


@pytest.mark.parametrize(
    ("redirected", "code", "printed"),
    [
        ("2>&-", 0, ""),
        ("2>/dev/full", 0, ""),
        ("--quiet --json 1>&-", 1, "error: cannot write to standard output: it is closed\n"),
    ],
)
def test_streams_that_cannot_be_written_do_not_stop_the_drawing(
    tmp_path: Path, models: Path, redirected: str, code: int, printed: str
) -> None:
    command = f'"{sys.executable}" -m pocketgan.gen_cli --model "{models / "tiny.onnx"}" --count 2 {redirected}'
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", printed)
    assert len(list((tmp_path / "digits").glob("*.png"))) == 2


def together(folder: Path, model: Path, *options: tuple[str, ...]) -> list[tuple[int, str]]:
    """Run gan-gen several times at once, each time with other options, and return exit codes and what was said."""
    command = [*GAN_GEN, "--model", str(model), "--count", "64", "--size", "512", "--threads", "1", "--quiet"]
    processes = [
        subprocess.Popen([*command, *more], cwd=folder, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for more in options
    ]
    try:
        said = [process.communicate(timeout=PATIENCE)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait(PATIENCE)
    return [(process.returncode, text) for process, text in zip(processes, said, strict=True)]


@pytest.mark.parametrize("file_format", ["npy", pytest.param("imagefolder", marks=pytest.mark.slow)])
def test_of_two_runs_into_one_folder_at_once_one_is_refused(tmp_path: Path, models: Path, file_format: str) -> None:
    model, both = models / "tiny_conditional.onnx", [("--format", file_format, "--seed", seed) for seed in ("1", "2")]
    ended = together(tmp_path, model, *both)
    assert sorted(code for code, _ in ended) == [0, 1]
    winner = [code for code, _ in ended].index(0)
    assert ended[winner][1] == ""
    # The later of two that do not meet finds the files of the other.
    assert re.fullmatch(
        r"error: (another gan-gen is writing into digits: wait for it, or choose another --out"
        r"|digits/\S+ exists already, as do [0-9]+ more \(of another run: seed is [12] there, [12] requested\): "
        r"use --overwrite, or another --out)\n",
        ended[1 - winner][1],
    )
    assert together(tmp_path, model, (*both[winner], "--out", "alone")) == [(0, "")]
    assert contents(tmp_path / "digits") == contents(tmp_path / "alone")


@pytest.mark.parametrize("file_format", ["npy", pytest.param("imagefolder", marks=pytest.mark.slow)])
def test_two_that_resume_one_run_at_once_do_not_spoil_it(tmp_path: Path, models: Path, file_format: str) -> None:
    model, options = models / "tiny_conditional.onnx", ("--format", file_format)
    assert together(tmp_path, model, options) == [(0, "")]
    whole = contents(tmp_path / "digits")
    if file_format == "npy":
        for name in ("images.npy", "labels.npy"):
            file = tmp_path / "digits" / name
            file.rename(file.with_name(f".{name}.part")).write_bytes(whole[name][: len(whole[name]) // 2])
    else:
        for path in sorted((tmp_path / "digits").rglob("*.png"))[::2]:
            path.unlink()
    ended = together(tmp_path, model, *[(*options, "--resume")] * 2)
    shown = "error: another gan-gen is writing into digits: wait for it, or choose another --out\n"
    assert (0, "") in ended
    assert set(ended) <= {(0, ""), (1, shown)}
    assert contents(tmp_path / "digits") == whole
