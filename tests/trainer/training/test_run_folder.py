"""Run folders: their numbers, the newest of them, and the statistics in them."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from strange_files import LINKS, put

from pocketgan.errors import OutputError
from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.training.config import TrainingConfig
from pocketgan_trainer.training.presets import PRESETS
from pocketgan_trainer.training.run_folder import BEST, LAST, RunFolder, create_run_folder, find_run_folder, newer_runs


def make_runs(parent: Path, *names: str) -> None:
    """Make folders that look like runs."""
    for name in names:
        (parent / name).mkdir(parents=True)
        (parent / name / "config.json").write_text("{}")
        (parent / name / BEST).write_text("")


def next_name(parent: Path) -> str:
    """Return the name of the next run's folder."""
    return create_run_folder(parent, "mlp", "mnist").path.name


def test_runs_are_numbered_from_one_and_named_after_preset_and_data(tmp_path: Path) -> None:
    parent = tmp_path / "all" / "runs"
    assert [next_name(parent) for _ in range(2)] == ["0001-mlp-mnist", "0002-mlp-mnist"]
    assert create_run_folder(parent, "dcgan", "fashion").path == parent / "0003-dcgan-fashion"
    assert (parent / "0003-dcgan-fashion").is_dir()


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (["0002-mlp-mnist", "0007-dcgan-mnist"], "0008-mlp-mnist"),  # gaps are left: a lower number would look older
        (["9999-mlp-mnist"], "10000-mlp-mnist"),
        (["0009-mlp-mnist", "10000-mlp-mnist", "2000-x"], "10001-mlp-mnist"),
        (["notes", "12-mlp-mnist", "v0042-mlp", "0042", "0042_mlp", ".0042-mlp", "-0042-mlp"], "0001-mlp-mnist"),
    ],
)
def test_the_next_number_is_above_all_runs_and_ignores_other_folders(tmp_path: Path, there: list[str], expected: str) -> None:
    make_runs(tmp_path, *there)
    assert next_name(tmp_path) == expected


@pytest.mark.parametrize("is_link", [False, True], ids=["file", "dangling link"])
def test_a_number_whose_name_a_file_has_is_skipped(tmp_path: Path, is_link: bool) -> None:
    taken = tmp_path / "0001-mlp-mnist"
    if is_link:
        taken.symlink_to(tmp_path / "nowhere")
    else:
        taken.write_text("a file, not a run")
    assert next_name(tmp_path) == "0002-mlp-mnist"


def test_a_number_taken_a_moment_ago_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folder = Path.mkdir
    made: list[Path] = []

    def make_folder_a_moment_too_late(path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        if path.parent == tmp_path and not made:
            made.append(path)
            make_folder(path)
        make_folder(path, mode, parents, exist_ok)

    monkeypatch.setattr(Path, "mkdir", make_folder_a_moment_too_late)
    assert next_name(tmp_path) == "0002-mlp-mnist"


def test_a_parent_that_is_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(OutputError, match=r"cannot make a run folder in .*runs: it is not a folder; choose another --out"):
        create_run_folder(tmp_path / "runs", "mlp", "mnist")


def test_the_newest_run_with_the_wanted_checkpoint_is_found(tmp_path: Path) -> None:
    make_runs(tmp_path, "0003-mlp-mnist", "10000-dcgan-mnist", "9999-mlp-mnist", "other")
    (tmp_path / "10001-mlp-mnist").mkdir()
    (tmp_path / "10002-mlp-mnist").write_text("a file, not a run")
    assert find_run_folder(tmp_path, BEST).path == tmp_path / "10000-dcgan-mnist"
    (tmp_path / "10000-dcgan-mnist" / BEST).rename(tmp_path / "10000-dcgan-mnist" / LAST)
    assert find_run_folder(tmp_path, BEST).path == tmp_path / "9999-mlp-mnist"
    assert find_run_folder(tmp_path, LAST, BEST).path == tmp_path / "10000-dcgan-mnist"


def test_a_run_folder_is_found_as_itself_whatever_its_name(tmp_path: Path) -> None:
    make_runs(tmp_path, "my-favourite")
    assert find_run_folder(tmp_path / "my-favourite", BEST).path == tmp_path / "my-favourite"


@pytest.mark.parametrize("name", ["absent", "empty", "file", "a" * 300])
def test_without_a_run_the_error_says_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=f"no training run in .*{name} with a best.safetensors: .*run gan-train first"):
        find_run_folder(tmp_path / name, BEST)


def test_a_config_is_written_as_it_is_read(tmp_path: Path) -> None:
    RunFolder(tmp_path).write_config(PRESETS["mlp"].config)
    assert TrainingConfig.from_json((tmp_path / "config.json").read_text()) == PRESETS["mlp"].config


def test_a_sheet_is_a_picture_of_all_images(tmp_path: Path) -> None:
    images = np.zeros((100, 28, 28), dtype=np.uint8)
    images[0] = 255
    RunFolder(tmp_path).write_sheet(tmp_path / "fakes.png", images)
    with Image.open(tmp_path / "fakes.png") as sheet:
        assert sheet.size == (10 * 58 + 2, 10 * 58 + 2)
        assert sheet.getpixel((2, 2)) == 255
        assert sheet.getpixel((60, 2)) == 0


def test_statistics_that_cannot_be_written_are_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*gone/stats.jsonl: No such file"):
        RunFolder(tmp_path / "gone").append_statistics({"epoch": 1})


@pytest.mark.parametrize(("after", "kept"), [(0, []), (1, [1]), (2, [1, 2]), (9, [1, 2, 3])])
def test_statistics_are_one_line_an_epoch_and_those_after_an_epoch_can_be_dropped(
    tmp_path: Path, after: int, kept: list[int]
) -> None:
    run = RunFolder(tmp_path)
    assert run.drop_statistics_after(3) == []
    assert list(tmp_path.iterdir()) == []
    for epoch in (1, 2, 3):
        run.append_statistics({"epoch": epoch, "loss": 0.5})
    assert run.drop_statistics_after(after) == [{"epoch": epoch, "loss": 0.5} for epoch in kept]
    run.append_statistics({"epoch": after + 1})
    lines = (tmp_path / "stats.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [*({"epoch": epoch, "loss": 0.5} for epoch in kept), {"epoch": after + 1}]


def test_half_lines_and_other_lines_without_an_epoch_are_dropped(tmp_path: Path) -> None:
    statistics = tmp_path / "stats.jsonl"
    whole = json.dumps({"epoch": 1, "x": 2})
    statistics.write_bytes(f'{whole}\n{whole}{{"epoch": 2}}\n{{}}\n[]\n"a"\n'.encode() + b'\xff\xfe}\n{"epoch": 2, "los')
    RunFolder(tmp_path).drop_statistics_after(5)
    assert statistics.read_text() == f"{whole}\n"


@pytest.mark.parametrize("kind", LINKS)
def test_statistics_are_not_written_where_a_link_leads(tmp_path: Path, kind: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "letter").write_text("dear")
    put(kind, tmp_path / "stats.jsonl", tmp_path / "outside" / "letter")
    RunFolder(tmp_path).append_statistics({"epoch": 1})
    assert not (tmp_path / "stats.jsonl").is_symlink()
    assert RunFolder(tmp_path).read_statistics() == [{"epoch": 1}]
    assert [file.read_text() for file in (tmp_path / "outside").iterdir()] == ["dear"]


def test_a_lock_that_is_a_link_makes_no_file_elsewhere(tmp_path: Path) -> None:
    (tmp_path / ".lock").symlink_to(tmp_path / "made")
    message = r"cannot write into .*: the lock \.lock is in the way: it is a symbolic link"
    with pytest.raises(OutputError, match=message), RunFolder(tmp_path).locked():
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_newer_runs_are_listed_without_folders_that_only_look_similar(tmp_path: Path) -> None:
    make_runs(tmp_path, "0001-mlp-mnist", "0002-mlp-mnist", "0004-odd-name")
    for name in ("0003-nano-mnist", "0005-notes"):
        (tmp_path / name).mkdir()  # as a run that was killed at once leaves it, and a folder of notes
    newer = newer_runs(tmp_path, RunFolder(tmp_path / "0001-mlp-mnist"))
    assert [run.path.name for run in newer] == ["0004-odd-name", "0003-nano-mnist", "0002-mlp-mnist"]
    assert newer_runs(tmp_path / "0001-mlp-mnist", RunFolder(tmp_path / "0001-mlp-mnist")) == []


@pytest.mark.parametrize(
    "line",
    [
        '{"epoch": "1"}',
        '{"epoch": true}',
        '{"epoch": 1, "class_shares": {"7": null}}',
        '{"epoch": 1, "coverage": {"7": "x"}}',
        '{"epoch": 1, "variety": {"7": [1]}}',
        '{"epoch": 1, "signs": {"won": 1}}',
        '{"epoch": 1, "x": [1]}',
        '{"epoch": 1, "epoch": 2}',
        f'{{"epoch": 1, "frechet_ratio": {10**400}}}',
        f'{{"epoch": 1, "frechet_ratio": {"9" * 5000}}}',
        '{"epoch": 1, "x": ' + "[" * 100_000 + "}",
    ],
)
def test_a_line_that_no_run_writes_is_left_out(tmp_path: Path, line: str) -> None:
    (tmp_path / "stats.jsonl").write_text(f'{line}\n{{"epoch": 2, "coverage": {{"7": null}}}}\n')
    assert RunFolder(tmp_path).read_statistics() == [{"epoch": 2, "coverage": {"7": None}}]


def make_huge(path: Path) -> None:
    """Make a file of a gibibyte, most of which the disk does not have."""
    with path.open("wb") as file:
        file.truncate(2**30)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Path.mkdir, r"cannot read .*stats\.jsonl: it is a folder"),
        (os.mkfifo, r"cannot read .*stats\.jsonl: it is a named pipe"),
        (make_huge, r"stats\.jsonl is too large: expected at most 67,108,864 bytes"),
    ],
)
def test_statistics_that_cannot_be_read_are_refused(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    make(tmp_path / "stats.jsonl")
    with pytest.raises(TrainingError, match=message):
        RunFolder(tmp_path).read_statistics()
