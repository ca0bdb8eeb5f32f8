"""Plans a run before anything is written: the config of a new one, or how to resume one; and the gan-train commands of a run."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch

from pocketgan_trainer.data.images import MNIST_FACTS, DataFacts
from pocketgan_trainer.devices import supports_bfloat16
from pocketgan_trainer.errors import CheckpointError, TrainingError
from pocketgan_trainer.networks.canvas import CANVAS_SIZES, LEAST_LAID_OUT
from pocketgan_trainer.training.checkpoint import Checkpoint, load_checkpoint
from pocketgan_trainer.training.config import DEPENDENT_SETTINGS, FLAGS, Setting, TrainingConfig
from pocketgan_trainer.training.presets import DEFAULT_PRESET, PRESETS, has_canvas, preset_config, presets_that_use
from pocketgan_trainer.training.run_folder import LAST, PREVIOUS, RunFolder, find_run_folder, newer_runs


def plan_new_run(
    preset: str, options: Mapping[str, Setting], device: torch.device, data: DataFacts = MNIST_FACTS
) -> TrainingConfig:
    """Return the preset's config for this data, with the user's options instead of its own values.

    The keys of `options` are names of TrainingConfig's fields. Raises TrainingError if a value is out of range, would have no
    effect on this preset, or asks for a canvas for images that are not laid out for one.
    """
    own_config = PRESETS[preset].config
    idle = sorted(name for name in PRESETS[preset].ignores & options.keys() if options[name] != getattr(own_config, name))
    if idle:
        others = " or ".join(presets_that_use(*idle))
        raise TrainingError(f"{', '.join(idle)} has no effect on preset {preset}: leave it out, or choose {others}")
    canvas = bool(options.get("canvas", has_canvas(preset, data)))
    if canvas and not data.is_laid_out:
        raise TrainingError(
            f"canvas does not suit the images of {data.source}: expected white ink in a box of "
            f"{CANVAS_SIZES[data.image_size]} pixels, placed by its centre of mass, in {LEAST_LAID_OUT:.0%} of them; leave out "
            f"canvas=true{'' if data.is_like_mnist else ', or give --like-mnist if they are single characters of your own'}"
        )
    config = preset_config(preset, canvas)
    own: dict[str, Setting] = {"bfloat16": config.bfloat16 and supports_bfloat16(device)}
    # What the user switches off takes along what has no effect without it.
    own |= {name: 0.0 for name, needed in DEPENDENT_SETTINGS if options.get(needed) == 0}
    return replace(config, data=data, **{**own, **options})  # type: ignore[arg-type]


@dataclass(frozen=True)
class ResumedRun:
    """A run to resume."""

    run: RunFolder
    checkpoint: Checkpoint
    config: TrainingConfig
    uses_previous: bool
    """Whether the last checkpoint is missing or cannot be used, so that the one before is."""
    notes: tuple[str, ...]
    """One line each for the user."""


def plan_resumed_run(folder: Path, preset: str | None, options: Mapping[str, Setting]) -> ResumedRun:
    """Return how to resume the newest run in `folder`, or the run in `folder` itself if that is a run folder.

    `options` may set more epochs than were planned, but nothing else that differs: that would be a different run. Schedules
    continue as in the longer run: a falling learning rate takes a step up, and refinement pauses until the longer run's last
    part. Raises TrainingError if there is no run or an option differs, CheckpointError if no checkpoint can be used.
    """
    run = find_run_folder(folder, LAST, PREVIOUS)
    checkpoint, trouble = last_sound_checkpoint(run)
    config = replace(checkpoint.config, epochs=int(options.get("epochs", checkpoint.config.epochs)))
    wanted = {**({} if preset is None else {"preset": preset}), **options}
    differing = [
        f"{as_option(name, value)} (the run has {str(getattr(config, name)).lower()})"
        for name, value in wanted.items()
        if getattr(config, name) != value
    ]
    newer = _notes_on_newer_runs(folder, run)
    if differing:
        raise TrainingError(
            f"cannot resume {run.path} with {', '.join(differing)}: leave these options out, or start a new run without --resume"
            + "".join(f"; {note}" for note in newer)
        )
    if config.epochs < checkpoint.config.epochs:
        raise TrainingError(f"{run.path} is a run of {checkpoint.config.epochs} epochs: expected at least as many --epochs")
    notes = (*newer, *((trouble,) if trouble else ()), *_notes_on_more_epochs(checkpoint.config.epochs, config))
    return ResumedRun(run, checkpoint, config, trouble is not None, notes)


def _notes_on_newer_runs(folder: Path, run: RunFolder) -> tuple[str, ...]:
    newer = newer_runs(folder, run)
    if not newer:
        return ()
    are = f"and {len(newer) - 1:,} more are newer, but have" if len(newer) > 1 else "is newer, but has"
    return (
        f"{newer[0].path} {are} no checkpoint, as after a kill before the first step; taking {run.path}; to train the newer one, "
        "start it again without --resume",
    )


def _notes_on_more_epochs(planned: int, config: TrainingConfig) -> tuple[str, ...]:
    """Return a note if more epochs than planned change the learning rate or the refinement of a run."""
    changing = [
        words
        for words, is_so in (
            ("the learning rate takes a step up", config.final_rate_share < 1),
            ("refinement pauses until the longer run's last part", config.refinement_share > 0),
        )
        if is_so
    ]
    if planned == config.epochs or not changing:
        return ()
    return (
        f"{config.epochs} epochs instead of {planned}: the run continues as the longer one would, so {' and '.join(changing)}",
    )


def last_sound_checkpoint(run: RunFolder) -> tuple[Checkpoint, str | None]:
    """Return the last checkpoint, or the one before and why it is used. Raises CheckpointError if neither can be used."""
    if not run.last.exists() and run.previous.exists():
        return load_checkpoint(run.previous), f"{run.last} is absent, as after a kill while it was saved; taking {run.previous}"
    try:
        return load_checkpoint(run.last), None
    except CheckpointError as error:
        if not run.previous.exists():
            raise
        return load_checkpoint(run.previous), f"{error}; taking the one before, {run.previous}"


def refuse_other_data(resumed: ResumedRun, found: DataFacts) -> None:
    """Raise TrainingError unless the data is what the run has been trained on so far."""
    had = resumed.config.data
    # The images must agree; the folder may have another name or place.
    layouts = {True: "with --like-mnist", False: "without --like-mnist"}
    aspects = (
        ("images", f"{found.image_size}x{found.image_size}", f"{had.image_size}x{had.image_size}"),
        ("images", layouts[found.is_like_mnist], layouts[had.is_like_mnist]),
        ("classes", ", ".join(found.classes) or "none", ", ".join(had.classes) or "none"),
    )
    differing = [f"{what} {now} (the run has {before})" for what, now, before in aspects if now != before]
    if (had.image_size, had.classes, had.sha256) == (found.image_size, found.classes, found.sha256):
        return
    raise TrainingError(
        f"cannot resume {resumed.run.path} with the images of {found.source}: they are not those that the run started with, "
        f"{had.name} at {had.source}: {', '.join(differing) or 'other pixels or labels'}; put these back, leave out what "
        "differs, or start a new run"
    )


def changed_settings(config: TrainingConfig) -> dict[str, Setting]:
    """Return the fields, without those of FLAGS, in which a config differs from what its preset would have.

    That is `canvas` as the data gets it by default, and the other fields as they are with the config's own `canvas`.
    """
    own = _own_settings(config)
    return {name: value for name, value in asdict(config).items() if name not in FLAGS and value != own[name]}


def _own_settings(config: TrainingConfig) -> dict[str, object]:
    """Return the preset's settings with the config's own canvas; `canvas` itself is what the data would get by default."""
    return {**asdict(preset_config(config.preset, config.canvas)), "canvas": has_canvas(config.preset, config.data)}


def as_option(name: str, value: str | Setting) -> str:
    """Return the gan-train option that sets a field of TrainingConfig to this value."""
    if name in FLAGS:
        return f"--{FLAGS[name]} {value}"
    return f"--set {name}={str(value).lower()}"


def training_command(config: TrainingConfig) -> str:
    """Return the gan-train command that starts a run with this config."""
    own = {**_own_settings(config), "preset": DEFAULT_PRESET, "epochs": None}
    options = [as_option(name, value) for name, value in asdict(config).items() if name != "data" and value != own[name]]
    return shlex.join(["gan-train", *_data_options(config.data), *" ".join(options).split()])


def _data_options(data: DataFacts) -> list[str]:
    if data == MNIST_FACTS:
        return []
    like_mnist = ["--like-mnist"] if data.is_like_mnist else []
    return ["--data", data.source, "--image-size", str(data.image_size), *like_mnist]


def training_commands(config: TrainingConfig, planned_epochs: Sequence[int]) -> list[str]:
    """Return the gan-train commands that repeat a run: the first one, and one for each time that it was made longer.

    `planned_epochs` has, for each epoch of the run, the number of epochs that were planned when it ended; it is not empty.
    Interruptions that changed nothing are left out.
    """
    commands = [training_command(replace(config, epochs=planned_epochs[0]))]
    longer = [after for before, after in pairwise(planned_epochs) if after != before]
    return commands + [f"gan-train --resume --epochs {epochs}" for epochs in longer]
