"""Training runs of a few steps on real digits, with a quick watch and a report that records what it gets, for tests of runs."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketgan.files import whole_file
from pocketgan_trainer.data.published import Digits, load_mnist
from pocketgan_trainer.training import loop, schedule
from pocketgan_trainer.training import recorder as recorder_module
from pocketgan_trainer.training.checkpoint import Checkpoint, load_checkpoint
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.presets import PRESETS, train_guide
from pocketgan_trainer.training.progress import Means, Progress
from pocketgan_trainer.training.recorder import Recorder, Report, Watch
from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.watch.observation import ClassView, Observation, Pairs
from pocketgan_trainer.watch.signs import Sign
from pocketgan_trainer.watch.validation_watch import DiscriminatorLogits

NewRun = Callable[[], RunFolder]
"""The type of the fixture `new_run`, which makes an empty run folder."""

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
CANVAS = replace(NANO, canvas=True, batch_size=32)
FEW_IMAGES = 34
"""Four batches of 8 in an epoch, or one of 32: 2 images are left over."""
SHEET_IMAGES = 9


@cache
def _mnist() -> Digits:
    mnist = load_mnist()
    return Digits(mnist.images[:MLP_IMAGES].copy(), mnist.labels[:MLP_IMAGES].copy())


def digits_for(config: TrainingConfig) -> Digits:
    """Return the digits that `train` takes for a config, the first of MNIST."""
    images = MLP_IMAGES if config.preset == "mlp" else FEW_IMAGES
    return Digits(_mnist().images[:images], _mnist().labels[:images])


def rough_observation(score: float, share: float = 1.0, variety: float = 1.0, named: float = 0.75) -> Observation:
    """Return an observation with this score, and with one class whose share among real images is 1."""
    view = ClassView("all", share=share, real_share=1.0, real_images=500, coverage=0.5, variety=variety)
    return Observation(score, (view,), Pairs(named, named, lead_training=1.0, lead_held_out=1.0))


@dataclass(frozen=True, eq=False)
class MeanImageWatch:
    """Scores images by how far their mean is from that of real digits."""

    labels: NDArray[np.int64]
    mean: NDArray[np.float64]
    """Of the real digits: [28, 28], from 0 to 255."""

    def observe(self, images: NDArray[np.uint8], discriminator_logits: DiscriminatorLogits) -> Observation:
        """Return the root mean square difference of the mean images as ratio, and the share of images that D calls fakes."""
        likes = float((discriminator_logits(images, self.labels) > 0).mean())
        return rough_observation(float(np.sqrt(np.square(images.mean(axis=0) - self.mean).mean())), named=1 - likes)


def mean_image_watch(digits: Digits) -> MeanImageWatch:
    """Return the watch against these digits, for as many images of the same classes."""
    return MeanImageWatch(digits.labels.astype(np.int64), digits.images.mean(axis=0))


@cache
def quick_watch() -> MeanImageWatch:
    """Return the watch that `train` uses by default, against 20 digits."""
    return mean_image_watch(Digits(_mnist().images[-20:], _mnist().labels[-20:]))


class SilentReport:
    """A report that records what it gets."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        """Epoch and step of each call."""
        self.skipped_steps: list[int] = []
        self.troubles: list[str] = []
        self.epochs: list[tuple[Progress, Means, Observation]] = []
        self.images: list[NDArray[np.uint8]] = []
        """Those of each epoch's sheet."""
        self.warnings: list[tuple[int, str]] = []
        """Epoch and key of each."""

    def step(self, progress: Progress, sums: Tensor) -> None:
        """Record the position."""
        self.steps.append((progress.epoch, progress.step))

    def skipped(self, step: int) -> None:
        """Record its number."""
        self.skipped_steps.append(step)

    def trouble(self, message: str) -> None:
        """Record the message."""
        self.troubles.append(message)

    def epoch(
        self, progress: Progress, measured: Means, seen: Observation, warnings: list[Sign], images: NDArray[np.uint8]
    ) -> None:
        """Record everything."""
        self.epochs.append((progress, measured, seen))
        self.images.append(images)
        self.warnings += [(progress.epoch, sign.key) for sign in warnings]


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

    Sheets are small, curves are not drawn, and statistics freeze as early as the config says.
    """
    recorder = Recorder(config, watch or quick_watch(), run, *(reports or (SilentReport(),)))
    with (
        patch.object(recorder_module, "write_curves", quick_curves),
        patch.object(recorder_module, "SHEET_IMAGES", SHEET_IMAGES),
        patch.object(schedule, "LEAST_IMAGES_OF_BATCH_STATISTICS", 0),
    ):
        training = digits or digits_for(config)
        guide = train_guide(config, training, CPU, run.path / "guide.safetensors")
        return loop.train(config, training, CPU, recorder, stop, resume_from, guide=guide)


def train_in_pieces(config: TrainingConfig, run: RunFolder, pieces: Sequence[int]) -> int:
    """Train with a stop request at the given call in each piece, then to the end; return how often it was resumed."""
    checkpoint, resumed = None, 0
    while not train(config, run, stop=after(pieces[resumed]) if resumed < len(pieces) else never, resume_from=checkpoint):
        checkpoint, resumed = load_checkpoint(run.last), resumed + 1
    return resumed


def quick_curves(path: Path, lines: Sequence[Mapping[str, object]]) -> None:
    """Write a stand-in for a run's curves that takes no time and depends on what the curves show."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps([[line["epoch"], line.get("frechet_ratio")] for line in lines]))


def statistics(run: RunFolder) -> list[dict[str, float]]:
    """Return the lines of `stats.jsonl` without their times and planned epochs."""
    lines = [json.loads(line) for line in (run.path / "stats.jsonl").read_text().splitlines()]
    assert all(line.pop("seconds") > 0 for line in lines)
    assert all(line.pop("planned_epochs") >= line["epoch"] for line in lines)
    return lines


def assert_same_state(found: Checkpoint, expected: Checkpoint) -> None:
    """Compare two checkpoints bit for bit, except for their planned epochs and times."""
    assert replace(found.config, epochs=1) == replace(expected.config, epochs=1)
    assert replace(found.progress, seconds=0) == replace(expected.progress, seconds=0)
    assert found.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        assert torch.equal(tensor, found.tensors[name]), name


def assert_same_run(found: RunFolder, expected: RunFolder) -> None:
    """Compare all files of two runs bit for bit, except for their times."""
    assert sorted(path.name for path in found.path.iterdir()) == sorted(path.name for path in expected.path.iterdir())
    assert statistics(found) == statistics(expected)
    for picture in expected.path.glob("*.png"):
        assert (found.path / picture.name).read_bytes() == picture.read_bytes(), picture.name
    last, best = load_checkpoint(found.last), load_checkpoint(found.best)
    assert last.config == load_checkpoint(expected.last).config
    assert_same_state(last, load_checkpoint(expected.last))
    assert_same_state(best, load_checkpoint(expected.best))
