"""Measure the places where pocketgan draws: what they take on disk, how fast they start and draw, and if the pixels are the same.

    python scripts/bench_places.py [MODEL] [--run FOLDER] [--rounds 5]

Prints a Markdown table, with the medians of rounds in which every place draws in turn, on one thread. Measured are those that are
here: two fresh environments, which this makes; Chromium, if playwright is installed, too; C, with the run folder that MODEL was
exported from; Python on musl (scripts/setup_musl), and on emulated Arm processors (scripts/arm/setup), where time means nothing.
"""

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pocketgan import Generator
from pocketgan.address import image_range
from pocketgan.model.checked import locate_model, read_model
from pocketgan.page.document import write_page

ROOT = Path(__file__).parents[1]
IMAGES, SEED = 2_000, 3
SHEET = 100
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

START = "import sys; from pocketgan.gen_cli import main; sys.argv[0] = 'gan-gen'; main()"
DRAW = f"""
import hashlib, sys, time, pocketgan
generator = pocketgan.Generator.load(sys.argv[1])
generator.generate(256)
began = time.perf_counter()
images = generator.generate({IMAGES}, seed={SEED})
print((time.perf_counter() - began) / {IMAGES}, hashlib.sha256(images.tobytes()).hexdigest())
"""
DRAW_PAGE = """async (sheets) => {
    const began = performance.now(), drawn = [];
    for (const sheet of sheets)
        for (const image of (await pocketgan.draw(sheet.map((one) => ({ ...one, seed: BigInt(one.seed) })))).images)
            drawn.push([...image]);
    return [performance.now() - began, drawn];
}"""
DRAW_C = """
#include "model.c"
#include <stdio.h>
int main(void)
{
    int8_t latents[POCKETGAN_LATENTS], label;
    uint8_t image[POCKETGAN_HEIGHT * POCKETGAN_WIDTH];
    while (fread(&label, 1, 1, stdin) && fread(latents, sizeof latents, 1, stdin)) {
        pocketgan_draw(latents, label, image);
        fwrite(image, sizeof image, 1, stdout);
    }
    return 0;
}
"""


@dataclass(frozen=True)
class Drawn:
    """What one round in one place showed."""

    start_seconds: float
    """Until ten digits are files, or the page shows a hundred."""
    image_seconds: float
    sha256: str
    """Of the pixels of the first IMAGES images of SEED."""


@dataclass(frozen=True)
class Place:
    """Where the model draws."""

    name: str
    installed_by: str
    size_bytes: int | None
    draw: Callable[[], Drawn]
    is_emulated: bool = False


def timed(command: list[str | Path], given: bytes = b"") -> tuple[float, bytes]:
    """Return how many seconds a command took, and what it printed; raises CalledProcessError if it fails."""
    began = time.perf_counter()
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, env=ONE_THREAD, check=True)
    return time.perf_counter() - began, done.stdout


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def in_python(command: list[str | Path], model: Path, work: Path) -> Drawn:
    """Draw with a Python that has pocketgan."""
    start, _ = timed([*command, "-c", START, "--model", model, "--out", work / "files", "--overwrite", "--quiet"])
    seconds, digest = timed([*command, "-c", DRAW, model])[1].split()
    return Drawn(start, float(seconds), digest.decode())


def environment(extra: str, work: Path) -> Path:
    """Return a new environment with pocketgan and nothing else."""
    made = work / f"venv{extra}"
    venv.create(made, symlinks=True)
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", made / "bin" / "python", "install", "--quiet"]
    timed([*pip, "-c", ROOT / "scripts" / "constraints.txt", f"{ROOT}{extra}"])
    return made


def in_page(page: Path, generator: Generator) -> Drawn:
    """Draw in Chromium."""
    from playwright.sync_api import sync_playwright

    labels = generator.labels(0, IMAGES)
    addresses = [
        {"seed": str(SEED), "index": index, "label": None if labels is None else int(labels[index]), "truncation": 256}
        | {"hand": None, "asked": {}}
        for index in range(IMAGES)
    ]
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_page()
        began = time.perf_counter()
        shown.goto(page.as_uri())
        shown.evaluate("() => pocketgan.ready")
        start = time.perf_counter() - began
        milliseconds, images = shown.evaluate(DRAW_PAGE, [addresses[first : first + SHEET] for first in range(0, IMAGES, SHEET)])
        browser.close()
    return Drawn(start, milliseconds / 1e3 / IMAGES, hashlib.sha256(np.array(images, np.uint8).tobytes()).hexdigest())


def in_c(program: Path, generator: Generator) -> Drawn:
    """Draw with the program of a C file."""
    labels = generator.labels(0, IMAGES)
    ticks = generator.ticks(image_range(SEED, 0, IMAGES), labels)
    rows = np.column_stack([np.zeros(IMAGES, np.int8) if labels is None else labels.astype(np.int8), ticks])
    start, _ = timed([program], rows[:10].tobytes())
    seconds, images = timed([program], rows.tobytes())
    return Drawn(start, seconds / IMAGES, hashlib.sha256(images).hexdigest())


def places(model: Path, run: Path | None, work: Path) -> Iterator[Place]:
    """Yield every place that is here."""
    for name, extra in (("Python with onnxruntime", "[cpu]"), ("Python with numpy alone", "")):
        made = environment(extra, work)
        python: list[str | Path] = [made / "bin" / "python"]
        yield Place(
            name,
            f'`pip install ".{extra}"`' if extra else "`pip install .`",
            size_of(made),
            partial(in_python, python, model, work),
        )
    musl: list[str | Path] = [ROOT / ".venv-musl" / "run"]
    if Path(musl[0]).exists():
        size = sum(size_of(ROOT / folder) for folder in (".venv-musl/site", "runtime", "models"))
        yield Place("Python on musl, numpy alone", "`pip install .`", size, partial(in_python, musl, model, work))
    if shutil.which("chromium") and find_spec("playwright"):
        page, generator = work / "digits.html", Generator.load(model)
        write_page(page, read_model(model))
        yield Place("a page in Chromium", "`gan-page`", page.stat().st_size, partial(in_page, page, generator))
    if run is not None:
        generator, program = Generator.load(model), work / "draw"
        timed([Path(sys.executable).with_name("gan-export"), work / "model.c", "--checkpoint", run])
        (work / "draw.c").write_text(DRAW_C)
        timed(["cc", "-std=c99", "-O2", "-o", program, work / "draw.c"])
        timed(["cc", "-std=c99", "-O2", "-c", "-o", work / "model.o", work / "model.c"])
        text, data, bss = timed(["size", work / "model.o"])[1].split(b"\n")[1].split()[:3]
        yield Place("C", "`gan-export model.c`", int(text) + int(data) + int(bss), partial(in_c, program, generator))
    for name, made_by, processor, folder in (
        ("64-bit Arm", '`pip install ".[cpu]"`', "cortex-a72", ".venv-arm64"),
        ("32-bit Arm, numpy alone", "`pip install .`", "cortex-a7", ".venv-armhf"),
    ):
        if (ROOT / folder).exists():
            emulated: list[str | Path] = [ROOT / "scripts" / "arm" / "python", processor]
            draw = partial(in_python, emulated, model, work)
            yield Place(f"{name}, emulated", made_by, None, draw, is_emulated=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="pocket", help="a name or a file (default: pocket)")
    parser.add_argument("--run", type=Path, help="the run folder that it was exported from, for C")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        found = list(places(locate_model(options.model).path, options.run, Path(folder)))
        rounds = [[place.draw() for place in found] for _ in range(options.rounds)]
    print("| place | made by | size | start, s | one image, µs | the same pixels |")
    print("|---|---|---:|---:|---:|---|")
    for place, drawn in zip(found, zip(*rounds, strict=True), strict=True):
        start, image = (statistics.median(getattr(one, f"{what}_seconds") for one in drawn) for what in ("start", "image"))
        times = " | " if place.is_emulated else f"{start:.2f} | {image * 1e6:.0f}"
        size = "" if place.size_bytes is None else f"{place.size_bytes / 1e6:.2f} MB"
        is_same = {one.sha256 for one in drawn} == {rounds[0][0].sha256}
        print(f"| {place.name} | {place.installed_by} | {size} | {times} | {'yes' if is_same else 'NO'} |")


if __name__ == "__main__":
    main()
