"""Export finished runs as bundled models, each with its card and a picture.

    python scripts/release_models.py runs/0001-pocket-mnist runs/0002-nano-mnist

For each run it writes models/pocketgan_models/PRESET.onnx from the best checkpoint, whose card holds the quality as measured by
gan-eval; PRESET.png with the first hundred digits of seed 0, drawn by the runtime from that file; and PRESET.md, the card for
people, in which everything below MARKER is written by hand and kept. golden.json gets the digest of the pixels.
Needs the extras [cpu,train].
"""

import argparse
import hashlib
import json
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import pocketgan_models
from pocketgan.cpus import usable_cpus
from pocketgan.errors import OutputError
from pocketgan.files import whole_file
from pocketgan.generator import Generator
from pocketgan.output.sheet import write_grid
from pocketgan_trainer.data.published import load_mnist
from pocketgan_trainer.data.split import VALIDATION_DIGITS
from pocketgan_trainer.evaluate.evaluation import EvaluationOptions, evaluate
from pocketgan_trainer.evaluate.figures import number
from pocketgan_trainer.evaluate.sources import open_source
from pocketgan_trainer.export.exporter import ExportReport, export, report_rows
from pocketgan_trainer.training.checkpoint import Checkpoint, load_checkpoint
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.plan import training_commands
from pocketgan_trainer.training.run_folder import BEST, RunFolder, find_run_folder

MARKER = "<!-- written by hand from here on -->"
QUALITY_SEEDS = 3
GOLDEN_COUNT = 100
"""The number of images of seed 0 that are shown, and whose digest is in golden.json."""
_SHOWN_EPOCHS = (1, 2, 5, 10, 20, 30, 40, 50)


def release(run: RunFolder) -> Path:
    """Export one run's best checkpoint into the package of models, and return the path of its card for people."""
    checkpoint = load_checkpoint(run.best)
    model = pocketgan_models.path(checkpoint.config.preset)
    card = model.with_suffix(".md")
    by_hand = _written_by_hand(card)  # before anything is replaced
    with TemporaryDirectory() as folder:
        unscored = Path(folder) / model.name
        export(checkpoint, unscored, "int8")
        quality = measured_quality(unscored)
    # The same graph again, with the figures in its card.
    report = export(checkpoint, model, "int8", overwrite=True, licence="MIT", quality=quality)
    images = Generator.load(model).generate(GOLDEN_COUNT)
    write_grid(model.with_suffix(".png"), images, columns=10)
    golden = json.loads(pocketgan_models.golden().read_text())
    golden["pixels_sha256"][model.stem] = hashlib.sha256(images.tobytes()).hexdigest()
    with whole_file(pocketgan_models.golden()) as temporary:
        temporary.write_text(json.dumps(golden, indent=2) + "\n")
    with whole_file(card) as temporary:
        temporary.write_text(_facts(run, checkpoint, report) + MARKER + by_hand)
    return card


def _written_by_hand(card: Path) -> str:
    """Return what follows MARKER in a card. Raises OutputError if a card lacks it, since all of it may be written by hand."""
    if not card.exists():
        return "\n"
    _, marker, by_hand = card.read_text().partition(MARKER)
    if not marker:
        raise OutputError(f"{card} lacks the line {MARKER}: put it above what was written by hand")
    return by_hand


def measured_quality(model: Path) -> dict[str, float]:
    """Return a few figures from gan-eval's table for an exported model, as means over QUALITY_SEEDS latent seeds."""
    options = EvaluationOptions(count=10_000, seeds=QUALITY_SEEDS, told_apart=False, cas=False, classifier_seeds=1)
    evaluation = evaluate(
        [open_source(str(model), usable_cpus())],
        options,
        load_mnist(None, "train"),
        load_mnist(None, "test"),
        lambda words, work: print(words),
    )
    scored, real = evaluation.sources[0].seeds, evaluation.real.seeds

    def ratio(key: str) -> float:
        return round(fmean(number(one, key) for one in scored) / fmean(number(one, key) for one in real), 4)

    quality = {
        "frechet_ratio_first_judge": ratio("against_test.frechet.first_judge"),
        "frechet_ratio_second_judge": ratio("against_test.frechet.second_judge"),
        "frechet_ratio_pixel_components": ratio("against_test.frechet.pixels"),
        "coverage_ratio": ratio("against_test.neighbourhood.coverage"),
        "recall_ratio": ratio("against_test.neighbourhood.recall"),
    }
    accuracies = [number(one, "classes.accuracy") for one in scored if evaluation.sources[0].has_classes]
    return {**quality, "asked_class_accuracy": round(fmean(accuracies), 4)} if accuracies else quality


def _facts(run: RunFolder, checkpoint: Checkpoint, report: ExportReport) -> str:
    """Return the part of the card that is generated from facts, as Markdown."""
    card = report.card
    config = TrainingConfig.from_json((run.path / "config.json").read_text())
    statistics: list[dict[str, Any]] = run.read_statistics()
    planned_epochs = [row["planned_epochs"] for row in statistics]
    commands = ", then ".join(f"`{command}`" for command in training_commands(config, planned_epochs))
    last, best = statistics[-1], next(row for row in statistics if row["epoch"] == checkpoint.progress.epoch)
    name = report.target.name
    picture = report.target.with_suffix(".png").name
    rows = [
        (
            "trained by",
            f"{commands}, seed {config.seed}; exported by `python scripts/release_models.py RUN` (gan-export's int8)",
        ),
        (
            "training data",
            f"the training digits of MNIST but {VALIDATION_DIGITS:,} to choose the epoch by; "
            f"{last['images_seen']:,} images shown in {last['epoch']} epochs",
        ),
        ("training time", f"{last['seconds'] / 60:.0f} minutes"),
        (
            "exported epoch",
            f"{best['epoch']}, the last one whose score is the lowest but for noise: Frechet ratio "
            f"{best['frechet_ratio']:.2f}, told apart by texture {best['told_apart_by_texture']:.1%}",
        ),
        (
            f"quality, over {QUALITY_SEEDS} latent seeds",
            "; ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in card.quality.items()),
        ),
        ("checkpoint", f"SHA-256 `{card.training.checkpoint_sha256}`"),
        ("file", f"SHA-256 `{report.sha256}`"),
        (
            "input",
            f"`z` float32 [N, {card.latent_size}], standard normal in steps of 1/32"
            + (", and `label` int64 [N]" if card.classes else ""),
        ),
        ("output", f"`images` uint8 [N, {card.image_height}, {card.image_width}], 0 = background"),
        *report_rows(report),
        ("licence", f"{card.licence}; the training data is CC BY-SA 3.0"),
    ]
    shown = [row for row in statistics if row["epoch"] in _SHOWN_EPOCHS or row is last]
    lines = [
        f"# {name}",
        "",
        f"![The first hundred digits of seed 0, as {name} draws them]({picture})",
        "",
        f"The first hundred digits of seed 0, not chosen: `gan-gen --model {card.architecture} --grid 10x10`.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {title} | {text} |" for title, text in rows),
        "",
        "How training went (means over each epoch; the Frechet ratio compares 5,000 generated digits with 20,000 training",
        "digits in the first judge's features: 1 is what other training digits score; it is not the Inception FID; told apart by",
        "texture: a guess is right in 50 %):",
        "",
        "| epoch | loss G | loss D | D(x) | D(G(z)) | Frechet ratio | told apart by texture |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {row['epoch']} | {row['generator_loss']:.2f} | {row['discriminator_loss']:.2f} | {row['real_score']:.2f} "
            f"| {row['fake_score']:.2f} | {row['frechet_ratio']:.2f} | {row['told_apart_by_texture']:.1%} |"
            for row in shown
        ),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Release the runs given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders")
    for path in parser.parse_args().runs:
        print(release(find_run_folder(path, BEST)))


if __name__ == "__main__":
    main()
