"""One process of scripts/fuzz_models.py: tries damaged files, one after the other, as gan-gen would, and reports how each ended.

    python scripts/fuzz_worker.py SEED FOLDER MODEL ...

Reads an index in each line of standard input, and answers each with a line of JSON. The file being tried lies in FOLDER as
TRIED: if onnxruntime takes the process down, that is the culprit. Linux only: it looks at its memory in /proc.
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
"""Of memory in use, at any time."""

COUNT = 2
# For the sake of the machine, far above what is allowed. What only this limit held back counts as a failure all the same.
_ADDRESS_SPACE = 4 * 2**30
_OUT_OF_MEMORY = re.compile("memory|alloc", re.IGNORECASE)


def main() -> None:
    """Try the files of the indices on standard input."""
    seed, folder, sources = int(sys.argv[1]), Path(sys.argv[2]), [Path(name).read_bytes() for name in sys.argv[3:]]
    answers = os.fdopen(os.dup(1), "w")
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Whatever the command prints, onnxruntime's C++ too, goes into files.
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_TRUNC), descriptor)
    for line in sys.stdin:
        contents = damaged_file(seed, int(line), sources)
        (folder / TRIED).write_bytes(contents)
        del contents
        Path("/proc/self/clear_refs").write_text("5")  # from here on, the peak is this file's
        outcome, said = attempt(folder)
        peak = peak_megabytes()
        if peak > MOST_MEGABYTES:
            outcome, said = FAILED, f"took {peak} MB: {said}"
        print(json.dumps({"outcome": outcome, "said": said, "megabytes": peak}), file=answers, flush=True)


def attempt(folder: Path) -> tuple[str, str]:
    """Run gan-gen on the file, and return how that ended and what was said."""
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
    except BaseException:  # a traceback: what the command must never show
        return FAILED, "raised " + traceback.format_exc(limit=-3)
    sys.stdout.flush()
    sys.stderr.flush()
    printed, said = ((folder / name).read_bytes().decode(errors="replace") for name in ("stdout", "stderr"))
    written = sorted(os.listdir(out)) if out.exists() else []
    if code == 0:
        return (DREW, "") if not printed + said and are_images(folder, written) else (FAILED, f"drew {written}: {printed}{said}")
    if code != 1 or printed or out.exists() or not is_one_line(said):
        return FAILED, f"ended with {code}, wrote {written} and said: {printed}{said}"
    if _OUT_OF_MEMORY.search(said.replace(str(folder), "")):
        return FAILED, f"ran out of memory: {said}"
    return REFUSED, said.removeprefix("error: ").replace(str(folder / TRIED), "MODEL").strip()


def are_images(folder: Path, written: list[str]) -> bool:
    """Return whether the files written are the images that the model's card promises."""
    card = read_card((folder / TRIED).read_bytes())
    kinds = set()
    images = [name for name in written if name.endswith(".png")]
    for name in images:
        with Image.open(folder / "out" / name) as image:
            image.load()
            kinds.add((image.mode, image.size))
    return len(images) == COUNT and kinds == {("L", (card.image_width, card.image_height))}


def is_one_line(said: str) -> bool:
    """Return whether this is one line of an error, of characters that a terminal shows."""
    return said.startswith("error: ") and said.endswith("\n") and said[:-1].isprintable()


def peak_megabytes() -> int:
    """Return the most memory that was in use since the peak was last reset."""
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) // 1024


if __name__ == "__main__":
    main()
