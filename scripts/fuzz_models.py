"""Runs gan-gen on damaged model files: each must draw, or end with a one-line error and exit code 1.

    python scripts/fuzz_models.py [--count 20000] [--seed 0] [--first 0] [--jobs 1] [--keep FOLDER] [MODEL ...]

Linux only; needs the extra [cpu]. Damages the bundled models and any MODEL as scripts/fuzz_mutations.py does, and tries each file
in a separate process. Failures are: a crash, more than 512 MB of memory, more than half a minute, a traceback, an error of more
than one line, files written despite an error, and images that do not match the card. Files that failed are saved as
SEED-INDEX.onnx. A seed and an index always give the same file, so --first INDEX continues a run that was stopped. The exit code
is 1 if anything failed.
"""

import argparse
import json
import re
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fuzz_worker import FAILED, REFUSED, TRIED

import pocketgan_models
from pocketgan.console import print_message, printable

SECONDS_FOR_A_FILE = 30
FILES_FOR_A_WORKER = 1000
"""Then a new process takes over, so that leftovers of one file affect few others."""

_WORKER = Path(__file__).with_name("fuzz_worker.py")
_KINDS_SHOWN = 40


@dataclass
class Tally:
    """The outcomes so far."""

    outcomes: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    """By kind of error."""
    failures: dict[int, str] = field(default_factory=dict)
    """By index of the file."""
    megabytes: int = 0
    """The highest memory peak."""
    lock: threading.Lock = field(default_factory=threading.Lock)


class Worker:
    """A process that tries files."""

    def __init__(self, seed: int, models: Sequence[Path], folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, str(_WORKER), str(seed), str(folder), *map(str, models)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.tried = 0

    def attempt(self, index: int) -> dict[str, object]:
        """Return the outcome of a file: FAILED if the process dies or hangs."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        self.tried += 1
        with suppress(BrokenPipeError):  # if the process has died, there is no answer below
            print(index, file=stdin, flush=True)
        is_ready, _, _ = select.select([stdout], [], [], SECONDS_FOR_A_FILE)
        line = stdout.readline() if is_ready else ""
        if line:
            answer: dict[str, object] = json.loads(line)
            return answer
        if not is_ready:
            self._process.kill()
        code = self._process.wait()
        stderr = self.folder / "stderr"
        output = stderr.read_text(errors="replace") if stderr.exists() else ""
        problem = f"crashed with {code}" if is_ready else f"took more than {SECONDS_FOR_A_FILE} seconds"
        self.tried = FILES_FOR_A_WORKER
        return {"outcome": FAILED, "message": f"{problem}: {output}", "megabytes": 0}

    def end(self) -> None:
        """Close the pipes and wait for the process to exit."""
        with self._process:
            pass


def main() -> None:
    """Try the files and print a summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL", help="further models to damage")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="index of the first file")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="folder for files that failed")
    arguments = parser.parse_args()
    models = [*map(pocketgan_models.path, pocketgan_models.names()), *arguments.models]
    tally, began = Tally(), time.monotonic()
    indices = iter(range(arguments.first, arguments.first + arguments.count))
    threads = [
        threading.Thread(target=_work, args=(arguments.seed, models, indices, tally, arguments.keep))
        for _ in range(arguments.jobs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _report(tally, arguments.seed, time.monotonic() - began)
    sys.exit(0 if tally.outcomes.total() == arguments.count and not tally.failures else 1)


def _work(seed: int, models: Sequence[Path], indices: Iterator[int], tally: Tally, keep: Path) -> None:
    """Try files until none are left."""
    with tempfile.TemporaryDirectory() as name:
        worker = Worker(seed, models, Path(name))
        while True:
            with tally.lock:
                index = next(indices, None)
            if index is None:
                break
            if worker.tried >= FILES_FOR_A_WORKER:
                worker.end()
                worker = Worker(seed, models, Path(name))
            answer = worker.attempt(index)
            with tally.lock:
                _count(tally, index, str(answer["outcome"]), str(answer["message"]), int(str(answer["megabytes"])))
            if answer["outcome"] == FAILED:
                keep.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):  # the worker died before it wrote the file
                    shutil.copy(worker.folder / TRIED, keep / f"{seed}-{index}.onnx")
                print_message(f"seed {seed}, file {index}: {answer['message']}")
        worker.end()


def _count(tally: Tally, index: int, outcome: str, message: str, megabytes: int) -> None:
    tally.outcomes[outcome] += 1
    tally.megabytes = max(tally.megabytes, megabytes)
    if outcome == REFUSED:
        tally.refusals[_kind(message)] += 1
    elif outcome == FAILED:
        tally.failures[index] = message
    if tally.outcomes.total() % 1000 == 0:
        print(f"{tally.outcomes.total():,} files: {dict(tally.outcomes)}", file=sys.stderr, flush=True)


def _kind(message: str) -> str:
    """Return an error message without its numbers, names and lists, which differ from file to file."""
    return re.sub(r"-?\d[\d,.e+-]*", "1", re.sub(r"'[^']*'|\"[^\"]*\"|\[[^\]]*\]|\{[^}]*\}", "…", message))[:110]


def _report(tally: Tally, seed: int, seconds: float) -> None:
    print(f"seed {seed}: {tally.outcomes.total():,} files in {seconds:,.0f} s, at most {tally.megabytes} MB of memory")
    for outcome, count in sorted(tally.outcomes.items()):
        print(f"{outcome} {count:,}")
    print(f"\n{len(tally.refusals)} kinds of refusals, the most frequent ones:")
    for kind, count in tally.refusals.most_common(_KINDS_SHOWN):
        print(f"{count:7,}  {printable(kind)}")
    for index, message in sorted(tally.failures.items()):
        print(printable(f"failed: seed {seed}, file {index}: {message}"))


if __name__ == "__main__":
    main()
