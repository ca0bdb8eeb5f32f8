"""Runs gan-train, from its options to its last lines; Ctrl-C and SIGTERM stop the run between two steps."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from types import FrameType

import torch
from torch import Tensor

from pocketgan.cpus import usable_cpus
from pocketgan.errors import OutputError, PocketganError
from pocketgan.files import output_errors
from pocketgan_trainer.data.images import MNIST_FACTS, TrainingImages, describe, facts_of, load_training_images
from pocketgan_trainer.data.published import KNOWN, Digits
from pocketgan_trainer.data.split import TrainingSplit, split_images
from pocketgan_trainer.devices import choose_device
from pocketgan_trainer.errors import OtherProcessError, TrainingError
from pocketgan_trainer.evaluate.judge import ImageJudge, load_judge
from pocketgan_trainer.evaluate.own_judge import own_judge
from pocketgan_trainer.networks.canvas import CANVAS_SIZES, LEAST_LAID_OUT, share_laid_out
from pocketgan_trainer.plain_console import PlainConsole
from pocketgan_trainer.processes import Processes, processes_of_environment
from pocketgan_trainer.training.checkpoint import load_checkpoint
from pocketgan_trainer.training.config import Setting, TrainingConfig
from pocketgan_trainer.training.estimate import estimate, fastest_threads
from pocketgan_trainer.training.loop import check_resumable, count_steps, train
from pocketgan_trainer.training.plan import (
    ResumedRun,
    as_option,
    changed_settings,
    last_sound_checkpoint,
    plan_new_run,
    plan_resumed_run,
    refuse_other_data,
)
from pocketgan_trainer.training.presets import DEFAULT_PRESET, PRESETS, generator_classes, has_guide, train_guide
from pocketgan_trainer.training.recorder import Recorder, Report
from pocketgan_trainer.training.reports import ConsoleReport, TensorBoardReport, clock, closing_lines, require_tensorboard
from pocketgan_trainer.training.run_folder import RUNS, RunFolder, create_run_folder, require_writable
from pocketgan_trainer.training.trait_latents import trait_latents
from pocketgan_trainer.watch.signs import FEW_STEPS
from pocketgan_trainer.watch.validation_watch import watch_validation


@dataclass(frozen=True)
class TrainOptions:
    """The options of gan-train, None where the user gave none."""

    preset: str | None
    settings: dict[str, Setting]
    """By the names of TrainingConfig's fields."""
    device: str
    """auto, cpu or cuda."""
    data: str | None
    image_size: int | None
    is_like_mnist: bool
    out: Path | None
    """The folder of the run folders; to resume, also a single run folder."""
    resume: bool
    threads: int | None
    tensorboard: bool
    show: bool
    """Whether to show some images after each epoch."""
    dry_run: bool


@dataclass(frozen=True)
class PreparedRun:
    """A run that is about to start or to be resumed."""

    threads: int
    """CPU threads in each process."""
    config: TrainingConfig
    images: TrainingImages
    split: TrainingSplit
    published_judge: ImageJudge | None
    """The judge of MNIST's digits; None for other images, for which the run trains a judge."""
    device: torch.device
    resumed: ResumedRun | None


def run_training(options: TrainOptions) -> int:
    """Prepare a run, describe it, and train; return the exit status: 0, or 128 plus the signal that stopped the run.

    With torchrun, every process calls this, but only the first one writes and prints. Raises PocketganError.
    """
    processes = processes_of_environment()
    torch.set_num_threads(_most_threads(options, processes))
    console = PlainConsole(stderr=True, soft_wrap=True, quiet=not processes.is_first)
    try:
        with processes.joined():
            with (
                processes.first_goes_first(),  # so that data is downloaded once, and an error printed once
                console.status("reading images, and trying how fast this machine is"),
            ):
                prepared = _prepare(options, processes)
            torch.set_num_threads(prepared.threads)
            _announce(options, prepared, processes, console)
            if options.dry_run:
                _announce_sizes(prepared, processes, console)
                return 0
            return _train(options, prepared, processes, console)
    except OtherProcessError:
        if processes.is_first:
            raise
        return 1  # the process that failed has printed why


def _prepare(options: TrainOptions, processes: Processes) -> PreparedRun:
    if options.tensorboard:
        require_tensorboard(options.out or RUNS)
    device = choose_device(options.device, processes.rank_here)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    resumed = plan_resumed_run(options.out or RUNS, options.preset, options.settings) if options.resume else None
    if resumed:
        check_resumable(resumed.checkpoint, device)
    elif processes.is_first:
        require_writable(options.out or RUNS)
    known = resumed.config.data if resumed else None
    source = options.data if options.data is not None else (known or MNIST_FACTS).source
    is_like_mnist = options.is_like_mnist or (known is not None and known.is_like_mnist)
    images = load_training_images(source, options.image_size or (known.image_size if known else None), is_like_mnist)
    facts = facts_of(images, source, is_like_mnist)
    if resumed:
        refuse_other_data(resumed, facts)
        # The images may have moved since.
        known_data = replace(
            resumed.config.data, source=facts.source, class_labels=facts.class_labels, is_laid_out=facts.is_laid_out
        )
        config = replace(resumed.config, data=known_data)
    else:
        config = plan_new_run(options.preset or DEFAULT_PRESET, options.settings, device, facts)
    published_judge = load_judge("first") if facts == MNIST_FACTS else None
    split = split_images(images)
    count_steps(config, len(split.training), processes)  # to raise its errors before anything is written
    threads = _threads(options, processes, resumed, config, split.training, device)
    return PreparedRun(threads, config, images, split, published_judge, device, resumed)


def _most_threads(options: TrainOptions, processes: Processes) -> int:
    return options.threads or max(1, usable_cpus() // processes.count_here)


def _threads(
    options: TrainOptions,
    processes: Processes,
    resumed: ResumedRun | None,
    config: TrainingConfig,
    training: Digits,
    device: torch.device,
) -> int:
    """Return the number of CPU threads: that of the resumed run if possible, so that it ends as if it had never stopped."""
    before = resumed.checkpoint.threads if resumed else None
    if options.threads or processes.count > 1 or (before is None and device.type != "cpu"):
        return _most_threads(options, processes)
    return fastest_threads(config, training, usable_cpus()) if before is None else min(before, usable_cpus())


def _announce(options: TrainOptions, prepared: PreparedRun, processes: Processes, console: PlainConsole) -> None:
    config, resumed, most_threads = prepared.config, prepared.resumed, _most_threads(options, processes)
    epochs = "1 epoch" if config.epochs == 1 else f"{config.epochs} epochs"
    console.print(describe(prepared.images))
    for note in prepared.images.notes:
        console.print(f"note: {note}")
    canvas = " (with a canvas)" if config.canvas else ""
    shared = "" if processes.count == 1 else f" in each of {processes.count} processes"
    console.print(
        f"{config.preset}{canvas} on {len(prepared.split.training):,} images: {epochs}, batch {config.batch_size}, "
        f"learning rate {config.learning_rate:g}, seed {config.seed}, "
        f"{'bfloat16' if config.bfloat16 else 'float32'} on {prepared.device.type}, CPU threads: {prepared.threads}{shared}"
    )
    other = [as_option(name, value) for name, value in changed_settings(config).items() if name != "bfloat16"]  # printed above
    if other:
        console.print(f"changed from the preset: {' '.join(other)}")
    if not resumed and not config.canvas and "canvas" not in options.settings and PRESETS[config.preset].canvas is not None:
        is_fixed = config.data.is_like_mnist or config.data.source in KNOWN
        remedy = "" if is_fixed else "; --like-mnist does that to single characters"
        console.print(
            "note: there is no canvas, so no slant, thickness or width can be chosen later: "
            f"{share_laid_out(prepared.images.images):.1%} of the images have white ink in a box of "
            f"{CANVAS_SIZES[config.data.image_size]} pixels, placed by its centre of mass; {LEAST_LAID_OUT:.0%} must{remedy}"
        )
    if not options.threads and not resumed and prepared.threads < most_threads:
        faster = f"{most_threads} CPU threads were hardly faster than 1 just now"
        console.print(f"note: {faster}; --threads {most_threads} uses them anyway")
    steps = config.epochs * count_steps(config, len(prepared.split.training))
    if steps < FEW_STEPS and not resumed:
        console.print(
            f"note: {steps:,} steps in all are not enough for a GAN: choose a smaller --batch-size or more --epochs, so "
            f"that there are at least {FEW_STEPS:,}"
        )
    if resumed:
        for note in resumed.notes:
            console.print(f"note: {note}")
        before = resumed.checkpoint.threads
        if before not in (None, prepared.threads) and processes.count == 1:
            console.print(f"note: CPU threads were {before} before: the run will differ slightly from an uninterrupted one")
        console.print(f"resuming {resumed.run.path} after {resumed.checkpoint.progress.images_seen:,} images")


def _announce_sizes(prepared: PreparedRun, processes: Processes, console: PlainConsole) -> None:
    if not processes.is_first:
        return
    console.print(f"{len(prepared.split.validation):,} more images are held out, to choose the best epoch")
    seen = prepared.resumed.checkpoint.progress.images_seen if prepared.resumed else 0
    expected = estimate(prepared.config, prepared.split.training, prepared.device, seen)
    for name, size in (("generator", expected.generator), ("discriminator", expected.discriminator)):
        console.print(f"{name}: {size.weights:,} weights, {size.multiply_adds:,} multiply-adds for an image")
    time = clock(round(expected.seconds))
    alone = "" if processes.count == 1 else " in one process"
    console.print(f"{expected.images:,} images to train on, in about {time} at the speed of a few steps just now{alone}")
    console.print("after each epoch, generated images are evaluated, which takes some seconds")
    if prepared.published_judge is None and len(prepared.config.data.classes) > 1:
        console.print("before the first epoch, a judge of these images is trained, which takes up to a minute")
    if prepared.config.trait_weight:
        console.print(f"before the first epoch: measuring {_MEASURING}")
    if has_guide(prepared.config):
        console.print(f"before the first epoch: training {_GUIDING}, which takes up to a minute")
    console.print("dry run: nothing was trained and no run folder made")


def _train(options: TrainOptions, prepared: PreparedRun, processes: Processes, console: PlainConsole) -> int:
    config, resumed = prepared.config, prepared.resumed
    checkpoint = resumed.checkpoint if resumed else None
    stop = StopFlag(is_silent=not processes.is_first)
    if not processes.is_first:
        known = resumed.run.traits if resumed and resumed.run.traits.exists() else None
        traits = trait_latents(prepared.split.training, known) if config.trait_weight else None
        known = resumed.run.guide if resumed and resumed.run.guide.exists() else None
        guide = train_guide(config, prepared.split.training, prepared.device, known)
        stop.install()
        finished = train(config, prepared.split.training, prepared.device, None, stop, checkpoint, processes, traits, guide)
        return 0 if finished else 128 + (stop.signal or 0)
    run = resumed.run if resumed else create_run_folder(options.out or RUNS, config.preset, config.data.name)
    resume_command = f"gan-train --resume{f' --out {quote(str(options.out))}' if options.out else ''}"
    with nullcontext() if resumed else _removed_unless_begun(run, console), run.locked(), ExitStack() as stack:
        run.remove_leftovers()
        if resumed:
            _claim(resumed)
        judge = prepared.published_judge or _own_judge(prepared, run, console)
        traits = _traits(prepared, run, console) if config.trait_weight else None
        guide = _guide(prepared, run, console)
        stop.install()  # not before: neither training a judge or a guide nor measuring traits checks the flag
        console.print(f"run folder {run.path}")
        with console.status("judging real images, to compare with"):
            watch = watch_validation(judge, prepared.split, config.data.classes, bool(generator_classes(config)))
        steps_per_epoch = count_steps(config, len(prepared.split.training))
        cpu_threads = prepared.threads if prepared.device.type == "cpu" else 1
        on_console = ConsoleReport(console, config.epochs, steps_per_epoch, cpu_threads, sys.stderr if options.show else None)
        reports: list[Report] = [stack.enter_context(on_console)]
        if options.tensorboard or _continues_events(run, console):
            reports.append(stack.enter_context(TensorBoardReport(run, checkpoint.progress.epoch if checkpoint else 0)))
        recorder = Recorder(config, watch, run, *reports)
        try:
            training = prepared.split.training
            finished = train(config, training, prepared.device, recorder, stop, checkpoint, processes, traits, guide)
        except OutputError as error:
            if not run.last.exists():
                raise
            raise OutputError(f"{error}; what was saved before is whole: {resume_command} continues from there") from error
    if not finished:
        console.print(f"saved {run.last}; {resume_command} continues from there", soft_wrap=True)
        return 128 + (stop.signal or 0)
    best = load_checkpoint(run.best).progress
    for line in closing_lines(run, config.epochs, best.epoch, is_newest=options.out is None):
        console.print(line, soft_wrap=True)  # so that commands and paths can be copied
    return 0


@contextmanager
def _removed_unless_begun(run: RunFolder, console: PlainConsole) -> Iterator[None]:
    """Leave no folder behind if Ctrl-C comes before the first checkpoint."""
    try:
        yield
    except KeyboardInterrupt:
        if not run.last.exists():
            console.print("stopped before the first step: nothing was saved")
            run.discard()
        raise


def _claim(resumed: ResumedRun) -> None:
    """Make sure, with the run's lock held, that nobody trained it since it was read; put an unusable last checkpoint aside."""
    run = resumed.run
    checkpoint, _ = last_sound_checkpoint(run)
    if checkpoint.sha256 != resumed.checkpoint.sha256:
        raise TrainingError(f"{run.path} was trained further in the meantime: run the same command again")
    if resumed.uses_previous and run.last.exists():
        with output_errors(run.last):
            run.last.replace(run.path / "unusable.safetensors")  # or the next save would keep it as the one before


def _continues_events(run: RunFolder, console: PlainConsole) -> bool:
    """Return whether the run has event files that can be continued; if they cannot, print why."""
    if not run.events.exists():
        return False
    try:
        require_tensorboard(run.events)
    except PocketganError as error:
        console.print(f"note: no more event files are written for this run: {error}")
        return False
    return True


def _own_judge(prepared: PreparedRun, run: RunFolder, console: PlainConsole) -> ImageJudge:
    classes = len(prepared.config.data.classes)
    is_trained = classes > 1 and not run.judge.exists()
    words = "training a judge of these images first, to choose the best epoch"
    with console.announced(words) if is_trained else nullcontext():
        return own_judge(prepared.split.training, classes, run.judge)


def _traits(prepared: PreparedRun, run: RunFolder, console: PlainConsole) -> Tensor:
    with nullcontext() if run.traits.exists() else console.announced(f"measuring {_MEASURING}"):
        return trait_latents(prepared.split.training, run.traits)


def _guide(prepared: PreparedRun, run: RunFolder, console: PlainConsole) -> Callable[[Tensor], Tensor] | None:
    is_trained = has_guide(prepared.config) and not run.guide.exists()
    with console.announced(f"training {_GUIDING}") if is_trained else nullcontext():
        return train_guide(prepared.config, prepared.split.training, prepared.device, run.guide)


_GUIDING = "a classifier of these images, which guides the generator in the end"
_MEASURING = "slant, thickness and width of all images, one or two milliseconds each"


class StopFlag:
    """Remembers the first SIGINT or SIGTERM; a second one ends the process at once."""

    def __init__(self, is_silent: bool = False) -> None:
        self.signal: int | None = None
        """The number of the signal, None until one comes."""
        self._is_silent = is_silent

    def install(self) -> None:
        """Handle both signals from now on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def __call__(self) -> bool:
        """Return whether a signal has come."""
        return self.signal is not None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self._is_silent:
            return
        # The same Ctrl-C may have ended the reader of stderr, or the signal may have interrupted another print. Saving the run
        # matters more than this message.
        with suppress(OSError, RuntimeError):
            print("stopping after this step; press Ctrl-C again to stop without saving", file=sys.stderr)
