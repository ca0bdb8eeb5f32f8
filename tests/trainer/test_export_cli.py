"""`gan-export` as users see it: the table, the file, and one line for each error."""

import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from remembered_graphs import remember_graphs
from typer.testing import CliRunner, Result

from pocketgan import Generator
from pocketgan_trainer.export import comparison
from pocketgan_trainer.export.comparison import SpeedRatio
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
    """Two runs in ./runs, the second of them a copy of one that is finished, and a folder that is none."""
    for name in ("0001-mlp-mnist", "0002-mlp-mnist"):
        shutil.copytree(trained_run.path, folder / "runs" / name)
    (folder / "runs" / "0001-mlp-mnist" / "best.safetensors").write_bytes(b"")
    (folder / "runs" / "0003-notes").mkdir()
    return Path("runs")


def assert_fails(result: Result, message: str) -> None:
    """Check that the command ended with 1, one line on stderr and no traceback."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert re.match(f"error: {message}", result.stderr), result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stdout == ""


@pytest.mark.usefixtures("runs")
def test_the_newest_run_is_exported_and_a_table_on_stderr_describes_it(gan_export: Command) -> None:
    result = gan_export("model.onnx")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    output = " ".join(result.stderr.split())
    model = Generator.load("model.onnx", "cpu")
    for expected in (
        "model.onnx: mlp-mnist, int8",
        "runs/0002-mlp-mnist/best.safetensors, epoch 1",
        f"{Path('model.onnx').stat().st_size:,} bytes, 27% of float32",
        "6 integer; in floating point: none",
        f"PSNR {model.card.parity.psnr_db:.2f} dB (limit 36) over 1,000 images",
        "beside float32",
        "beside quantize_static",
        "none: neighbouring weights add up to",
        "in batches of 1, 16, 64; number of threads: 1, 2",
        f"sha256 {model.sha256}",
        "next: gan-gen --model model.onnx --count 10 --out drawn/",
    ):
        assert expected in output, output


@pytest.mark.parametrize("source", ["runs", "runs/0002-mlp-mnist", "runs/0002-mlp-mnist/last.safetensors"])
def test_the_checkpoint_may_be_a_file_a_run_or_a_folder_of_runs(gan_export: Command, runs: Path, source: str) -> None:
    result = gan_export("model.onnx", "--checkpoint", source)
    assert result.exit_code == 0, result.output
    assert Path("model.onnx").is_file()


@pytest.mark.usefixtures("runs")
def test_json_goes_to_stdout_and_holds_everything_that_was_measured(gan_export: Command) -> None:
    result = gan_export("model.onnx", "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    written = json.loads(result.stdout)
    model = Generator.load("model.onnx", "cpu")
    assert (written["path"], written["sha256"]) == (str(Path("model.onnx").absolute()), model.sha256)
    assert written["size_bytes"] == Path("model.onnx").stat().st_size
    assert written["card"] == json.loads(model.card.to_json())
    assert [check["name"] for check in written["checks"]] == ["kernels", "against torch", "overflow", "same pixels"]
    assert [check["problem"] for check in written["checks"]] == [None] * 4
    assert set(written["comparisons"]) == {"float32", "quantize_static"}
    assert set(written["comparisons"]["float32"]) == {"size_bytes", "psnr_db", "speed"}
    assert set(written["comparisons"]["float32"]["speed"]) == {"median", "lowest", "highest"}
    assert written["float_size_bytes"] == written["comparisons"]["float32"]["size_bytes"] > written["size_bytes"]
    assert written["card"]["parity"]["psnr_db"] < written["comparisons"]["float32"]["psnr_db"]
    assert written["written"] is True


@pytest.mark.usefixtures("runs")
def test_json_holds_the_checks_of_a_refused_file(gan_export: Command) -> None:
    result = gan_export("model.onnx", "--json", "--min-psnr", "99")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    written = json.loads(result.stdout)
    assert written["written"] is False
    assert written["error"] in result.stderr
    assert {check["name"]: check["problem"] is not None for check in written["checks"]} == {
        "kernels": False,
        "against torch": True,
        "overflow": False,
        "same pixels": False,
    }
    assert not Path("model.onnx").exists()


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_a_float_file_has_the_requested_precision_and_is_compared_with_larger_ones(gan_export: Command, precision: str) -> None:
    output = gan_export("model.onnx", "--precision", precision).stderr
    assert Generator.load("model.onnx", "cpu").card.precision == precision
    assert "PSNR" in output
    assert ("beside float32" in output) == (precision == "fp16")
    assert "warning" not in output


@pytest.mark.usefixtures("runs")
def test_a_file_below_the_limit_is_not_written_unless_it_is_forced(gan_export: Command) -> None:
    message = r"pixels differ from torch's: .* dB, expected at least 99\. Nothing was written; .*gan-export --force"
    assert_fails(gan_export("model.onnx", "--min-psnr", "99"), message)
    assert not Path("model.onnx").exists()
    forced = gan_export("model.onnx", "--min-psnr", "99", "--force", "--json")
    assert forced.exit_code == 0, forced.output
    assert any(warning.startswith("pixels differ from torch's") for warning in json.loads(forced.stdout)["warnings"])
    forced = gan_export("model.onnx", "--min-psnr", "99", "--force")
    assert forced.exit_code == 0, forced.output
    assert "warning: pixels differ from torch's" in forced.stderr
    assert "in batches of 1, 16, 64" in forced.stderr
    assert Path("model.onnx").is_file()


@pytest.mark.usefixtures("runs")
def test_a_slower_int8_file_gets_a_warning(gan_export: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    ratios = [SpeedRatio(0.83, 0.8, 0.9), SpeedRatio(1.5, 1.4, 1.6)]
    monkeypatch.setattr(comparison, "speed_ratios", lambda *_: ratios)
    result = gan_export("model.onnx")
    assert "warning: this int8 file is slower than float32 here: 0.830 times as fast (0.80 to 0.90)" in result.stderr
    assert "slower than quantize_static" not in result.stderr


def test_without_a_run_the_message_says_to_train_first(gan_export: Command, folder: Path) -> None:
    assert_fails(gan_export("model.onnx"), "no training run .*runs.*train first")
    assert list(folder.iterdir()) == []


def test_an_absent_checkpoint_is_named(gan_export: Command, folder: Path) -> None:
    result = gan_export("model.onnx", "--checkpoint", "none.safetensors")
    assert_fails(result, r"cannot read checkpoint none\.safetensors: No such file or directory")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("left", "remedy"),
    [(["last"], "gan-train --resume --out runs/0003-mlp-mnist goes on with it"), ([], "start it again with gan-train")],
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
        "note: runs/0003-mlp-mnist is newer, but no epoch of it is done; taking runs/0002-mlp-mnist; for the newer one, " + remedy
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


@pytest.mark.usefixtures("runs")
def test_a_given_run_without_a_best_checkpoint_is_an_error(gan_export: Command) -> None:
    Path("runs/0002-mlp-mnist/best.safetensors").unlink()
    result = gan_export("model.onnx", "--checkpoint", "runs/0002-mlp-mnist")
    assert_fails(result, "cannot read checkpoint runs/0002-mlp-mnist/best.safetensors: .*train first")


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("kept", [0, -1])
def test_a_truncated_checkpoint_is_an_error(gan_export: Command, kept: int) -> None:
    best = Path("runs/0002-mlp-mnist/best.safetensors")
    best.write_bytes(best.read_bytes()[:kept])
    assert_fails(gan_export("model.onnx"), "runs/0002-mlp-mnist/best.safetensors is damaged or not a checkpoint")
    assert not Path("model.onnx").exists()


def test_a_pickle_is_refused(gan_export: Command, folder: Path) -> None:
    Path("model.pkl").write_bytes(pickle.dumps({"generator": 1}))
    torch.save({"generator": torch.zeros(3)}, "model.pt")
    for name in ("model.pkl", "model.pt"):
        assert_fails(gan_export("model.onnx", "--checkpoint", name), f"{name} is a pickled file, which could run code")
    assert not Path("model.onnx").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["model.onnx", "--precision", "bogus"],
        [],
        ["model.onnx", "--speed"],
        ["model.onnx", "--min-psnr", "101"],
        ["model.onnx", "--min-psnr", "nan"],
        ["a.onnx", "b.onnx"],
    ],
)
def test_wrong_usage_ends_with_2(gan_export: Command, folder: Path, arguments: list[str]) -> None:
    result = gan_export(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("runs")
def test_a_target_in_a_missing_folder_is_an_error(gan_export: Command) -> None:
    assert_fails(gan_export("gone/model.onnx"), "cannot write gone/model.onnx: No such file or directory")


@pytest.mark.usefixtures("runs")
def test_a_target_that_is_a_link_stays_one_and_the_file_behind_it_is_written(gan_export: Command) -> None:
    Path("shared").mkdir()
    Path("model.onnx").symlink_to("latest.onnx")
    Path("latest.onnx").symlink_to("shared/v1.onnx")
    for _ in ("new", "replaced"):
        result = gan_export("model.onnx")
        assert result.exit_code == 0
        assert "model.onnx: mlp-mnist, int8" in result.stderr
        assert os.listdir("shared") == ["v1.onnx"]
        assert Path("model.onnx").read_bytes() == Path("shared/v1.onnx").read_bytes() != b"old"
        assert Path("model.onnx").is_symlink()
        assert Path("latest.onnx").is_symlink()
        Path("shared/v1.onnx").write_bytes(b"old")


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("model.onnx", "cannot write model.onnx: Too many levels of symbolic links"),
        (os.devnull, "cannot write model.onnx: it is a device, not a file"),
        ("runs", "cannot write model.onnx: it is a folder; expected a file name such as model.onnx/model.onnx"),
        ("absent/v1.onnx", "absent/v1.onnx: No such file or directory"),
    ],
)
def test_a_target_that_is_a_link_to_something_other_than_a_file_is_an_error(gan_export: Command, link: str, message: str) -> None:
    Path("model.onnx").symlink_to(link)
    result = gan_export("model.onnx")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: cannot write ")
    assert result.stderr.endswith(f"{message}\n")
    assert Path("model.onnx").is_symlink()


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("target", [".", "runs", "runs/0002-mlp-mnist/best.safetensors"])
def test_a_target_without_the_suffix_onnx_is_wrong_usage(gan_export: Command, target: str) -> None:
    before = Path("runs/0002-mlp-mnist/best.safetensors").read_bytes()
    result = gan_export(target)
    assert result.exit_code == 2
    assert f"{target} does not end in .onnx" in result.stderr
    assert Path("runs/0002-mlp-mnist/best.safetensors").read_bytes() == before


@pytest.mark.usefixtures("runs")
def test_names_with_spaces_and_brackets_are_printed_as_they_are(gan_export: Command) -> None:
    result = gan_export("my [bold] model.onnx")
    assert result.exit_code == 0, result.output
    assert "my [bold] model.onnx: mlp-mnist, int8" in result.stderr
    assert "gan-gen --model 'my [bold] model.onnx'" in result.stderr


@pytest.mark.usefixtures("runs")
def test_a_failed_export_leaves_the_older_file(gan_export: Command) -> None:
    Path("model.onnx").write_bytes(b"an older model")
    Path("runs/0002-mlp-mnist/best.safetensors").write_bytes(b"")
    assert gan_export("model.onnx").exit_code == 1
    assert Path("model.onnx").read_bytes() == b"an older model"
