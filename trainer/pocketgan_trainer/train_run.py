"""Runs gan-train: from its options to the closing message, with Ctrl-C and SIGTERM ending the run at a good moment."""

import signal
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from types import FrameType

import torch

from pocketgan.cpus import usable_cpus
from pocketgan.errors import OutputError, PocketganError
from pocketgan.files import remove_file
from pocketgan_trainer.data.images import MNIST_FACTS, TrainingImages, describe, facts_of, load_training_images
from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.data.split import TrainingSplit, split_images
from pocketgan_trainer.devices import choose_device
from pocketgan_trainer.errors import OtherProcessError
from pocketgan_trainer.evaluate.judge import load_judge
from pocketgan_trainer.evaluate.own_judge import own_judge
from pocketgan_trainer.evaluate.validation_score import Looker
from pocketgan_trainer.plain_console import PlainConsole
from pocketgan_trainer.processes import Processes, processes_of_environment
from pocketgan_trainer.training.checkpoint import load_checkpoint
from pocketgan_trainer.training.config import Setting, TrainingConfig
from pocketgan_trainer.training.estimate import estimate, fastest_threads
from pocketgan_trainer.training.loop import check_resumable, count_steps, train
from pocketgan_trainer.training.plan import ResumedRun, changed_settings, plan_new_run, plan_resumed_run, refuse_other_data
from pocketgan_trainer.training.presets import DEFAULT_PRESET
from pocketgan_trainer.training.recorder import Recorder, Report
from pocketgan_trainer.training.reports import (
    ConsoleReport,
    Reports,
    TensorBoardReport,
    clock,
    closing_lines,
    require_tensorboard,
)
from pocketgan_trainer.training.run_folder import RUNS, RunFolder, create_run_folder
from pocketgan_trainer.watch.validation_watch import watch_validation


@dataclass(frozen=True)
class Asked:
    """What the user said."""

    preset: str | None
    settings: dict[str, Setting]
    """By the names of TrainingConfig's fields."""
    device: str
    """auto, cpu or cuda."""
    data: str | None
    image_size: int | None
    is_like_mnist: bool
    out: Path | None
    """Folder of the run folders; to resume also one of these."""
    resume: bool
    threads: int | None
    tensorboard: bool
    dry_run: bool


@dataclass(frozen=True)
class Plan:
    """What is going to be done."""

    threads: int
    """Of the CPU, in each process."""
    config: TrainingConfig
    images: TrainingImages
    split: TrainingSplit
    published_judge: Looker | None
    """Of MNIST's digits; other images need one of their own."""
    device: torch.device
    resumed: ResumedRun | None


def train_as_asked(asked: Asked) -> int:
    """Plan, tell, train; return the exit status: 0, or 128 and the signal that ended the run early.

    Started by torchrun, all processes call this, and the first alone writes and tells. Raises PocketganError.
    """
    processes = processes_of_environment()
    torch.set_num_threads(_own_threads(asked, processes))
    console = PlainConsole(stderr=True, soft_wrap=True, quiet=not processes.is_first)
    try:
        with processes.joined():
            with processes.first_goes_first():  # what is downloaded, is so once, and what is wrong, told once
                plan = _plan(asked, processes)
            torch.set_num_threads(plan.threads)
            _tell(asked, plan, processes, console)
            if asked.dry_run:
                _tell_sizes(plan, processes, console)
                return 0
            return _train(asked, plan, processes, console)
    except OtherProcessError:
        if processes.is_first:
            raise
        return 1  # the one that failed has said why


def _own_threads(asked: Asked, processes: Processes) -> int:
    return asked.threads or max(1, usable_cpus() // processes.count_here)


def _threads(
    asked: Asked, processes: Processes, resumed: ResumedRun | None, config: TrainingConfig, training: Digits, device: torch.device
) -> int:
    """Return how many threads to compute with: a run goes on with as many as it had, to end as if never stopped."""
    had = resumed.checkpoint.threads if resumed else None
    if asked.threads or processes.count > 1 or (had is None and device.type != "cpu"):
        return _own_threads(asked, processes)
    return fastest_threads(config, training, usable_cpus()) if had is None else min(had, usable_cpus())


def _plan(asked: Asked, processes: Processes) -> Plan:
    if asked.tensorboard:
        require_tensorboard(asked.out or RUNS)
    device = choose_device(asked.device, processes.rank_here)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    resumed = plan_resumed_run(asked.out or RUNS, asked.preset, asked.settings) if asked.resume else None
    if resumed:
        check_resumable(resumed.checkpoint, device)
    known = resumed.config.data if resumed else None
    source = asked.data if asked.data is not None else (known or MNIST_FACTS).source
    is_like_mnist = asked.is_like_mnist or (known is not None and known.is_like_mnist)
    images = load_training_images(source, asked.image_size or (known.image_size if known else None), is_like_mnist)
    facts = facts_of(images, source, is_like_mnist)
    if resumed:
        refuse_other_data(resumed, facts)
        # Where it lies now.
        known_data = replace(resumed.config.data, source=facts.source, class_labels=facts.class_labels)
        config = replace(resumed.config, data=known_data)
    else:
        config = plan_new_run(asked.preset or DEFAULT_PRESET, asked.settings, device, facts)
    published_judge = load_judge("first") if facts == MNIST_FACTS else None
    split = split_images(images)
    count_steps(config, len(split.training), processes)  # before anything is made
    threads = _threads(asked, processes, resumed, config, split.training, device)
    return Plan(threads, config, images, split, published_judge, device, resumed)


def _tell(asked: Asked, plan: Plan, processes: Processes, console: PlainConsole) -> None:
    config, resumed = plan.config, plan.resumed
    console.print(describe(plan.images))
    for note in plan.images.notes:
        console.print(f"note: {note}")
    shared = "" if processes.count == 1 else f" in each of {processes.count} processes"
    console.print(
        f"{config.preset} on {len(plan.split.training):,} images: {config.epochs} epochs, batch {config.batch_size}, "
        f"learning rate {config.learning_rate:g}, seed {config.seed}, "
        f"{'bfloat16' if config.bfloat16 else 'float32'} on {plan.device.type}, CPU threads: {plan.threads}{shared}"
    )
    other = [f"{name}={value}" for name, value in changed_settings(config).items() if name != "bfloat16"]  # told above
    if other:
        console.print(f"other than the preset's: {', '.join(other)}")
    if not asked.threads and not resumed and plan.threads < _own_threads(asked, processes):
        most = _own_threads(asked, processes)
        console.print(f"note: {most} CPU threads were hardly faster than 1 just now; --threads {most} takes them all the same")
    if resumed:
        for note in resumed.notes:
            console.print(f"note: {note}")
        had = resumed.checkpoint.threads
        if had not in (None, plan.threads) and processes.count == 1:
            console.print(f"note: CPU threads were {had} before: the run will end a little different from one never stopped")
        console.print(f"going on in {resumed.run.path} after {resumed.checkpoint.progress.images_seen:,} images")


def _tell_sizes(plan: Plan, processes: Processes, console: PlainConsole) -> None:
    if not processes.is_first:
        return
    console.print(f"{len(plan.split.validation):,} more images are kept back, to choose the best epoch by")
    expected = estimate(plan.config, plan.split.training, plan.device)
    for name, size in (("generator", expected.generator), ("discriminator", expected.discriminator)):
        console.print(f"{name}: {size.weights:,} weights, {size.multiply_adds:,} multiply-adds for an image")
    time = clock(round(expected.seconds))
    alone = "" if processes.count == 1 else " in one process"
    console.print(f"{expected.images:,} images to be shown, in about {time} as fast as a few steps went{alone}")
    judge = "" if plan.published_judge else "; before the first, a judge of these images is made"
    console.print(f"after each of the {plan.config.epochs} epochs a look at generated images, which takes some seconds{judge}")
    console.print("dry run: nothing was trained and no run folder made")


def _train(asked: Asked, plan: Plan, processes: Processes, console: PlainConsole) -> int:
    config, checkpoint = plan.config, plan.resumed.checkpoint if plan.resumed else None
    stop = StopFlag(is_silent=not processes.is_first)
    if not processes.is_first:
        stop.install()
        finished = train(config, plan.split.training, plan.device, None, stop, checkpoint, processes)
        return 0 if finished else 128 + (stop.signal or 0)
    run = plan.resumed.run if plan.resumed else create_run_folder(asked.out or RUNS, config.preset, config.data.name)
    where = f" --out {quote(str(asked.out))}" if asked.out else ""
    with run.held(), ExitStack() as reports:
        run.remove_leftovers()
        if plan.resumed and plan.resumed.is_last_damaged:
            remove_file(run.last, "a damaged checkpoint")  # else it would become the one to fall back to
        judge = plan.published_judge or _own_judge(plan, run, console)
        stop.install()  # only now: who trains a judge does not ask whether to stop
        console.print(f"run folder {run.path}")
        watch = watch_validation(judge, plan.split, config.data.classes)
        steps_per_epoch = count_steps(config, len(plan.split.training))
        cpu_threads = plan.threads if plan.device.type == "cpu" else 1
        told: list[Report] = [reports.enter_context(ConsoleReport(console, config.epochs, steps_per_epoch, cpu_threads))]
        if asked.tensorboard or _goes_on_with_events(run, console):
            told.append(reports.enter_context(TensorBoardReport(run, checkpoint.progress.epoch if checkpoint else 0)))
        recorder = Recorder(config, watch, run, Reports(told))
        try:
            finished = train(config, plan.split.training, plan.device, recorder, stop, checkpoint, processes)
        except OutputError as error:
            if not run.last.exists():
                raise
            raise OutputError(f"{error}; what was saved before is whole: gan-train --resume{where} goes on from there") from error
    if not finished:
        console.print(f"saved {run.last}; gan-train --resume{where} goes on from there")
        return 128 + (stop.signal or 0)
    best = load_checkpoint(run.best).progress
    for line in closing_lines(run, config.epochs, best.epoch, is_newest=asked.out is None):
        console.print(line)
    return 0


def _goes_on_with_events(run: RunFolder, console: PlainConsole) -> bool:
    """Return whether there are event files, which go on without being asked for again; if that cannot be, tell."""
    if not run.events.exists():
        return False
    try:
        require_tensorboard(run.events)
    except PocketganError as error:
        console.print(f"note: the event files of this run do not go on: {error}")
        return False
    return True


def _own_judge(plan: Plan, run: RunFolder, console: PlainConsole) -> Looker:
    classes = len(plan.config.data.classes)
    if classes > 1 and not run.judge.exists():
        console.print("training a judge of these images first, by which the best epoch is chosen")
    return own_judge(plan.split.training, classes, run.judge)


class StopFlag:
    """Remembers the first SIGINT or SIGTERM; a second one acts at once."""

    def __init__(self, is_silent: bool = False) -> None:
        self.signal: int | None = None
        """Number of the signal that came, None before."""
        self._is_silent = is_silent

    def install(self) -> None:
        """Take over both signals, for the rest of the process's life."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def __call__(self) -> bool:
        """Say whether a signal has come."""
        return self.signal is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self._is_silent:
            return
        # Whoever reads our messages may have gone by the same Ctrl-C, or be in the middle of a line: saving goes before telling.
        with suppress(OSError, RuntimeError):
            print("stopping after this step; once more to stop without saving", file=sys.stderr)
