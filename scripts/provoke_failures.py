"""Spoil training runs on purpose and check that the watch notices. Needs the extras [cpu,train]; 10 minutes on two cores.

    python scripts/provoke_failures.py [--images 55000] [--only NAME] [--keep FOLDER]

Each run trains on real digits, most with the mlp preset. The script prints what was done to the run, the epoch in which it was
noticed, and the message. A run that is not spoilt must end without a warning. The exit status is 1 if a failure was missed or
the healthy run got a warning.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketgan.cpus import usable_cpus
from pocketgan_trainer.data.published import Digits, load_mnist
from pocketgan_trainer.data.split import TrainingSplit, split_validation
from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.evaluate.judge import load_judge
from pocketgan_trainer.training import loop
from pocketgan_trainer.training.checkpoint import load_checkpoint
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.plan import plan_new_run
from pocketgan_trainer.training.presets import PRESETS, generator_classes
from pocketgan_trainer.training.progress import Means, Progress
from pocketgan_trainer.training.recorder import Recorder
from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.training.steps import Batch, Gan, Step, StepStatistics
from pocketgan_trainer.watch.observation import Observation
from pocketgan_trainer.watch.signs import Sign, merged
from pocketgan_trainer.watch.validation_watch import watch_validation

_CPU = torch.device("cpu")
MLP = PRESETS["mlp"].config
SPOILT_DIGIT = 1
"""Not 8 or 3, because the judge classifies many images that show no digit as these."""


@dataclass(frozen=True)
class Notice:
    """A message of the watch."""

    epoch: int
    kind: str
    message: str


class Listener:
    """A report that collects the messages."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self._epoch = 1

    def step(self, progress: Progress, sums: Tensor) -> None:
        """Do nothing."""

    def skipped(self, step: int) -> None:
        """Collect a notice of it."""
        self.notices.append(Notice(self._epoch, "skipped", f"NaN in step {step:,}: skipped"))

    def trouble(self, message: str) -> None:
        """Do nothing."""

    def epoch(
        self, progress: Progress, measured: Means, seen: Observation, warnings: list[Sign], images: NDArray[np.uint8]
    ) -> None:
        """Collect the warnings."""
        self._epoch = progress.epoch + 1
        self.notices += [Notice(progress.epoch, sign.kind, sign.message) for sign in merged(warnings)]


@dataclass(frozen=True)
class SpoiltRun:
    """A run to be spoilt."""

    split: TrainingSplit
    run: RunFolder
    listener: Listener

    def train(self, config: TrainingConfig, digits: Digits | None = None) -> None:
        """Train on `digits`, by default all, from the last checkpoint if there is one. A run that gives up counts as a notice."""
        checkpoint = load_checkpoint(self.run.last) if self.run.last.exists() else None
        watch = watch_validation(load_judge("first"), self.split, config.data.classes, bool(generator_classes(config)))
        recorder = Recorder(config, watch, self.run, self.listener)
        try:
            loop.train(config, digits or self.split.training, _CPU, recorder, lambda: False, checkpoint)
        except TrainingError as error:
            self.listener.notices.append(Notice(0, "given up", str(error)))


@contextmanager
def step_of_mlp(change: Callable[[Step], Step]) -> Iterator[None]:
    """Replace the training step of the mlp preset within the block."""
    spoilt = replace(PRESETS["mlp"], step=change(PRESETS["mlp"].step))
    with patch.object(loop, "PRESETS", {**PRESETS, "mlp": spoilt}):
        yield


def drawn_together(step: Step) -> Step:
    """Return a step that also pulls the generator's images towards their mean."""

    def pulled(gan: Gan, batch: Batch) -> StepStatistics:
        measured = step(gan, batch)
        for _ in range(2):
            images = gan.generator(batch.latent)
            gan.generator_optimizer.zero_grad()
            torch.square(images - images.mean(dim=0).detach()).sum(dim=(1, 2, 3)).mean().backward()  # type: ignore[no-untyped-call]
            gan.generator_optimizer.step()
        return measured

    return pulled


def poisoned(is_ill: Callable[[int], bool]) -> Callable[[Step], Step]:
    """Return a change to a step that makes one gradient of the generator NaN in the steps for which `is_ill` is true."""

    def change(step: Step) -> Step:
        def with_poison(gan: Gan, batch: Batch) -> StepStatistics:
            if not is_ill(batch.step):
                return step(gan, batch)
            weight = next(gan.generator.parameters())
            hook = weight.register_hook(lambda gradient: gradient * float("nan"))  # type: ignore[no-untyped-call]
            measured = step(gan, batch)
            hook.remove()
            return measured

        return with_poison

    return change


def healthy(run: SpoiltRun) -> None:
    """Nothing; the preset nano."""
    run.train(plan_new_run("nano", {"epochs": 6, "canvas": False}, _CPU))


def collapse(run: SpoiltRun) -> None:
    """Pull the generator's images together."""
    with step_of_mlp(drawn_together):
        run.train(replace(MLP, epochs=6))


def lost_digit(run: SpoiltRun) -> None:
    """Train on all digits, then on all but one."""
    run.train(replace(MLP, epochs=8))
    digits = run.split.training
    others = digits.labels != SPOILT_DIGIT
    fewer = Digits(digits.images[others], digits.labels[others])
    run.train(replace(MLP, epochs=16), fewer)


def winning_discriminator(run: SpoiltRun) -> None:
    """Ten times the learning rate."""
    run.train(replace(MLP, epochs=9, learning_rate=10 * MLP.learning_rate))


def poison_now_and_then(run: SpoiltRun) -> None:
    """A gradient that is not a number, in every 50th step."""
    with step_of_mlp(poisoned(lambda step: step % 50 == 49)):
        run.train(replace(MLP, epochs=2))


def poison_for_good(run: SpoiltRun) -> None:
    """Gradients that are not numbers, in every step of the second epoch."""
    steps = loop.count_steps(MLP, len(run.split.training))
    with step_of_mlp(poisoned(lambda step: step >= steps)):
        run.train(replace(MLP, epochs=2))


@dataclass(frozen=True)
class Provocation:
    """What is done to a run, and what the watch should notice."""

    do: Callable[[SpoiltRun], None]
    expected: frozenset[str]
    """Kinds of notices, of which at least one is expected; if empty, none at all."""


PROVOCATIONS = (
    Provocation(healthy, frozenset()),
    Provocation(collapse, frozenset({"alike"})),
    Provocation(lost_digit, frozenset({"vanishing"})),
    Provocation(winning_discriminator, frozenset({"won"})),
    Provocation(poison_now_and_then, frozenset({"skipped"})),
    Provocation(poison_for_good, frozenset({"given up"})),
)


def notices_of(provocation: Provocation, split: TrainingSplit, folder: Path) -> list[Notice]:
    """Return the notices of a run in `folder` that is spoilt in this way."""
    run = SpoiltRun(split, RunFolder(folder), Listener())
    provocation.do(run)
    return run.listener.notices


def is_caught(provocation: Provocation, notices: Sequence[Notice]) -> bool:
    """Return whether the watch noticed what it should have."""
    kinds = {notice.kind for notice in notices}
    return bool(kinds & provocation.expected) if provocation.expected else not kinds


def main() -> None:
    """Spoil runs and print what was noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [provocation.do.__name__ for provocation in PROVOCATIONS]
    parser.add_argument("--images", type=int, default=55_000, help="training digits (default 55,000)")
    parser.add_argument("--only", choices=names, help="run only this one")
    parser.add_argument("--keep", type=Path, help="a new folder, in which each run stays, in a folder of its name")
    arguments = parser.parse_args()
    torch.set_num_threads(usable_cpus())
    whole = split_validation(load_mnist())
    rows = np.arange(arguments.images)
    split = TrainingSplit(Digits(whole.training.images[rows], whole.training.labels[rows]), whole.validation)
    missed = 0
    print("| what was done | first noticed in epoch | what was said |\n|---|---|---|")
    for provocation in PROVOCATIONS:
        if arguments.only not in (None, provocation.do.__name__):
            continue
        with tempfile.TemporaryDirectory() as folder:
            notices = notices_of(provocation, split, Path(folder))
            if arguments.keep:
                shutil.copytree(folder, arguments.keep / provocation.do.__name__)
        missed += not is_caught(provocation, notices)
        wanted = [notice for notice in notices if notice.kind in provocation.expected] or notices
        first = f"{wanted[0].epoch or 'the last'} | {wanted[0].message}" if wanted else "| nothing"
        print(f"| {provocation.do.__doc__} | {first} |", flush=True)
        for notice in notices:
            print(f"    epoch {notice.epoch}: {notice.kind}: {notice.message}", file=sys.stderr)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
