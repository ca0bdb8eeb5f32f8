"""`gan-train`: train a GAN on handwritten digits."""

from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from pocketgan import shared_options
from pocketgan.console import cli_errors, command_line, print_output, run_and_exit, usage_errors
from pocketgan.cpus import MOST_THREADS
from pocketgan.errors import suggestion
from pocketgan.help_page import PlainCommand, examples

app = command_line()


class Device(StrEnum):
    """Where to train."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class TrainCommand(PlainCommand):
    """The command, with the panels of its help page."""

    panels = MappingProxyType(
        {
            "What to train": "--preset --epochs --batch-size --lr --seed --set --config",
            "Images": "--data --image-size --like-mnist",
            "Run folder": "--out --resume --tensorboard",
            "Computer and screen": "--device --threads --show --dry-run",
        }
    )


@app.command(
    cls=TrainCommand,
    epilog=examples(
        "gan-train --epochs 50",
        "gan-train --preset nano --dry-run",
        "gan-train --data letters/ --like-mnist",
        "gan-train --resume",
    ),
)
def train(
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the training images.", show_default="the preset's")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help='The GAN system; "--preset list" prints them all.', show_default="pocket")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, help="Images in a step.", show_default="the preset's")] = None,
    lr: Annotated[float | None, typer.Option(help="Adam's learning rate.", show_default="the preset's")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of everything random.", show_default="0")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other hyper-parameter of config.json; repeatable."),
    ] = None,
    config_file: Annotated[
        Path | None, typer.Option("--config", help="A TOML file with lines NAME = VALUE; options override it.")
    ] = None,
    device: Annotated[Device, typer.Option(case_sensitive=False, help="Where to train.")] = Device.auto,
    data: Annotated[
        str | None,
        typer.Option(
            help="mnist, fashion-mnist or kmnist; a folder of pictures, with or without a folder for each class; or files of "
            "images as docs/own-data.md lists them.",
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
        typer.Option(
            help="Folder for the numbered run folders; with --resume, a single run folder also works.", show_default="runs"
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the newest run in --out, or the run folder given by --out.")
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_THREADS, help="CPU threads.", show_default="all CPUs this process may use, if clearly faster than one"
        ),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write TensorBoard event files to the run folder.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Show ten images on the terminal after each epoch.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and stop.")] = False,
    version: shared_options.Version = False,
) -> None:
    """Train a GAN on the handwritten digits of MNIST, or on other small grey images.

    Of MNIST's 60,000 digits, it trains on 55,000 and chooses the best epoch by the other 5,000; of other data, it holds out a
    tenth.
    Everything goes into a numbered run folder: checkpoints, statistics, sheets of generated digits. Ctrl-C saves and ends;
    --resume continues from there as if the run had never stopped. Several processes share a run when torchrun starts them:
    torchrun --nproc-per-node N -m pocketgan_trainer.train_cli, then the same options.
    """
    from pocketgan_trainer.errors import TrainingError
    from pocketgan_trainer.requirements import require_training_extra

    with cli_errors():
        require_training_extra()
    # Only now: they import packages of the extra.
    from pocketgan_trainer.training.config import parse_setting, read_settings

    with usage_errors("--set"):
        parsed = [parse_setting(text) for text in settings or []]
        chosen = dict(parsed)
        if len(chosen) < len(parsed):
            raise TrainingError("the same name is set twice: leave one out")
    from pocketgan_trainer.train_run import TrainOptions, run_training
    from pocketgan_trainer.training.presets import PRESETS

    if preset == "list":
        print_output("\n".join(f"{name:8}{row.description}" for name, row in PRESETS.items()))
        return
    with cli_errors():
        preset_of_file, settings_of_file = (None, {}) if config_file is None else read_settings(config_file)
        options = {"epochs": epochs, "batch_size": batch_size, "learning_rate": lr, "seed": seed}
        given = {name: value for name, value in options.items() if value is not None}
        hint = "--preset" if preset else "--config"
        preset = preset or preset_of_file
        if preset is not None and preset not in PRESETS:
            known = f"{', '.join(PRESETS)}{suggestion(preset, PRESETS)}"
            raise typer.BadParameter(f"{preset!r} is not a preset: expected one of {known}", param_hint=hint)
        status = run_training(
            TrainOptions(
                preset=preset,
                settings={**settings_of_file, **chosen, **given},
                device=device.value,
                data=data,
                image_size=image_size,
                is_like_mnist=like_mnist,
                out=out,
                resume=resume,
                threads=threads,
                tensorboard=tensorboard,
                show=show,
                dry_run=dry_run,
            )
        )
    if status:
        raise typer.Exit(status)


def main() -> None:
    """Run `gan-train`."""
    run_and_exit(app)


if __name__ == "__main__":
    main()
