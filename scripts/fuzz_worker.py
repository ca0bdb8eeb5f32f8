"""A worker process of scripts/fuzz_models.py: runs gan-gen on damaged files, one after the other, and reports each outcome.

    python scripts/fuzz_worker.py SEED FOLDER MODEL ...

Reads one index per line from standard input, and answers each with a line of JSON. The current file is FOLDER/TRIED: if the
process crashes, that file is the cause. Linux only, because it reads its memory from /proc.
"""

import json
import os
import re
import resource
import shutil
import sys
import traceback
from pathlib import Path

from fuzz_mutations import damaged_file
from PIL import Image

from pocketgan import gen_cli
from pocketgan.model.checked import read_card

TRIED = "tried.onnx"
DREW, REFUSED, FAILED = "drew", "refused", "failed"

MOST_MEGABYTES = 512
"""The most memory in use at any time."""

COUNT = 2
# Protects the machine, and is far above the limit. A file that only this stops still counts as a failure.
_ADDRESS_SPACE = 4 * 2**30
_OUT_OF_MEMORY = re.compile("memory|alloc", re.IGNORECASE)


def main() -> None:
    """Try the files of the indices on standard input."""
    seed, folder, sources = int(sys.argv[1]), Path(sys.argv[2]), [Path(name).read_bytes() for name in sys.argv[3:]]
    answers = os.fdopen(os.dup(1), "w")
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Everything that is printed, also by onnxruntime's C++ code, goes to files.
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_TRUNC), descriptor)
    for line in sys.stdin:
        contents = damaged_file(seed, int(line), sources)
        (folder / TRIED).write_bytes(contents)
        del contents
        Path("/proc/self/clear_refs").write_text("5")  # resets the memory peak
        outcome, message = attempt(folder)
        peak = peak_megabytes()
        if peak > MOST_MEGABYTES:
            outcome, message = FAILED, f"took {peak} MB: {message}"
        print(json.dumps({"outcome": outcome, "message": message, "megabytes": peak}), file=answers, flush=True)


def attempt(folder: Path) -> tuple[str, str]:
    """Run gan-gen on the file, and return the outcome and a message."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    for descriptor in (1, 2):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
    arguments = ["--model", str(folder / TRIED), "--count", str(COUNT), "--out", str(out), "--quiet"]
    try:
        gen_cli.app(arguments)
        code: object = None
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # the command must never show a traceback
        return FAILED, "raised " + traceback.format_exc(limit=-3)
    sys.stdout.flush()
    sys.stderr.flush()
    stdout, stderr = ((folder / name).read_bytes().decode(errors="replace") for name in ("stdout", "stderr"))
    written = sorted(os.listdir(out)) if out.exists() else []
    if code == 0:
        is_right = not stdout + stderr and are_images(folder, written)
        return (DREW, "") if is_right else (FAILED, f"drew {written}: {stdout}{stderr}")
    if code != 1 or stdout or out.exists() or not is_one_line(stderr):
        return FAILED, f"exited with {code}, wrote {written} and printed: {stdout}{stderr}"
    if _OUT_OF_MEMORY.search(stderr.replace(str(folder), "")):
        return FAILED, f"ran out of memory: {stderr}"
    return REFUSED, stderr.removeprefix("error: ").replace(str(folder / TRIED), "MODEL").strip()


def are_images(folder: Path, written: list[str]) -> bool:
    """Return whether the files written are images as the model's card describes them."""
    card = read_card((folder / TRIED).read_bytes())
    kinds = set()
    images = [name for name in written if name.endswith(".png")]
    for name in images:
        with Image.open(folder / "out" / name) as image:
            image.load()
            kinds.add((image.mode, image.size))
    return len(images) == COUNT and kinds == {("L", (card.image_width, card.image_height))}


def is_one_line(message: str) -> bool:
    """Return whether this is a one-line error of printable characters."""
    return message.startswith("error: ") and message.endswith("\n") and message[:-1].isprintable()


def peak_megabytes() -> int:
    """Return the peak of memory in use since it was last reset."""
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) // 1024


if __name__ == "__main__":
    main()
