"""`gan-gen` as a process of its own: exit codes, streams, imports, and what is left when it is stopped half-way."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
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


def run(folder: Path, *arguments: str | Path, command: list[str] = GAN_GEN, **environment: str) -> tuple[int, str, str]:
    """Run a command in a folder, and return its exit code and what came on stdout and stderr."""
    done = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=folder,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return done.returncode, done.stdout, done.stderr


def stopped_half_way(folder: Path, model: Path, number: signal.Signals, *arguments: str) -> tuple[int, str]:
    """Start drawing a great many images, send a signal when some are there, and return the exit code and what was said."""
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
            process.send_signal(number)
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
    code, out, said = run(tmp_path, "--model", models / "tiny.onnx", "--count", "2")
    assert (code, out) == (0, "")
    assert said.startswith(f"model {models / 'tiny.onnx'} (as named): ")
    assert len(list((tmp_path / "digits").glob("*.png"))) == 2


def test_a_few_images_wait_for_nothing_that_only_many_need(tmp_path: Path, models: Path) -> None:
    script = """if True:
        import sys
        from pocketgan.gen_cli import app
        try:
            app()
        finally:
            print([name for name in ("concurrent.futures", "rich", "zipfile", "torch") if name in sys.modules], file=sys.stderr)
    """
    arguments = ("--model", models / "tiny.onnx", "--count", "10", "--quiet")
    assert run(tmp_path, *arguments, command=[sys.executable, "-c", script]) == (0, "", "[]\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_1_with_one_line_on_stderr(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*GAN_GEN, "--version"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert done.stderr == "error: cannot write to standard output: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stderr_does_not_stop_the_drawing(tmp_path: Path, models: Path) -> None:
    with open("/dev/full", "w") as full:
        command = [*GAN_GEN, "--model", str(models / "tiny.onnx"), "--count", "3"]
        assert subprocess.run(command, cwd=tmp_path, stderr=full, timeout=PATIENCE).returncode == 0
    assert len(list((tmp_path / "digits").glob("*.png"))) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_help_to_a_full_disk_is_1_with_one_line(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*GAN_GEN, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (1, "error: cannot write to standard output: No space left on device\n")


def test_an_expected_failure_is_1_with_one_line_on_stderr(tmp_path: Path, models: Path) -> None:
    code, out, said = run(tmp_path, "--model", models / "fails_when_drawing.onnx", "--quiet")
    assert (code, out) == (1, "")
    assert re.fullmatch(r"error: model \S+/fails_when_drawing\.onnx failed to draw: [^\n]+\n", said)


def test_wrong_usage_is_2_without_a_traceback(tmp_path: Path) -> None:
    code, out, said = run(tmp_path, "--count", "0")
    assert (code, out) == (2, "")
    assert "--count" in said
    assert "Traceback" not in said


def test_a_malformed_choice_of_classes_is_2_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    script = """if True:
        import sys
        from pocketgan.gen_cli import app
        try:
            app()
        finally:
            print([name for name in ("numpy", "onnxruntime", "PIL", "rich") if name in sys.modules], file=sys.stderr)
    """
    code, out, said = run(tmp_path, "--digits", "4-0", command=[sys.executable, "-c", script])
    assert (code, out) == (2, "")
    assert said.endswith("Error: Invalid value for --digits: the range 4-0 runs backwards: expected 0-4\n[]\n")


def test_text_is_drawn_by_the_process_too(tmp_path: Path, models: Path, conditional: Generator) -> None:
    arguments = ("--text", "2026", "--truncation", "0.5", "--seed", "3")
    code, out, said = run(tmp_path, "--model", models / "tiny_conditional.onnx", *arguments)
    assert (code, out) == (0, "")
    assert "\n1 image of 2026 of seed 3 from index 0 at truncation 0.5 in digits after " in said
    with Image.open(tmp_path / "digits" / "00000000_2026.png") as image:
        singles = conditional.generate(4, [2, 0, 2, 6], seed=3, truncation=0.5)
        np.testing.assert_array_equal(np.asarray(image), np.hstack(list(singles)))


def test_ctrl_c_is_130_without_a_traceback_and_leaves_whole_files(tmp_path: Path, models: Path, tiny: Generator) -> None:
    code, said = stopped_half_way(tmp_path, models / "tiny.onnx", signal.SIGINT)
    assert code == 130
    assert "Traceback" not in said
    (shown,) = re.findall(
        r"stopped: ([0-9,]+) of 50,000,000 images are in digits; the same command with --resume draws the rest\n", said
    )
    assert int(shown.replace(",", "")) == len(list((tmp_path / "digits").glob("*.png")))
    assert_whole_png_files(tmp_path / "digits", tiny)
    assert [name for name in os.listdir(tmp_path / "digits") if not name.endswith(".png")] == ["manifest.json"]


def test_ctrl_c_leaves_nothing_of_an_npz_file(tmp_path: Path, models: Path) -> None:
    code, said = stopped_half_way(tmp_path, models / "tiny.onnx", signal.SIGINT, "--format", "npz")
    assert code == 130
    assert "Traceback" not in said
    assert "stopped: 0 of 50,000,000 images are in digits" in said
    assert os.listdir(tmp_path / "digits") == ["manifest.json"]


def test_ctrl_c_leaves_what_an_idx_file_has_so_far_and_says_how_much(tmp_path: Path, models: Path) -> None:
    code, said = stopped_half_way(tmp_path, models / "tiny.onnx", signal.SIGINT, "--format", "idx")
    assert code == 130
    (shown,) = re.findall(r"stopped: ([0-9,]+) of 50,000,000 images", said)
    part = tmp_path / "digits" / ".images-idx3-ubyte.part"
    assert part.stat().st_size == 16 + int(shown.replace(",", "")) * 64
    assert sorted(os.listdir(tmp_path / "digits")) == [part.name, "manifest.json"]


def test_a_kill_leaves_whole_png_files_and_a_hidden_other_for_each_thread(tmp_path: Path, models: Path, tiny: Generator) -> None:
    code, _ = stopped_half_way(tmp_path, models / "tiny.onnx", signal.SIGKILL, "--threads", "3")
    assert code == -signal.SIGKILL
    assert_whole_png_files(tmp_path / "digits", tiny)
    others = [name for name in os.listdir(tmp_path / "digits") if name.startswith(".")]
    others.remove(".manifest.json.lock")
    assert len(others) <= 3
    assert all(re.fullmatch(r"\.\d{8}\.png\.\d+\.tmp", name) for name in others)


def assert_whole_png_files(folder: Path, generator: Generator) -> None:
    """Check that the folder's PNG files are among the first images, each of them whole."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(".png"))
    expected = generator.generate(int(names[-1].removesuffix(".png")) + 1)
    # Threads write a few batches at the same time: what is missing is less than that.
    assert len(expected) - len(names) < 20 * BATCH_SIZE
    for name in names:
        with Image.open(folder / name) as image:
            np.testing.assert_array_equal(np.asarray(image), expected[int(name.removesuffix(".png"))])


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(tmp_path: Path, option: str) -> None:
    script = """if True:
        import sys
        from pocketgan.gen_cli import app
        try:
            app()
        finally:
            print([name for name in ("numpy", "onnxruntime", "PIL", "rich") if name in sys.modules], file=sys.stderr)
    """
    code, out, said = run(tmp_path, option, command=[sys.executable, "-c", script])
    assert (code, said) == (0, "[]\n")
    assert out


def test_without_onnxruntime_it_says_what_to_install(tmp_path: Path, models: Path) -> None:
    script = "import sys; sys.modules['onnxruntime'] = None; from pocketgan.gen_cli import main; main()"
    code, out, said = run(tmp_path, "--model", models / "tiny.onnx", command=[sys.executable, "-c", script])
    assert (code, out) == (1, "")
    assert re.fullmatch(r"error: onnxruntime cannot be imported [^\n]+ run in [^\n]+: pip install '\.\[cpu\]'[^\n]+\n", said)


def test_with_onnxruntime_twice_it_says_what_to_uninstall(tmp_path: Path, models: Path) -> None:
    for name in ("onnxruntime", "onnxruntime-gpu"):
        info = tmp_path / f"{name.replace('-', '_')}-1.31.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.31.1\n")
    code, out, said = run(tmp_path, "--model", models / "tiny.onnx", PYTHONPATH=str(tmp_path))
    assert (code, out) == (1, "")
    assert re.fullmatch(
        r"error: onnxruntime and onnxruntime-gpu are both installed and overwrite each other; run in [^\n]+: pip [^\n]+\n", said
    )


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


def test_a_report_for_a_closed_stdout_is_1_with_one_line(tmp_path: Path, models: Path) -> None:
    command = f'"{sys.executable}" -m pocketgan.gen_cli --model "{models / "tiny.onnx"}" --count 2 --json --quiet 1>&-'
    done = subprocess.run(command, shell=True, cwd=tmp_path, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (1, "error: cannot write to standard output: it is closed\n")


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


@pytest.mark.parametrize(
    "file_format", [pytest.param("png", marks=pytest.mark.slow), pytest.param("imagefolder", marks=pytest.mark.slow), "npy"]
)
def test_of_two_runs_into_one_folder_at_once_one_is_refused(tmp_path: Path, models: Path, file_format: str) -> None:
    model, both = models / "tiny_conditional.onnx", [("--format", file_format, "--seed", seed) for seed in ("1", "2")]
    ended = together(tmp_path, model, *both)
    assert sorted(code for code, _ in ended) == [0, 1]
    winner = [code for code, _ in ended].index(0)
    assert ended[winner][1] == ""
    # The later of two that do not meet finds the files of the other.
    assert re.fullmatch(
        r"error: (another gan-gen is writing into digits: wait for it, or choose another --out"
        r"|digits/\S+ exists already, as do [0-9]+ more: use --resume to complete that run, --overwrite, or another --out)\n",
        ended[1 - winner][1],
    )
    assert together(tmp_path, model, (*both[winner], "--out", "alone")) == [(0, "")]
    assert contents(tmp_path / "digits") == contents(tmp_path / "alone")


@pytest.mark.parametrize(
    "file_format", [pytest.param("png", marks=pytest.mark.slow), pytest.param("imagefolder", marks=pytest.mark.slow), "npy"]
)
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


def test_with_stderr_closed_the_images_are_drawn_and_stdout_stays_empty(tmp_path: Path, models: Path) -> None:
    command = f'"{sys.executable}" -m pocketgan.gen_cli --model "{models / "tiny.onnx"}" --count 2 --out "{tmp_path / "d"}" 2>&-'
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, timeout=60, check=True)
    assert done.stdout == b""
    assert len(list((tmp_path / "d").glob("*.png"))) == 2
