"""Event files, read back as TensorBoard reads them."""

import errno
import os
from dataclasses import asdict, replace
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from observations import class_view, observation
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard.writer import SummaryWriter

from pocketgan.contact_sheet import contact_sheet
from pocketgan.errors import OutputError
from pocketgan_trainer.errors import TrainExtraMissingError, TrainingError
from pocketgan_trainer.training.progress import Means, Progress
from pocketgan_trainer.training.reports import TensorBoardReport, require_tensorboard
from pocketgan_trainer.training.run_folder import RunFolder
from pocketgan_trainer.watch.observation import Observation
from pocketgan_trainer.watch.signs import Sign

MEANS = Means(generator_loss=0.75, discriminator_loss=0.5, real_score=0.625, fake_score=0.25)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run folder."""
    return RunFolder(tmp_path)


def sheet_images(epoch: int) -> NDArray[np.uint8]:
    """Return four images, others for each epoch."""
    return np.arange(4 * 28 * 28, dtype=np.uint16).reshape(4, 28, 28).astype(np.uint8) // (epoch + 1)


def report_epoch(report: TensorBoardReport, epoch: int, seen: Observation, warnings: list[Sign] | None = None) -> None:
    """Report an epoch that has ended."""
    report.epoch(Progress(epoch=epoch), MEANS, seen, warnings or [], sheet_images(epoch))


def events(run: RunFolder) -> EventAccumulator:
    """Return the contents of the run's event files."""
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


def rename_event_file(run: RunFolder, number: int) -> None:
    """Give the new event file a name that orders it by this number instead of the clock.

    TensorBoard reads files in the order of their names, which hold seconds: two files of one second have no certain order.
    """
    (new,) = (file for file in (run.path / "tensorboard").iterdir() if "tfevents.00" not in file.name)
    new.rename(new.with_name(f"events.out.tfevents.{number:010d}.test"))


def test_figures_have_their_epochs(run: RunFolder) -> None:
    with TensorBoardReport(run, 0) as report:
        for epoch, ratio in ((1, 4.0), (2, 2.5)):
            report_epoch(report, epoch, observation(ratio, named_training=0.75, named_held_out=0.5))
            assert scalars(run, "frechet_ratio")[-1] == (epoch, ratio)  # at once, while the run trains on
    figures = {**asdict(MEANS), "pairs_named_training": 0.75, "pairs_named_held_out": 0.5}
    for name, value in figures.items():
        assert scalars(run, name) == [(1, value), (2, value)], name


def test_each_class_has_its_own_figures_except_unknown_ones(run: RunFolder) -> None:
    cat, dog = class_view("cat", share=0.25, coverage=None, variety=0.5), class_view("dog", share=0.75, coverage=0.875)
    with TensorBoardReport(run, 0) as report:
        report_epoch(report, 1, observation(2.0, (cat, dog), names=("cat", "dog")))
        report_epoch(report, 2, observation(2.0, (replace(cat, coverage=0.125), dog), names=("cat", "dog")))
    assert scalars(run, "class_shares/cat") == [(1, 0.25), (2, 0.25)]
    assert scalars(run, "class_shares/dog") == [(1, 0.75), (2, 0.75)]
    assert scalars(run, "variety/cat") == [(1, 0.5), (2, 0.5)]
    assert scalars(run, "coverage/dog") == [(1, 0.875), (2, 0.875)]
    assert scalars(run, "coverage/cat") == [(2, 0.125)]


def test_warnings_are_written_with_what_to_try(run: RunFolder) -> None:
    signs = [
        Sign("won", None, "the discriminator has won", "a lower --lr"),
        Sign("missing", "3", "digit 3 is missing", "patience"),
    ]
    with TensorBoardReport(run, 0) as report:
        report_epoch(report, 1, observation())
        report_epoch(report, 2, observation(), signs)
    written = [
        (event.step, text.decode())
        for event in events(run).Tensors("warnings/text_summary")
        for text in event.tensor_proto.string_val
    ]
    assert written == [(2, "the discriminator has won. Try a lower --lr."), (2, "digit 3 is missing. Try patience.")]


def test_the_sheet_of_each_epoch_is_shown(run: RunFolder) -> None:
    with TensorBoardReport(run, 0) as report:
        for epoch in (1, 2):
            report_epoch(report, epoch, observation())
    shown = events(run).Images("fakes")
    assert [event.step for event in shown] == [1, 2]
    for event in shown:
        copy = run.path / "copy.png"
        copy.write_bytes(event.encoded_image_string)
        assert np.array_equal(pixels(copy), np.asarray(contact_sheet(sheet_images(event.step))))


def test_skipped_steps_are_counted_by_epoch(run: RunFolder) -> None:
    with TensorBoardReport(run, 0) as report:
        report.skipped(17)
        report.skipped(18)
        report_epoch(report, 1, observation())
        report_epoch(report, 2, observation())
        report.skipped(230)
        report_epoch(report, 3, observation())
    assert scalars(run, "skipped_steps") == [(1, 2), (2, 0), (3, 1)]


def test_a_resumed_run_goes_on_after_its_checkpoint_and_drops_later_events(run: RunFolder) -> None:
    with TensorBoardReport(run, 0) as report:
        for epoch in (1, 2, 3):
            report_epoch(report, epoch, observation(10.0 * epoch))
    rename_event_file(run, 1)
    for number in (2, 3):
        with TensorBoardReport(run, number - 1) as report:
            report_epoch(report, number, observation(1.0 * number))
        rename_event_file(run, number)
    assert scalars(run, "frechet_ratio") == [(1, 10.0), (2, 2.0), (3, 3.0)]
    assert [event.step for event in events(run).Images("fakes")] == [1, 2, 3]


def test_a_folder_that_cannot_be_made_or_is_a_link_is_refused(run: RunFolder, tmp_path: Path) -> None:
    run.events.write_text("a file")
    with pytest.raises(OutputError, match=r"cannot write .*tensorboard: File exists"):
        TensorBoardReport(run, 0)
    run.events.unlink()
    (tmp_path / "elsewhere").mkdir()
    run.events.symlink_to("elsewhere")
    with pytest.raises(OutputError, match="it is a symbolic link, expected a folder"):
        TensorBoardReport(run, 0)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_an_epoch_that_cannot_be_written_is_an_output_error(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # On a disk that is really full, the writer's own thread would fail, at no fixed moment.
    monkeypatch.setattr(SummaryWriter, "add_scalar", refuse)
    with (
        pytest.raises(OutputError, match=r"cannot write .*tensorboard: No space left on device"),
        TensorBoardReport(run, 0) as report,
    ):
        report_epoch(report, 1, observation())


def test_without_the_package_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(name: str, package: str | None = None) -> ModuleSpec | None:
        return None

    require_tensorboard(Path("runs"))
    monkeypatch.setattr("pocketgan_trainer.training.reports.find_spec", find_nothing)
    with pytest.raises(TrainExtraMissingError, match=r"--tensorboard needs tensorboard, .*: pip install tensorboard$"):
        require_tensorboard(Path("runs"))


def test_a_folder_that_it_cannot_write_to_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(TrainingError, match="has a name that is not UTF-8, where --tensorboard cannot write"):
        require_tensorboard(Path(os.fsdecode(b"runs\xff")))
