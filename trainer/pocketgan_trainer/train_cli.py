"""`gan-train`: train a GAN on handwritten digits."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import Annotated, NamedTuple

import typer

from pocketgan.console import cli_errors, command_line, show_version, usage_errors

app = command_line()


class Device(StrEnum):
    """Where to train."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class AskedData(NamedTuple):
    """What the user said of the data."""

    source: str | None
    image_size: int | None
    is_like_mnist: bool


@app.command()
def train(
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the training images.", show_default="the preset's")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="The GAN system: pocket, nano, dcgan or mlp.", show_default="pocket")] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, help="Images in a step.", show_default="the preset's")] = None,
    lr: Annotated[float | None, typer.Option(help="Adam's learning rate.", show_default="the preset's")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of everything random.", show_default="0")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other hyper-parameter of config.json; repeatable."),
    ] = None,
    config_file: Annotated[
        Path | None, typer.Option("--config", help="A TOML file with lines NAME = VALUE; options given besides go first.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.auto,
    data: Annotated[
        str | None,
        typer.Option(
            help="mnist, fashion-mnist or kmnist; a folder of pictures, in one folder a class or not; a folder of IDX files; an "
            "NPZ file.",
            show_default="mnist",
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Height and width of the images, 28 or 32.", show_default="28, or the data's own 32")
    ] = None,
    like_mnist: Annotated[
        bool, typer.Option("--like-mnist", help="Invert, scale and centre pictures as MNIST's digits are.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the numbered run folders; with --resume also one run folder.", show_default="runs"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the newest run in --out, or with the run that --out is.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, max=1024, help="CPU threads.", show_default="the CPUs this process may use")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Train a GAN on the handwritten digits of MNIST, or on other small grey images.

    Of MNIST's digits 55,000 are learned from, and by 5,000 the best epoch is chosen; of other data, by a tenth.
    Everything goes into a numbered run folder: checkpoints, statistics, sheets of generated digits. Ctrl-C saves and ends;
    --resume goes on from there as if nothing had happened.
    """
    from pocketgan_trainer.errors import TrainingError
    from pocketgan_trainer.training.settings import parse_setting, read_settings

    with usage_errors("--set"):
        parsed = [parse_setting(text) for text in settings or []]
        chosen = dict(parsed)
        if len(chosen) < len(parsed):
            raise TrainingError("the same name is set twice: leave one out")
    with cli_errors():
        own_preset, filed = (None, {}) if config_file is None else read_settings(config_file)
        options = {"epochs": epochs, "batch_size": batch_size, "learning_rate": lr, "seed": seed}
        given = {**filed, **chosen, **{name: value for name, value in options.items() if value is not None}}
        _train(preset or own_preset, given, device.value, AskedData(data, image_size, like_mnist), out, resume, threads, dry_run)


def _train(
    preset: str | None,
    options: dict[str, int | float],
    device_name: str,
    data: AskedData,
    out: Path | None,
    resume: bool,
    threads: int | None,
    dry_run: bool,
) -> None:
    """Plan, tell, train; torch is imported here so that `--help` does not wait for it."""
    from pocketgan_trainer.requirements import require_training_extra

    require_training_extra()
    import torch
    from rich.console import Console

    from pocketgan.cpus import usable_cpus
    from pocketgan.files import remove_file
    from pocketgan_trainer.data.data_description import describe
    from pocketgan_trainer.data.training_images import load_training_images
    from pocketgan_trainer.data.validation import split_images
    from pocketgan_trainer.evaluate.judge import load_judge
    from pocketgan_trainer.evaluate.own_judge import own_judge
    from pocketgan_trainer.evaluate.validation_score import validation_score
    from pocketgan_trainer.stop_flag import StopFlag
    from pocketgan_trainer.training.checkpoint import load_checkpoint
    from pocketgan_trainer.training.data_facts import MNIST_FACTS, facts_of
    from pocketgan_trainer.training.devices import choose_device
    from pocketgan_trainer.training.estimate import estimate
    from pocketgan_trainer.training.loop import check_resumable, count_steps
    from pocketgan_trainer.training.loop import train as run_training
    from pocketgan_trainer.training.plan import plan_new_run, plan_resumed_run, refuse_other_data
    from pocketgan_trainer.training.presets import DEFAULT_PRESET, PRESETS
    from pocketgan_trainer.training.report import ConsoleReport, clock
    from pocketgan_trainer.training.run_folder import RUNS, create_run_folder

    if preset is not None and preset not in PRESETS:
        raise typer.BadParameter(f"{preset!r} is not a preset: expected one of {', '.join(PRESETS)}", param_hint="--preset")
    folder = out or RUNS
    device = choose_device(device_name)
    torch.set_num_threads(threads or usable_cpus())
    resumed = plan_resumed_run(folder, preset, options) if resume else None
    if resumed:
        check_resumable(resumed.checkpoint, device)
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    known = resumed.config.data if resumed else None
    source = data.source if data.source is not None else (known or MNIST_FACTS).source
    is_like_mnist = data.is_like_mnist or (known is not None and known.is_like_mnist)
    images = load_training_images(source, data.image_size or (known.image_size if known else None), is_like_mnist)
    facts = facts_of(images, source, is_like_mnist)
    if resumed:
        refuse_other_data(resumed, facts)
        # Where it lies now.
        config = replace(resumed.config, data=replace(resumed.config.data, source=facts.source))
    else:
        config = plan_new_run(preset or DEFAULT_PRESET, options, device, facts)
    published_judge = load_judge("first") if facts == MNIST_FACTS else None
    split = split_images(images)
    steps_per_epoch = count_steps(config, len(split.training))

    console.print(describe(images))
    for note in images.notes:
        console.print(f"note: {note}")
    console.print(
        f"{config.preset} on {len(split.training):,} images: {config.epochs} epochs, batch {config.batch_size}, learning rate "
        f"{config.learning_rate:g}, seed {config.seed}, {'bfloat16' if config.bfloat16 else 'float32'} on {device}, "
        f"CPU threads: {torch.get_num_threads()}"
    )
    if resumed:
        if resumed.note:
            console.print(f"note: {resumed.note}")
        console.print(f"going on in {resumed.run.path} after {resumed.checkpoint.progress.images_seen:,} images")
    if dry_run:
        expected = estimate(config, split.training, device)
        for name, size in (("generator", expected.generator), ("discriminator", expected.discriminator)):
            console.print(f"{name}: {size.weights:,} weights, {size.multiply_adds:,} multiply-adds for an image")
        console.print(
            f"{expected.images:,} images to be shown, in about {clock(round(expected.seconds))} as fast as a few steps went"
        )
        console.print("dry run: nothing was trained and no run folder made")
        return

    stop = StopFlag()
    stop.install()
    run = resumed.run if resumed else create_run_folder(folder, config.preset, config.data.name)
    console.print(f"run folder {run.path}")
    if resumed and resumed.note:
        remove_file(run.last, "a damaged checkpoint")  # else it would become the one to fall back to
    if published_judge is None and len(facts.classes) > 1 and not run.judge.exists():
        console.print("training a judge of these images first, by which the best epoch is chosen")
    score = validation_score(published_judge or own_judge(split.training, len(facts.classes), run.judge), split)
    with ConsoleReport(console, config.epochs, steps_per_epoch) as report:
        checkpoint = resumed.checkpoint if resumed else None
        finished = run_training(config, split.training, score, run, device, report, stop, checkpoint)
    if not finished:
        where = f" --out {quote(str(out))}" if out else ""
        console.print(f"saved {run.last}; gan-train --resume{where} goes on from there")
        raise typer.Exit(128 + (stop.signal or 0))
    best = load_checkpoint(run.best).progress
    console.print(f"done: the best epoch is {best.epoch} of {config.epochs}, its checkpoint {run.best}")
    console.print(f"next: gan-export model.onnx{f' --checkpoint {quote(str(run.path))}' if out else ''}")


def main() -> None:
    """Run `gan-train`."""
    app()


if __name__ == "__main__":
    main()
