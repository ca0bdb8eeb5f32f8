"""`gan-export` as users see it: the table, the file, and one line for each error."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from remembered_graphs import remember_graphs
from typer.testing import CliRunner, Result

from pocketgan import Generator
from pocketgan_trainer.export_cli import app
from pocketgan_trainer.training.run_folder import RunFolder

Command = Callable[..., Result]


@pytest.fixture
def gan_export(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command in this process, in an empty folder; the graph of the same checkpoint is built only once."""
    remember_graphs(monkeypatch.setattr)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def runs(folder: Path, trained_run: RunFolder) -> Path:
    """Two runs in ./runs, of which only the second has a readable checkpoint, and a folder that is not a run."""
    for name in ("0001-mlp-mnist", "0002-mlp-mnist"):
        shutil.copytree(trained_run.path, folder / "runs" / name)
    (folder / "runs" / "0001-mlp-mnist" / "best.safetensors").write_bytes(b"")
    (folder / "runs" / "0003-notes").mkdir()
    return Path("runs")


@pytest.mark.usefixtures("runs")
def test_the_newest_run_is_exported_and_a_table_on_stderr_describes_it(gan_export: Command) -> None:
    result = gan_export("my [bold] model.onnx")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    output = " ".join(result.stderr.split())
    assert output.startswith("rounding weights, comparing images and timing")
    model = Generator.load("my [bold] model.onnx", "cpu")
    for expected in (
        "my [bold] model.onnx: mlp-mnist, int8",
        "runs/0002-mlp-mnist/best.safetensors, epoch 1",
        "(real images: 1), before the export; gan-eval measures more",
        f"PSNR {model.card.parity.psnr_db:.2f} dB (limit 36) over 1,000 images",
        "none: neighbouring weights add up to",
        "in batches of 1, 16, 64; number of threads: 1, 2",
        f"sha256 {model.sha256}",
        "next: gan-gen --model 'my [bold] model.onnx' --count 10 --out drawn/",
    ):
        assert expected in output, output


@pytest.mark.parametrize("source", ["runs/0002-mlp-mnist", "runs/0002-mlp-mnist/last.safetensors"])
def test_the_checkpoint_may_be_a_run_or_a_file_and_the_precision_a_float(gan_export: Command, runs: Path, source: str) -> None:
    result = gan_export("model.onnx", "--checkpoint", source, "--precision", "fp16", "--licence", "CC-BY-4.0")
    assert result.exit_code == 0, result.output
    card = Generator.load("model.onnx", "cpu").card
    assert (card.precision, card.licence) == ("fp16", "CC-BY-4.0")


@pytest.mark.usefixtures("runs")
def test_a_refused_file_is_described_as_json_and_force_writes_it_with_warnings(gan_export: Command) -> None:
    arguments = ("model.onnx", "--min-psnr", "99", "--json")
    refused = gan_export(*arguments)
    assert refused.exit_code == 1
    assert len(refused.stderr.splitlines()) == 1
    written = json.loads(refused.stdout)
    assert (written["written"], written["error"] in refused.stderr) == (False, True)
    assert not Path("model.onnx").exists()
    forced = gan_export(*arguments, "--force")
    assert forced.exit_code == 0, forced.output
    assert forced.stderr == ""
    written = json.loads(forced.stdout)
    assert (written["written"], written["sha256"]) == (True, Generator.load("model.onnx", "cpu").sha256)
    assert "warning: pixels differ from torch's" in gan_export("model.onnx", "--min-psnr", "99", "--force").stderr


@pytest.mark.usefixtures("runs")
def test_a_c_file_is_replaced_like_a_model_only_if_it_is_of_the_same_checkpoint_or_that_is_asked_for(gan_export: Command) -> None:
    target = Path("model.c")
    assert gan_export(target).exit_code == 0
    written = target.read_text()
    assert gan_export(target).exit_code == 0
    target.write_text("int main(void) { return 0; }")
    refused = gan_export(target)
    assert refused.exit_code == 1
    assert refused.stderr.endswith(
        "\nerror: model.c exists and was not made from runs/0002-mlp-mnist/best.safetensors: choose another PATH, or --overwrite "
        "replaces it\n"
    )
    assert gan_export(target, "--overwrite").exit_code == 0
    assert target.read_text() == written


@pytest.mark.parametrize(
    ("left", "remedy"),
    [
        (["last"], "to continue the newer run: gan-train --resume --out runs/0003-mlp-mnist"),
        ([], "to train the newer run, start it again with gan-train"),
    ],
)
def test_a_newer_run_without_a_best_checkpoint_is_skipped_with_a_note(
    gan_export: Command, runs: Path, left: list[str], remedy: str
) -> None:
    newer = runs / "0003-mlp-mnist"
    newer.mkdir()
    for name in left:
        shutil.copy(runs / "0002-mlp-mnist" / f"{name}.safetensors", newer)
    result = gan_export("model.onnx")
    assert result.exit_code == 0, result.output
    assert "runs/0002-mlp-mnist/best.safetensors" in result.stderr
    assert result.stderr.splitlines()[0] == (
        f"note: runs/0003-mlp-mnist is newer but has not finished an epoch, so runs/0002-mlp-mnist is exported; {remedy}"
    )


@pytest.mark.usefixtures("runs")
def test_a_target_that_is_not_utf8_is_written_and_leftovers_of_a_killed_export_are_removed(
    gan_export: Command, folder: Path
) -> None:
    target, gone = os.fsdecode(b"m\xff.onnx"), "99999999999999999999"
    leftovers = [f".{target}.{gone}.tmp", f".other.onnx.{gone}.tmp"]
    for name in leftovers:
        Path(name).write_text("")
    result = gan_export(target, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["path"] == str(folder / target)
    assert Generator.load(target, "cpu").card.name == "mlp-mnist"
    assert not Path(leftovers[0]).exists()
    assert Path(leftovers[1]).exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.onnx"], "no training run .*runs.*train first"),
        (
            ["model.onnx", "--checkpoint", "none.safetensors"],
            r"cannot read checkpoint none\.safetensors: No such file or directory",
        ),
    ],
    ids=["no run", "no checkpoint"],
)
def test_a_failed_export_ends_with_1_and_one_line(gan_export: Command, folder: Path, arguments: list[str], message: str) -> None:
    result = gan_export(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert re.fullmatch(f"error: {message}.*\n", result.stderr), result.stderr
    assert result.stdout == ""
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.onnx", "--precision", "bogus"], "bogus"),
        (["model.onnx", "--min-psnr", "101"], "101"),
        (["model.onnx", "--min-psnr", "nan"], "nan is not in the range"),
        (["model.c", "--licence", "free */"], "free */ is not an SPDX identifier"),
        (["."], ". does not end in .onnx"),
        (["best.safetensors"], "best.safetensors does not end in .onnx"),
    ],
)
def test_wrong_usage_ends_with_2(gan_export: Command, folder: Path, arguments: list[str], message: str) -> None:
    result = gan_export(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in result.stderr
    assert list(folder.iterdir()) == []
