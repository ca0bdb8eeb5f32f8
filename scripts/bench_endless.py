"""Measure how long many digits take, compared with the least work that they need. Linux only; needs the extra [cpu].

    python scripts/bench_endless.py [--count 1000000] [--files 10000] [--threads N] [--rounds 5]

IDX files are compared with the same number of calls of onnxruntime on the same threads, whose inputs never change and whose
images are discarded; PNG files with Pillow writing the same arrays on the same threads; and the memory of a run with that for a
thousand digits. Each round does everything in turn, in /dev/shm if it exists; ratios are medians of the rounds' ratios.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import pocketgan_models
from pocketgan.address import image_range
from pocketgan.cpus import usable_cpus
from pocketgan.drawing import Drawing
from pocketgan.generator import Generator
from pocketgan.latents import latents
from pocketgan.model.limits import BATCH_SIZE
from pocketgan.model.session import Provider, open_session
from pocketgan.output.arrays import idx_files
from pocketgan.output.formats import Files
from pocketgan.output.png import PngFiles
from pocketgan.request import Existing, Selection

_MODEL = "pocket"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000, help="digits in IDX files")
    parser.add_argument("--files", type=int, default=10_000, help="PNG files")
    parser.add_argument("--threads", type=int, default=usable_cpus())
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    threads, generator = arguments.threads, Generator.load(_MODEL, Provider.cpu)
    images = generator.generate(arguments.files)
    digits_drawn, files_drawn = (drawing_of(generator, count, threads) for count in (arguments.count, arguments.files))
    tasks: dict[str, Callable[[Path], object]] = {
        "calls of onnxruntime": lambda folder: bare_calls(generator, arguments.count, threads),
        "IDX files": lambda folder: write(idx_files(folder, digits_drawn), digits_drawn),
        "Pillow's PNG files": partial(pillow_files, images, threads),
        "PNG files": lambda folder: write(PngFiles(folder, files_drawn), files_drawn),
    }
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    memory = Path("/dev/shm")
    for _ in range(arguments.rounds):
        for name, task in tasks.items():
            folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
            began = time.perf_counter()
            task(folder)
            seconds[name].append(time.perf_counter() - began)
            shutil.rmtree(folder)
    digits = statistics.median(ratios(seconds["IDX files"], seconds["calls of onnxruntime"]))
    files = statistics.median(ratios(seconds["Pillow's PNG files"], seconds["PNG files"]))
    few, many = (peak_memory(count, threads) for count in (1000, arguments.count))
    print(f"On {threads} threads, medians of {arguments.rounds} rounds:\n")
    print(f"- {arguments.count:,} digits as IDX take {digits:.2f} times as long as the calls of onnxruntime alone, ", end="")
    print(f"{statistics.median(seconds['IDX files']):.3g} s")
    print(
        f"- {arguments.files:,} PNG files are drawn and written {files:.2f} times as fast as Pillow alone writes the arrays, ",
        end="",
    )
    print(f"{statistics.median(seconds['PNG files']):.3g} s")
    print(f"- 1,000 digits as IDX take {few / 2**20:.1f} MiB of memory at most, {arguments.count:,} take {many / 2**20:.1f} MiB")


def drawing_of(generator: Generator, count: int, threads: int) -> Drawing:
    """Return a drawing of the first `count` digits of seed 0."""
    return Drawing(generator, Selection(image_range(0, 0, count), None, None, None, is_inverted=False), threads)


def write(files: Files, drawing: Drawing) -> None:
    """Draw and write a whole drawing."""
    for _ in files.write(drawing.batches(drawing.selection.indices), Existing.refuse):
        pass


def bare_calls(generator: Generator, count: int, threads: int) -> None:
    """Call onnxruntime for `count` images, divided evenly among the threads."""
    contents = pocketgan_models.path(_MODEL).read_bytes()
    session = open_session(contents, generator.card.precision, Provider.cpu).session
    feeds = {"z": latents(0, 0, BATCH_SIZE, generator.card.latent_size), "label": np.arange(BATCH_SIZE) % 10}

    def call(number: int) -> None:
        for _ in range(number, count, BATCH_SIZE * threads):
            session.run(["images"], feeds)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(call, range(0, BATCH_SIZE * threads, BATCH_SIZE)))


def pillow_files(images: NDArray[np.uint8], threads: int, folder: Path) -> None:
    """Write images uint8 [N, H, W] with Pillow alone."""

    def write(first: int) -> None:
        for number in range(first, len(images), threads):
            Image.fromarray(images[number]).save(folder / f"{number:08d}.png")

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(write, range(threads)))


def peak_memory(count: int, threads: int) -> int:
    """Return the peak memory of gan-gen in bytes while it draws `count` digits as IDX."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["--count", str(count), "--threads", str(threads), "--model", _MODEL, "--format", "idx", "--out", folder]
        script = (
            "from pocketgan.gen_cli import app\n"
            "try: app()\n"
            "finally: print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
        )
        done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=True)
    # "VmHWM:   123456 kB". getrusage would return the peak of the parent process if that is higher.
    return int(done.stdout.split()[1]) * 1024


def ratios(slow: list[float], fast: list[float]) -> list[float]:
    """Return how many times as long the first took as the second, for each round."""
    return [one / other for one, other in zip(slow, fast, strict=True)]


if __name__ == "__main__":
    main()
