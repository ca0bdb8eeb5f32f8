"""Which number format trains a preset faster on this CPU, and whether it trains as well. Needs the extras [cpu,train].

    python scripts/bench_training.py [--preset dcgan] [--rounds 10] [--threads N] [--epochs 0]

First it times training steps on real digits: float32 and bfloat16 autocast, with the weights in the usual memory layout and in
channels_last, in turn in one process, and prints ratios to plain float32. With --epochs it then trains twice from the same seed,
once in each number format, and prints the score of every epoch; without a run folder left behind.
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from pocketgan.cpus import usable_cpus
from pocketgan_trainer.data.mnist import Digits, load_mnist
from pocketgan_trainer.data.validation import TrainingSplit, split_validation
from pocketgan_trainer.evaluate.judge import load_judge
from pocketgan_trainer.evaluate.validation_score import validation_score
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.loop import build_players, count_steps, train
from pocketgan_trainer.training.presets import PRESETS, asked_classes
from pocketgan_trainer.training.report import ConsoleReport
from pocketgan_trainer.training.run_folder import create_run_folder
from pocketgan_trainer.training.sampling import random_latents
from pocketgan_trainer.training.steps import PENALTY_INTERVAL, Batch, Players

_STEPS = PENALTY_INTERVAL  # as many with gradient penalties as a run has
_CPU = torch.device("cpu")


def seconds(config: TrainingConfig, players: Players, digits: Digits, memory_format: torch.memory_format) -> float:
    """Return how long a few training steps take."""
    preset = PRESETS[config.preset]
    real = torch.from_numpy(digits.images[: config.batch_size, None]).float() / 127.5 - 1
    real = real.contiguous(memory_format=memory_format)
    labels = torch.from_numpy(digits.labels[: config.batch_size]).long()
    began = time.perf_counter()
    for step in range(_STEPS):
        latent = random_latents(config.batch_size, preset.latent_size, _CPU)
        condition = (labels,) if asked_classes(config) else ()
        # Of pocket and nano, a step of the refinement: the dearer kind.
        batch = Batch(real, latent, condition, step, config.gradient_penalty, config.class_weight, config.shifted_share)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16, cache_enabled=False):
            preset.step(players, batch)
    return time.perf_counter() - began


def compare_speed(config: TrainingConfig, digits: Digits, rounds: int) -> None:
    """Print a Markdown table of ratios."""
    contestants = {}
    for bfloat16 in (False, True):
        for memory_format in (torch.contiguous_format, torch.channels_last):
            name = ("bfloat16" if bfloat16 else "float32") + (", channels_last" if memory_format is torch.channels_last else "")
            contestant = replace(config, bfloat16=bfloat16)
            players = build_players(contestant, _CPU)
            for network in (players.generator, players.discriminator):
                network.to(memory_format=memory_format)  # type: ignore[call-overload]
            contestants[name] = (contestant, players, digits, memory_format)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, arguments in contestants.items():
            times[name].append(seconds(*arguments))
    print("| number format | speed against float32 |\n|---|---|")
    for name in contestants:
        # The first round warms up.
        ratios = [baseline / own for baseline, own in zip(times["float32"][1:], times[name][1:], strict=True)]
        print(f"| {name} | {statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f}) |")


def compare_quality(config: TrainingConfig, split: TrainingSplit) -> None:
    """Train in both number formats and print the score of each epoch."""
    scores, score = {}, validation_score(load_judge("first"), split)
    for bfloat16 in (False, True):
        contestant = replace(config, bfloat16=bfloat16)
        with tempfile.TemporaryDirectory() as folder:
            run = create_run_folder(Path(folder), config.preset, "mnist")
            steps = count_steps(config, len(split.training))
            with ConsoleReport(Console(stderr=True, soft_wrap=True), config.epochs, steps) as report:
                train(contestant, split.training, score, run, _CPU, report, lambda: False)
            lines = (run.path / "stats.jsonl").read_text().splitlines()
        scores[bfloat16] = [json.loads(line)["frechet_ratio"] for line in lines]
    print("\n| epoch | Frechet ratio, float32 | bfloat16 |\n|---|---|---|")
    for epoch, (wide, narrow) in enumerate(zip(scores[False], scores[True], strict=True), start=1):
        print(f"| {epoch} | {wide:.2f} | {narrow:.2f} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="dcgan", help="which networks (default dcgan)")
    parser.add_argument("--rounds", type=int, default=10, help="rounds of timed steps (default 10)")
    parser.add_argument("--threads", type=int, default=usable_cpus(), help="CPU threads (default: all)")
    parser.add_argument("--epochs", type=int, default=0, help="epochs to train in each number format (default 0: none)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = PRESETS[arguments.preset].config
    split = split_validation(load_mnist())
    compare_speed(config, split.training, arguments.rounds)
    if arguments.epochs:
        compare_quality(replace(config, epochs=arguments.epochs), split)


if __name__ == "__main__":
    main()
