"""Measure how much longer digits take whose traits or hand are chosen. Needs the extra [cpu].

    python scripts/bench_traits.py [--rounds 15] [MODEL ...]

In each round every way draws the same number of digits in turn; ratios are medians of the rounds' ratios.
"""

import argparse
import statistics
import time
from typing import Any

from pocketgan import Generator

IMAGES = 3_200
WAYS: dict[str, dict[str, Any]] = {
    "as they come": {},
    "a slant": {"slant": 5},
    "a range of slants": {"slant": (-5, 20)},
    "slant and thickness": {"slant": 5, "thickness": 2.8},
    "by one hand": {"hand": 3},
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["pocket", "nano"], metavar="MODEL", help="names or files")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print(f"| digits | {' | '.join(options.models)} |")
    print("|---|" + "---:|" * len(options.models))
    seconds: dict[tuple[str, str], list[float]] = {(way, model): [] for way in WAYS for model in options.models}
    for model in options.models:
        generator = Generator.load(model)
        generator.generate(IMAGES)
        for _ in range(options.rounds):
            for way, chosen in WAYS.items():
                began = time.perf_counter()
                generator.generate(IMAGES, **chosen)
                seconds[way, model].append(time.perf_counter() - began)
    plain, *_ = WAYS
    for way in WAYS:
        cells = []
        for model in options.models:
            ratios = [one / other for one, other in zip(seconds[way, model], seconds[plain, model], strict=True)]
            cells.append(f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})")
        print(f"| {way} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
