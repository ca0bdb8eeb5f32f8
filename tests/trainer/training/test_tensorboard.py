"""Event files, read back as TensorBoard reads them."""

import errno
import os
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from observations import class_view, observation
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard.writer import SummaryWriter

from pocketgan.errors import OutputError
from pocketgan_trainer.errors import TrainExtraMissingError, TrainingError
from pocketgan_trainer.training.progress import Means, Progress
from pocketgan_trainer.training.reports import TensorBoardReport, require_tensorboard
from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.watch.signs import Observation, Sign

MEANS = Means(generator_loss=0.75, discriminator_loss=0.5, real_score=0.625, fake_score=0.25)


@pytest.fixture
def run(tmp_path: Path, images: NDArray[np.uint8]) -> RunFolder:
    """A run folder with the sheets of five epochs, each of other images."""
    run = RunFolder(tmp_path)
    for epoch in range(1, 6):
        run.write_sheet(run.sheet_of_epoch(epoch), images[4 * epoch :][:4])
    return run


def test_a_folder_of_events_that_is_a_link_is_refused(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    run.events.symlink_to("elsewhere")
    with pytest.raises(OutputError, match="it is a symbolic link, expected a folder"):
        TensorBoardReport(run, 0)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def tell(report: TensorBoardReport, epoch: int, seen: Observation, warnings: list[Sign] | None = None) -> None:
    """Tell of an epoch."""
    report.epoch(Progress(epoch=epoch), MEANS, seen, warnings or [])


def events(run: RunFolder) -> EventAccumulator:
    """Return all that the run's event files say."""
    accumulator = EventAccumulator(str(run.path / "tensorboard"))
    accumulator.Reload()
    return accumulator


def scalars(run: RunFolder, tag: str) -> list[tuple[int, float]]:
    """Return the steps and values of a scalar, rounded to what float32 holds."""
    return [(event.step, round(event.value, 6)) for event in events(run).Scalars(tag)]


def pixels(path: Path) -> NDArray[np.uint8]:
    """Return the grey levels of a picture, [H, W]; TensorBoard's are saved in colour."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"))


def forget_when(run: RunFolder, number: int) -> None:
    """Name the one new event file so that it is the older, the lower its number, whatever the clock said.

    TensorBoard reads files in the order of their names. Those of one second, which no two runs share, have none that is sure.
    """
    (new,) = (file for file in (run.path / "tensorboard").iterdir() if "tfevents.00" not in file.name)
    new.rename(new.with_name(f"events.out.tfevents.{number:010d}.test"))


def test_figures_stand_at_their_epochs(run: RunFolder) -> None:
    with TensorBoardReport(run, 0) as report:
        for epoch, ratio in ((1, 4.0), (2, 2.5)):
            tell(report, epoch, observation(ratio, named_training=0.75, named_held_out=0.5))
    assert scalars(run, "frechet_ratio") == [(1, 4.0), (2, 2.5)]
    assert scalars(run, "generator_loss") == [(1, 0.75), (2, 0.75)]
    assert scalars(run, "discriminator_loss") == [(1, 0.5), (2, 0.5)]
    assert scalars(run, "real_score") == [(1, 0.625), (2, 0.625)]
    assert scalars(run, "fake_score") == [(1, 0.25), (2, 0.25)]
    assert scalars(run, "pairs_named_training") == [(1, 0.75), (2, 0.75)]
    assert scalars(run, "pairs_named_held_out") == [(1, 0.5), (2, 0.5)]


def test_each_class_has_figures_of_its_own_but_for_those_that_are_unknown(run: RunFolder) -> None:
    cat, dog = class_view("cat", share=0.25, coverage=None, variety=0.5), class_view("dog", share=0.75, coverage=0.875)
    with TensorBoardReport(run, 0) as report:
        tell(report, 1, observation(2.0, (cat, dog), names=("cat", "dog")))
        tell(report, 2, observation(2.0, (replace(cat, coverage=0.125), dog), names=("cat", "dog")))
    assert scalars(run, "class_shares/cat") == [(1, 0.25), (2, 0.25)]
    assert scalars(run, "class_shares/dog") == [(1, 0.75), (2, 0.75)]
    assert scalars(run, "variety/cat") == [(1, 0.5), (2, 0.5)]
    assert scalars(run, "coverage/dog") == [(1, 0.875), (2, 0.875)]
    assert scalars(run, "coverage/cat") == [(2, 0.125)]


def test_warnings_are_told_with_what_to_try(run: RunFolder) -> None:
    signs = [
        Sign("won", None, "the discriminator has won", "a lower --lr"),
        Sign("missing", "3", "digit 3 is missing", "patience"),
    ]
    with TensorBoardReport(run, 0) as report:
        tell(report, 1, observation())
        tell(report, 2, observation(), signs)
    told = [
        (event.step, text.decode())
        for event in events(run).Tensors("warnings/text_summary")
        for text in event.tensor_proto.string_val
    ]
    assert told == [(2, "the discriminator has won. Try a lower --lr."), (2, "digit 3 is missing. Try patience.")]


def test_the_sheet_of_each_epoch_is_to_be_seen(run: RunFolder) -> None:
    with TensorBoardReport(run, 0) as report:
        for epoch in (1, 2):
            tell(report, epoch, observation())
    shown = events(run).Images("fakes")
    assert [event.step for event in shown] == [1, 2]
    for event in shown:
        copy = run.path / "copy.png"
        copy.write_bytes(event.encoded_image_string)
        assert np.array_equal(pixels(copy), pixels(run.sheet_of_epoch(event.step)))


def test_an_epoch_is_to_be_seen_while_the_run_goes_on(run: RunFolder) -> None:
    with TensorBoardReport(run, 0) as report:
        tell(report, 1, observation(3.0))
        assert scalars(run, "frechet_ratio") == [(1, 3.0)]


def test_skipped_steps_are_counted_by_epoch(run: RunFolder) -> None:
    with TensorBoardReport(run, 0) as report:
        report.skipped(17)
        report.skipped(18)
        tell(report, 1, observation())
        tell(report, 2, observation())
        report.skipped(230)
        tell(report, 3, observation())
    assert scalars(run, "skipped_steps") == [(1, 2), (2, 0), (3, 1)]


def test_what_a_killed_run_told_after_its_checkpoint_is_forgotten(run: RunFolder) -> None:
    with TensorBoardReport(run, 0) as report:
        for epoch in (1, 2, 3):
            tell(report, epoch, observation(10.0 * epoch))
    forget_when(run, 1)
    with TensorBoardReport(run, 1) as report:
        tell(report, 2, observation(2.0))
    forget_when(run, 2)
    assert scalars(run, "frechet_ratio") == [(1, 10.0), (2, 2.0)]
    assert [event.step for event in events(run).Images("fakes")] == [1, 2]


def test_a_run_that_was_stopped_after_an_epoch_goes_on_where_it_was(run: RunFolder) -> None:
    for number in (1, 2, 3):
        with TensorBoardReport(run, number - 1) as report:
            tell(report, number, observation(1.0 * number))
        forget_when(run, number)
    assert scalars(run, "frechet_ratio") == [(1, 1.0), (2, 2.0), (3, 3.0)]


def test_a_folder_that_cannot_be_made_is_an_output_error(run: RunFolder) -> None:
    (run.path / "tensorboard").write_text("a file")
    with pytest.raises(OutputError, match=r"cannot write .*tensorboard: File exists"):
        TensorBoardReport(run, 0)


def test_an_epoch_that_cannot_be_written_is_an_output_error(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # A disk that is really full would be met by the writer's own thread, at a moment of its choice.
    monkeypatch.setattr(SummaryWriter, "add_scalar", refuse)
    with (
        pytest.raises(OutputError, match=r"cannot write .*tensorboard: No space left on device"),
        TensorBoardReport(run, 0) as report,
    ):
        tell(report, 1, observation())


def test_the_package_is_asked_for_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(name: str, package: str | None = None) -> ModuleSpec | None:
        return None

    require_tensorboard(Path("runs"))
    monkeypatch.setattr("pocketgan_trainer.training.reports.find_spec", find_nothing)
    with pytest.raises(
        TrainExtraMissingError, match=r"--tensorboard needs the extra 'tensorboard'; .*pip install '\.\[.*tensorboard\]'"
    ):
        require_tensorboard(Path("runs"))


def test_a_folder_that_it_cannot_write_to_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(TrainingError, match="has a name that is not UTF-8, where --tensorboard cannot write"):
        require_tensorboard(Path(os.fsdecode(b"runs\xff")))
