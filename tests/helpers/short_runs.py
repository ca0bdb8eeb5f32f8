"""Training runs of a few steps on real digits, watched by a quick watch, for tests of what a run does and leaves."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from unittest.mock import patch

import torch
from mean_image_watch import MeanImageWatch, mean_image_watch
from silent_report import SilentReport

from pocketgan.files import whole_file
from pocketgan_trainer.data.published import Digits, load_mnist
from pocketgan_trainer.training import loop, schedule
from pocketgan_trainer.training import recorder as recorder_module
from pocketgan_trainer.training.checkpoint import Checkpoint, load_checkpoint
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.presets import PRESETS
from pocketgan_trainer.training.recorder import Recorder, Report, Watch
from pocketgan_trainer.training.run_folder import RunFolder

NewRun = Callable[[], RunFolder]
"""What the fixture `new_run` is: it makes an empty run folder."""

CPU = torch.device("cpu")
MLP = replace(PRESETS["mlp"].config, epochs=2)
MLP_IMAGES = 330
MLP_STEPS = 5
"""In an epoch: 10 images are left over."""
DCGAN = replace(PRESETS["dcgan"].config, epochs=2, batch_size=8, bfloat16=False)
NANO = replace(
    PRESETS["nano"].config,
    epochs=2,
    batch_size=8,
    bfloat16=False,
    seed=2,  # whose first weights do not draw everything black
    final_rate_share=0.1,
    gradient_penalty=0.5,
    final_penalty_share=0.2,
    refinement_share=0.4,
    class_weight=0.25,
    shifted_share=0.75,
    batch_statistics_share=0.5,
    ema_halflife_images=500,
)
FEW_IMAGES = 34
"""Four batches of 8 in an epoch: 2 images are left over."""
SHEET_IMAGES = 9


@cache
def _mnist() -> Digits:
    mnist = load_mnist()
    return Digits(mnist.images[:MLP_IMAGES].copy(), mnist.labels[:MLP_IMAGES].copy())


def digits_for(config: TrainingConfig) -> Digits:
    """Return the digits that `train` takes for a config, the first of MNIST."""
    images = MLP_IMAGES if config.preset == "mlp" else FEW_IMAGES
    return Digits(_mnist().images[:images], _mnist().labels[:images])


@cache
def quick_watch() -> MeanImageWatch:
    """Return the watch that `train` uses by default, against 20 digits."""
    return mean_image_watch(Digits(_mnist().images[-20:], _mnist().labels[-20:]))


def never() -> bool:
    """Request no stop."""
    return False


def after(calls: int) -> Callable[[], bool]:
    """Return a stop request that comes with the given call and stays."""
    made = count(1)
    return lambda: next(made) >= calls


def train(
    config: TrainingConfig,
    run: RunFolder,
    *reports: Report,
    stop: Callable[[], bool] = never,
    resume_from: Checkpoint | None = None,
    watch: Watch | None = None,
    digits: Digits | None = None,
) -> bool:
    """Train as a run of `config` in the folder of `run`; return whether it is finished.

    Sheets are small, curves are none, and statistics freeze as early as the config says.
    """
    recorder = Recorder(config, watch or quick_watch(), run, *(reports or (SilentReport(),)))
    with (
        patch.object(recorder_module, "write_curves", quick_curves),
        patch.object(recorder_module, "SHEET_IMAGES", SHEET_IMAGES),
        patch.object(schedule, "LEAST_IMAGES_OF_BATCH_STATISTICS", 0),
    ):
        return loop.train(config, digits or digits_for(config), CPU, recorder, stop, resume_from)


def train_in_pieces(config: TrainingConfig, run: RunFolder, pieces: Sequence[int]) -> int:
    """Train, with a stop request at the given call of each piece and none after them; return how often it was resumed."""
    checkpoint, resumed = None, 0
    while not train(config, run, stop=after(pieces[resumed]) if resumed < len(pieces) else never, resume_from=checkpoint):
        checkpoint, resumed = load_checkpoint(run.last), resumed + 1
    return resumed


def quick_curves(path: Path, lines: Sequence[Mapping[str, object]]) -> None:
    """Write something in place of a run's curves that takes no time and depends on what curves show."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps([[line["epoch"], line.get("frechet_ratio")] for line in lines]))


def statistics(run: RunFolder) -> list[dict[str, float]]:
    """Return the lines of `stats.jsonl` without their times, and without what the run was to be when they were written."""
    lines = [json.loads(line) for line in (run.path / "stats.jsonl").read_text().splitlines()]
    assert all(line.pop("seconds") > 0 for line in lines)
    assert all(line.pop("planned_epochs") >= line["epoch"] for line in lines)
    return lines


def assert_same_state(found: Checkpoint, expected: Checkpoint) -> None:
    """Compare two checkpoints bit for bit, but for the planned epochs and the time that they took."""
    assert replace(found.config, epochs=1) == replace(expected.config, epochs=1)
    assert replace(found.progress, seconds=0) == replace(expected.progress, seconds=0)
    assert found.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        assert torch.equal(tensor, found.tensors[name]), name


def assert_same_run(found: RunFolder, expected: RunFolder) -> None:
    """Compare all files of two runs, bit for bit, but for the time that they took."""
    assert sorted(path.name for path in found.path.iterdir()) == sorted(path.name for path in expected.path.iterdir())
    assert statistics(found) == statistics(expected)
    for picture in expected.path.glob("*.png"):
        assert (found.path / picture.name).read_bytes() == picture.read_bytes(), picture.name
    last, best = load_checkpoint(found.last), load_checkpoint(found.best)
    assert last.config == load_checkpoint(expected.last).config
    assert_same_state(last, load_checkpoint(expected.last))
    assert_same_state(best, load_checkpoint(expected.best))
