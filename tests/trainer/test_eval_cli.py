"""`gan-eval` as a user meets it: the table, the JSON, the report, and one line for whatever goes wrong."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from quick_evaluation import few_digits, quick_evaluation, quick_measurements
from typer.testing import CliRunner, Result

from pocketgan import Generator
from pocketgan.errors import OutputError
from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.eval_cli import app
from pocketgan_trainer.evaluate import evaluation
from pocketgan_trainer.evaluate.evaluation import Evaluation, EvaluationOptions
from pocketgan_trainer.evaluate.sources import Source
from pocketgan_trainer.evaluate.table import caption, markdown_table, table_rows, verdicts

Command = Callable[..., Result]
Requested = list[tuple[list[str], EvaluationOptions]]


@pytest.fixture(autouse=True)
def restored_threads() -> Iterator[None]:
    """Take back how many threads the command gives torch."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def gan_eval(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Runs the command in this process, in an empty folder, on one CPU, with few digits and quick measurements."""
    monkeypatch.setattr("pocketgan.cpus.usable_cpus", lambda: 1)
    monkeypatch.setattr(
        "pocketgan_trainer.data.published.load_mnist", lambda folder, split="train": few_digits()[split == "test"]
    )
    monkeypatch.setenv("COLUMNS", "300")
    with quick_measurements():
        yield lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def requested(monkeypatch: pytest.MonkeyPatch) -> Requested:
    """What the command wants measured; it gets figures that are there already."""
    requested: Requested = []

    def evaluate(
        sources: list[Source], options: EvaluationOptions, training: Digits, test: Digits, log: Callable[[str, int], None]
    ) -> Evaluation:
        requested.append(([source.name for source in sources], options))
        log("measuring", 1)
        return quick_evaluation()

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    return requested


def assert_fails(result: Result, code: int, message: str) -> None:
    """Check that the command ended with this code and this message, nothing on stdout and no traceback."""
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert re.search(message, " ".join(result.stderr.split())), result.stderr
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr


def save_npz(path: Path, count: int) -> None:
    """Write digits with their classes."""
    digits, _ = few_digits()
    np.savez(path, images=digits.images[:count], labels=digits.labels[:count])


def test_json_alone_goes_to_stdout_and_progress_to_stderr(gan_eval: Command, folder: Path) -> None:
    save_npz(folder / "mine.npz", 2_000)
    result = gan_eval("mine.npz", "mlp", "--count", 1000, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [source["name"] for source in found["sources"]] == ["mine.npz", "mlp"]
    assert found["sources"][1]["sha256"] == Generator.load("mlp").sha256
    assert found["plan"]["count"] == 1000
    frechet = found["table"][0]
    assert frechet["figure"] == "Frechet distance, first judge's features (not Inception FID)"
    assert frechet["sources"][0]["ratio"] == pytest.approx(1, abs=0.5)
    assert frechet["sources"][1]["ratio"] > 3
    assert result.stderr.splitlines() == [
        "measuring the features of 2,000 training digits and 1,000 test digits",
        "real digits: measuring 2 samples of 1,000 training digits",
        "mine.npz, seed 0: measuring 1,000 images",
        "mlp, seed 0: measuring 1,000 images",
    ]


def test_the_table_goes_to_stdout(gan_eval: Command, requested: Requested) -> None:
    result = gan_eval("mlp")
    assert result.exit_code == 0, result.output
    evaluation = quick_evaluation()
    assert result.stdout.splitlines()[: len(evaluation.sources)] == verdicts(evaluation)
    for row in table_rows(evaluation, False):
        assert row.figure in result.stdout
        assert all(cell.text in result.stdout for cell in row.sources)
    assert caption(evaluation) in " ".join(result.stdout.split())
    assert result.stderr == "measuring\n"


def test_markdown_is_the_table_that_a_readme_takes(gan_eval: Command, requested: Requested) -> None:
    result = gan_eval("mlp", "--markdown", "--by-class", "--quiet")
    assert result.stdout == markdown_table(quick_evaluation(), table_rows(quick_evaluation(), True))
    assert result.stderr == ""


def test_options_say_what_is_measured(gan_eval: Command, requested: Requested) -> None:
    for arguments in (
        (),
        ("mlp", "dcgan", "--count", 2000, "--seeds", 5, "--told-apart", "--cas", "--classifier-seeds", 3),
        ("mlp", "--quick"),
        ("mlp", "--quick", "--count", 100),
    ):
        assert gan_eval(*arguments).exit_code == 0
    assert requested == [
        ([Generator.load().path.stem], EvaluationOptions(10_000, 1, False, False, 1)),
        (["mlp", "dcgan"], EvaluationOptions(2_000, 5, True, True, 3)),
        (["mlp"], EvaluationOptions(1_000, 1, False, False, 1, quick=True)),
        (["mlp"], EvaluationOptions(100, 1, False, False, 1, quick=True)),
    ]


@pytest.mark.parametrize("name", ["report.png", "report.html"])
def test_a_report_is_written_into_a_folder_that_is_made(gan_eval: Command, requested: Requested, folder: Path, name: str) -> None:
    result = gan_eval("mlp", "--report", f"new/{name}")
    assert result.exit_code == 0, result.output
    assert (folder / "new" / name).stat().st_size > 10_000
    assert f"report new/{name}" in result.stderr


@pytest.mark.parametrize("name", ["report.png", "report.html"])
def test_only_a_report_is_replaced_by_one(gan_eval: Command, requested: Requested, folder: Path, name: str) -> None:
    for _ in range(2):
        assert gan_eval("mlp", "--report", name).exit_code == 0
    (folder / name).write_bytes(b"mine")
    assert_fails(
        gan_eval("mlp", "--report", name), 1, f"error: {name} exists and is no report of gan-eval: choose another --report"
    )
    assert (folder / name).read_bytes() == b"mine"


def test_a_report_that_is_a_link_stays_one(gan_eval: Command, requested: Requested, folder: Path) -> None:
    (folder / "report.html").symlink_to("shared/today.html")
    for _ in ("made", "replaced"):
        assert gan_eval("mlp", "--report", "report.html").exit_code == 0
        assert (folder / "report.html").is_symlink()
        assert (folder / "shared" / "today.html").stat().st_size > 10_000
        (folder / "shared" / "today.html").write_text("gan-eval: old")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mlp", "--count", "999"], "--count"),
        (["mlp", "--count", "10001"], "--count"),
        (["mlp", "--quick", "--count", "99"], "--count: 99 is out of range: expected 100 to 1,000"),
        (["mlp", "--quick", "--count", "1001"], "--count"),
        (["mlp", "--quick", "--cas"], "it cannot be used together with --told-apart, --cas or --report"),
        (["mlp", "--quick", "--report", "page.html"], "--quick"),
        (["mlp", "--seeds", "0"], "--seeds"),
        (["mlp", "--threads", "0"], "--threads"),
        (["mlp", "--json", "--markdown"], "--json"),
        (["mlp", "--report", "report.pdf"], r"report\.pdf must end in \.html or \.png"),
        (["mlp", "--best"], "--best"),
        (["mlp", "--classifier-seeds", "3"], "it needs --told-apart or --cas"),
    ],
)
def test_wrong_usage_ends_with_2_and_names_the_option(
    gan_eval: Command, requested: Requested, folder: Path, arguments: list[str], message: str
) -> None:
    assert_fails(gan_eval(*arguments), 2, message)
    assert requested == []
    assert list(folder.iterdir()) == []


def test_what_cannot_be_read_is_named_in_one_line(gan_eval: Command, folder: Path) -> None:
    save_npz(folder / "few.npz", 300)
    assert_fails(gan_eval("few.npz", "--count", 1000), 1, "error: few.npz holds .*; make more, or use a smaller --count")
    assert_fails(gan_eval("mlp", "absent.onnx"), 1, "error: no model absent.onnx")


def test_a_folder_that_is_not_mnist_is_named(folder: Path) -> None:
    (folder / "mine").mkdir()
    assert_fails(CliRunner().invoke(app, ["mlp", "--data", "mine"]), 1, "error: mine lacks train-images-idx3-ubyte")


def test_a_report_that_cannot_be_written_is_found_before_anything_is_measured(
    gan_eval: Command, requested: Requested, folder: Path
) -> None:
    (folder / "taken").write_text("")
    assert_fails(gan_eval("mlp", "--report", "taken/report.png"), 1, "error: output taken is a file.* choose another --report")
    (folder / "folder.png").mkdir()
    assert_fails(gan_eval("mlp", "--report", "folder.png"), 1, r"error: cannot write folder\.png: it is a folder")
    (folder / "circle.png").symlink_to("circle.png")
    assert_fails(gan_eval("mlp", "--report", "circle.png"), 1, r"error: cannot write circle\.png: Too many levels")
    assert requested == []


def test_the_table_is_printed_though_the_report_fails(
    gan_eval: Command, requested: Requested, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*arguments: object) -> None:
        raise OutputError("cannot write report.png: no room")

    monkeypatch.setattr("pocketgan_trainer.evaluate.sheet.write_report", no_room)
    result = gan_eval("mlp", "--markdown", "--report", "report.png")
    assert result.exit_code == 1
    assert result.stdout == markdown_table(quick_evaluation(), table_rows(quick_evaluation(), False))
    assert result.stderr.endswith("error: cannot write report.png: no room\n")
