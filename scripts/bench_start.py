"""Measure how long `gan-gen` takes to start and draw ten files, compared with a minimal script. Needs the extra [cpu].

    python scripts/bench_start.py [--rounds 30]

Each round runs every command once, in turn; ratios are medians of the rounds' ratios.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pocketgan_models
from pocketgan.model.checked import read_card

_MODEL = "pocket"
_BARE = Path(__file__).with_name("bare_minimum.py")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    path = pocketgan_models.path(_MODEL)
    latent_size = read_card(path.read_bytes()).latent_size
    gan_gen = str(Path(sys.executable).with_name("gan-gen"))
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "the bare minimum: scripts/bare_minimum.py": [sys.executable, str(_BARE), str(path), str(latent_size), folder],
            "gan-gen --count 10": [gan_gen, "--model", _MODEL, "--count", "10", "--out", folder, "--overwrite"],
            "gan-gen --help": [gan_gen, "--help"],
            "gan-gen --version": [gan_gen, "--version"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                began = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True, cwd=folder)
                seconds[name].append(time.perf_counter() - began)
    bare, *_ = seconds.values()
    print("| command | of the bare minimum's time (lowest to highest) | median, ms |")
    print("|---|---|---|")
    for name, times in seconds.items():
        ratios = [one / other for one, other in zip(times, bare, strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"| {name} | {statistics.median(ratios):.2f}x ({spread}) | {statistics.median(times) * 1e3:.0f} |")


if __name__ == "__main__":
    main()
