"""Measure how many times as fast gan-train is as the usual training loop, and whether it trains as well. Needs [cpu,train].

    python scripts/bench_training.py [PRESET ...] [--rounds 7] [--threads N] [--epochs 0 [--seeds 1]]

First it times training steps on real digits, in turn in one process: of the usual loop (scripts/usual_training.py), of gan-train
in float32, and of gan-train with its defaults, which use bfloat16 if the processor can multiply it. These are the first steps of
a run, without sheets and scores. With --epochs it then trains each preset for N epochs, from one seed or several, with the usual
loop and with gan-train, with the same hyper-parameters, and prints the Frechet ratios to the training digits. It runs on the
CPU and leaves no run folder behind.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from usual_training import PlainImages, TorchvisionImages, UsualTraining

from pocketgan.cpus import usable_cpus
from pocketgan_trainer.data.published import Digits, load_mnist
from pocketgan_trainer.data.split import split_validation
from pocketgan_trainer.evaluate.judge import load_judge
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.drawing import draw
from pocketgan_trainer.training.loop import count_steps, train
from pocketgan_trainer.training.plan import plan_new_run
from pocketgan_trainer.training.presets import PRESETS, generator_classes, latent_size
from pocketgan_trainer.training.progress import Means, Progress
from pocketgan_trainer.training.recorder import WATCHED_SEED, Recorder
from pocketgan_trainer.training.run_folder import create_run_folder
from pocketgan_trainer.training.steps import PENALTY_INTERVAL
from pocketgan_trainer.watch.observation import Observation
from pocketgan_trainer.watch.signs import Sign
from pocketgan_trainer.watch.validation_watch import ValidationWatch, watch_validation

_CPU = torch.device("cpu")
_WARM_UP_STEPS = 2
_SECONDS_A_ROUND = 2


class StepTimes:
    """A report that records the time after each step."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def step(self, progress: Progress, sums: Tensor) -> None:
        """Record the time."""
        self.times.append(time.perf_counter())

    def skipped(self, step: int) -> None:
        """Print that a step was skipped."""
        print(f"NaN in step {step}: skipped")

    def trouble(self, message: str) -> None:
        """Print the message."""
        print(message)

    def epoch(
        self, progress: Progress, measured: Means, seen: Observation, warnings: list[Sign], images: NDArray[np.uint8]
    ) -> None:
        """Do nothing."""


def usual_step(config: TrainingConfig, images: Dataset[tuple[Tensor, int]], steps: int, penalty_interval: int = 1) -> float:
    """Return the seconds that a step of the usual loop takes."""
    times = list(islice(UsualTraining(config, images, penalty_interval).epoch(), steps + _WARM_UP_STEPS))
    return (times[-1] - times[_WARM_UP_STEPS - 1]) / steps


def own_step(config: TrainingConfig, digits: Digits, watch: ValidationWatch, steps: int) -> float:
    """Return the seconds that a step of gan-train takes."""
    report = StepTimes()
    with tempfile.TemporaryDirectory() as folder:
        run = create_run_folder(Path(folder), config.preset, "mnist")
        train(config, digits, _CPU, Recorder(config, watch, run, report), lambda: len(report.times) >= steps + _WARM_UP_STEPS)
    return (report.times[-1] - report.times[_WARM_UP_STEPS - 1]) / steps


def compare_speed(config: TrainingConfig, digits: Digits, watch: ValidationWatch, rounds: int) -> None:
    """Print the rows of a Markdown table."""
    wide = replace(config, bfloat16=False)
    images = TorchvisionImages(digits)
    contestants: dict[str, Callable[[int], float]] = {
        "usual loop": lambda steps: usual_step(wide, images, steps),
        "usual loop, images the shortest way": lambda steps: usual_step(wide, PlainImages(digits), steps),
        "gan-train in float32": lambda steps: own_step(wide, digits, watch, steps),
    }
    if config.gradient_penalty:
        name = f"usual loop, penalties at every {PENALTY_INTERVAL}th step"
        contestants[name] = lambda steps: usual_step(wide, images, steps, PENALTY_INTERVAL)
    if config.bfloat16:
        contestants["gan-train"] = lambda steps: own_step(config, digits, watch, steps)
    # A whole number of penalty intervals, so that the share of steps with gradient penalties is that of a run.
    intervals = round(_SECONDS_A_ROUND / usual_step(wide, images, PENALTY_INTERVAL) / PENALTY_INTERVAL)
    most_intervals = (count_steps(config, len(digits)) - _WARM_UP_STEPS - 1) // PENALTY_INTERVAL
    steps = max(1, min(intervals, most_intervals)) * PENALTY_INTERVAL
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, measure in contestants.items():
            times[name].append(measure(steps))
    for name in contestants:
        ratios = [usual / own for usual, own in zip(times["usual loop"], times[name], strict=True)]
        rate = config.batch_size / statistics.median(times[name])
        speed = f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"| {config.preset} | {name} | {speed} | {rate:,.0f} |", flush=True)


def compare_quality(config: TrainingConfig, digits: Digits, watch: ValidationWatch) -> None:
    """Train with the usual loop and with gan-train, and print the rows of a Markdown table."""
    usual, scores = UsualTraining(replace(config, bfloat16=False), TorchvisionImages(digits)), []
    labels, size = watch.labels, latent_size(config)
    requested = labels if generator_classes(config) else None
    for _ in range(config.epochs):
        list(usual.epoch())
        scores.append(watch.ratio.of(draw(usual.sampling_generator, size, WATCHED_SEED, 0, len(labels), requested)))
    _print_quality(config, "usual loop", scores)
    with tempfile.TemporaryDirectory() as folder:
        run = create_run_folder(Path(folder), config.preset, "mnist")
        train(config, digits, _CPU, Recorder(config, watch, run, StepTimes()), lambda: False)
        lines = [json.loads(line) for line in (run.path / "stats.jsonl").read_text().splitlines()]
    _print_quality(config, "gan-train", [line["frechet_ratio"] for line in lines])


def _print_quality(config: TrainingConfig, name: str, scores: list[float]) -> None:
    print(f"| {config.preset} | {config.seed} | {name} | {', '.join(f'{score:.3g}' for score in scores)} |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", metavar="PRESET", default=list(PRESETS), help="which networks (default: all)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of timed steps (default 7)")
    parser.add_argument("--threads", type=int, default=usable_cpus(), help="CPU threads (default: all)")
    parser.add_argument("--epochs", type=int, default=0, help="epochs to train each preset with each loop (default 0: none)")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds to train from, starting at 0 (default 1)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    split = split_validation(load_mnist())
    watch = watch_validation(load_judge("first"), split, tuple("0123456789"), is_conditional=False)
    configs = [plan_new_run(name, {"canvas": False}, _CPU) for name in arguments.presets]  # the usual loop knows none
    if arguments.rounds:
        print("| preset | loop | speed | images a second |\n|---|---|---|---|")
        for config in configs:
            compare_speed(config, split.training, watch, arguments.rounds)
    if arguments.epochs:
        print("\n| preset | seed | loop | Frechet ratio of each epoch |\n|---|---|---|---|")
        for config in configs:
            for seed in range(arguments.seeds):
                compare_quality(replace(config, epochs=arguments.epochs, seed=seed), split.training, watch)


if __name__ == "__main__":
    main()
