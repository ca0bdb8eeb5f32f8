"""Images on standard output: nothing else is mixed with them, and errors are one line."""

import io
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pocketgan.generator import Generator
from pocketgan.output.png import PNG_END

PATIENCE = 60


def command(models: Path, *options: str, out: str = "-") -> list[str]:
    return [sys.executable, "-m", "pocketgan.gen_cli", "--model", str(models / "tiny_conditional.onnx"), "--out", out, *options]


def streamed(models: Path, *options: str, script: str | None = None) -> tuple[int, bytes, str]:
    """Run gan-gen --out -, by a script of Python if one is given; return its exit code, stdout and stderr."""
    arguments = command(models, *options)
    if script is not None:
        arguments[1:3] = ["-c", script]
    environment = os.environ | {"PYTHONUNBUFFERED": ""}  # so that text can be left in a buffer
    done = subprocess.run(arguments, capture_output=True, timeout=PATIENCE, env=environment)
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize("threads", ["1", "3"])
def test_raw_is_the_pixels_alone(models: Path, conditional: Generator, threads: str) -> None:
    code, out, said = streamed(models, "--format", "raw", "--count", "200", "--start", "3", "--threads", threads)
    assert code == 0
    assert out == conditional.generate(200, start=3).tobytes()
    assert re.search(r"\n200 images of seed 0 from index 3 on standard output after \d+\.\d\d s\n$", said)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_png_is_one_file_after_the_other(models: Path, conditional: Generator, threads: str) -> None:
    code, out, _ = streamed(models, "--count", "150", "--invert", "--threads", threads)
    assert code == 0
    files = [file + PNG_END for file in out.split(PNG_END)[:-1]]
    assert len(files) == 150
    for file, image in zip(files, conditional.generate(150), strict=True):
        with Image.open(io.BytesIO(file)) as read:
            np.testing.assert_array_equal(np.asarray(read), 255 - image)


def test_one_png_on_standard_output_is_the_file_that_a_folder_gets(models: Path, tmp_path: Path) -> None:
    code, out, _ = streamed(models, "--text", "2026", "--seed", "4")
    assert code == 0
    arguments = command(models, "--text", "2026", "--seed", "4", out=str(tmp_path))
    subprocess.run(arguments, check=True, capture_output=True, timeout=PATIENCE)
    assert out == (tmp_path / "00000000_2026.png").read_bytes()


def test_quiet_prints_nothing_but_the_images(models: Path) -> None:
    assert streamed(models, "--format", "raw", "--count", "1", "--quiet")[2] == ""


def test_output_of_other_code_is_not_among_the_images(models: Path, conditional: Generator) -> None:
    script = """if True:
        import os
        from pocketgan.output import arrays
        pixels = arrays.image_pixels
        def talkative(batch):
            print("from Python", flush=True)
            os.write(1, b"from a library\\n")
            return pixels(batch)
        arrays.image_pixels = talkative
        from pocketgan.gen_cli import main
        main()
    """
    code, out, said = streamed(models, "--format", "raw", "--count", "3", script=script)
    assert code == 0
    assert out == conditional.generate(3).tobytes()
    assert "from Python\nfrom a library\n" in said


@pytest.mark.parametrize("file_format", ["raw", "png"])
def test_buffered_output_of_other_code_is_not_among_the_images(models: Path, file_format: str) -> None:
    script = """if True:
        from pocketgan import drawing
        batches = drawing.Drawing.batches
        def talkative(drawing, indices):
            for batch in batches(drawing, indices):
                print("before a batch")
                yield batch
                print("after a batch")
        drawing.Drawing.batches = talkative
        from pocketgan.gen_cli import main
        main()
    """
    options = ("--format", file_format, "--count", "100", "--quiet", "--threads", "1")
    code, out, said = streamed(models, *options, script=script)
    assert (code, said) == (0, "before a batch\nafter a batch\n" * 2)
    assert out == streamed(models, *options)[1]


def test_a_reader_that_stops_early_is_one_line_and_exit_code_1(models: Path) -> None:
    arguments = command(models, "--count", "1000000", "--format", "raw", "--quiet")
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.read(6400)) == 6400
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait(PATIENCE) == 1
    assert said == "error: cannot write to standard output: Broken pipe\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line_and_exit_code_1(models: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(command(models, "--quiet"), stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (1, "error: cannot write to standard output: No space left on device\n")


def test_a_terminal_gets_no_images(models: Path) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(command(models, "--quiet"), stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 1
    assert done.stderr.startswith("error: standard output is a terminal: send it to a file or a program, as in gan-gen --out - >")


@pytest.mark.parametrize("closed", ["2>&-", "1>&-"])
def test_closed_streams_cause_no_traceback(models: Path, closed: str) -> None:
    line = f"{shlex.join(command(models, '--format', 'raw', '--count', '2'))} {closed}"
    done = subprocess.run(line, shell=True, capture_output=True, timeout=PATIENCE)
    assert b"Traceback" not in done.stderr
    if closed == "2>&-":
        assert (done.returncode, len(done.stdout)) == (0, 128)
    else:
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"error: cannot write to standard output: it is closed\n" in done.stderr
