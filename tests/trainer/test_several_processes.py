"""Two real processes that train one run together by torchrun, compared with one process that trains it alone."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import steps_together
import torch
from steps_together import CONFIGS, losses_of_steps

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.processes import ALONE, Processes
from pocketgan_trainer.training.checkpoint import Checkpoint, load_checkpoint
from pocketgan_trainer.training.shared_networks import SharedBatchNorm

PATIENCE_SECONDS = 300
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
ALONE_COMMAND = (sys.executable,)
GAN_TRAIN = ("-m", "pocketgan_trainer.train_cli", "--threads", "1")
PLAN = ("--data", "digits.npz", "--preset", "mlp", "--batch-size", "50", "--epochs")


def environment() -> dict[str, str]:
    """Return the environment of the processes, in which the helpers can be imported."""
    own = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    return {**own, "OMP_NUM_THREADS": "1"}


def run(folder: Path, *command: str) -> tuple[int, str]:
    """Run a command to its end; return its exit code and everything that it printed to stderr."""
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    return done.returncode, done.stderr


@pytest.fixture
def few_digits(folder: Path, digits: Digits) -> None:
    """500 digits in the working folder, without classes."""
    np.savez(folder / "digits.npz", images=digits.images[:500])


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, list[float]]]]:
    """What steps_together.py leaves in each of two processes."""
    left = tmp_path_factory.mktemp("together")
    code, printed = run(left, *TORCHRUN, steps_together.__file__, str(left))
    assert code == 0, printed
    return [json.loads((left / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("preset", list(CONFIGS))
def test_steps_of_two_processes_have_the_losses_of_the_same_batch_in_one(
    together: list[dict[str, dict[str, list[float]]]], preset: str
) -> None:
    alone = losses_of_steps(preset, ALONE)
    # With a canvas, each process sees how much its own images of a class differ.
    tolerance = 1e-3 if CONFIGS[preset].canvas else 2e-5
    for found in together:
        for name, values in alone.items():
            assert found[preset][name] == pytest.approx(values, rel=tolerance), name


def assert_near(found: Checkpoint, expected: Checkpoint) -> None:
    """Compare position, random state and weights of two runs, the weights except for rounding."""
    assert (found.progress.epoch, found.progress.images_seen) == (expected.progress.epoch, expected.progress.images_seen)
    assert found.tensors.keys() == expected.tensors.keys()
    assert torch.equal(found.tensors["random.cpu"], expected.tensors["random.cpu"])
    for name, tensor in expected.tensors.items():
        if name.startswith(("generator.", "discriminator.")):
            torch.testing.assert_close(found.tensors[name], tensor, rtol=0, atol=1e-4, msg=name)


@pytest.mark.slow
@pytest.mark.usefixtures("few_digits")
def test_a_run_can_change_between_one_process_and_two_and_ends_alike(folder: Path) -> None:
    assert run(folder, *ALONE_COMMAND, *GAN_TRAIN, *PLAN, "3", "--out", "alone")[0] == 0
    printed = []
    for command, *options in (
        (TORCHRUN, *PLAN, "1", "--tensorboard"),
        (ALONE_COMMAND, "--resume", "--epochs", "2"),
        (TORCHRUN, "--resume", "--epochs", "3"),
    ):
        code, stderr = run(folder, *command, *GAN_TRAIN, *options)
        assert code == 0, stderr
        printed.append(stderr)
    assert printed[0].count("epoch 1/1") == 1
    assert "CPU threads: 1 in each of 2 processes" in printed[0]
    assert "resuming runs/0001-mlp-digits after 450 images" in printed[1]
    assert [path.name for path in (folder / "runs").iterdir()] == ["0001-mlp-digits"]
    changing, alone = (load_checkpoint(folder / parent / "0001-mlp-digits" / "last.safetensors") for parent in ("runs", "alone"))
    assert_near(changing, alone)
    lines = [json.loads(line) for line in (folder / "runs/0001-mlp-digits/stats.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.usefixtures("few_digits")
def test_a_signal_to_torchrun_stops_both_after_the_same_step_and_saves(folder: Path) -> None:
    command = [*TORCHRUN, *GAN_TRAIN, *PLAN, "100000"]
    process = subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch 2/"):
            break
    process.send_signal(signal.SIGTERM)
    _, printed = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode != 0
    assert "gan-train --resume continues from there" in printed, printed
    progress = load_checkpoint(folder / "runs/0001-mlp-digits/last.safetensors").progress
    assert progress.images_seen == 450 * progress.epoch + 50 * progress.step >= 900


@pytest.mark.slow
@pytest.mark.usefixtures("few_digits")
def test_a_batch_that_cannot_be_divided_is_refused_and_nothing_is_left(folder: Path) -> None:
    plan = ("--data", "digits.npz", "--preset", "mlp", "--batch-size", "51", "--epochs", "1")
    code, printed = run(folder, *TORCHRUN, *GAN_TRAIN, *plan)
    assert code == 1
    assert printed.count("error: ") == 1
    assert "error: batch size 51 cannot be divided among 2 processes: expected a multiple of that\n" in printed
    assert [path.name for path in folder.iterdir()] == ["digits.npz"]


@pytest.mark.slow
@pytest.mark.usefixtures("few_digits")
def test_an_error_of_the_first_process_alone_is_printed_once_and_ends_both(folder: Path) -> None:
    (folder / "runs").write_text("a file in the way")
    code, printed = run(folder, *TORCHRUN, *GAN_TRAIN, *PLAN, "1")
    assert code == 1
    assert printed.count("error: ") == 1
    assert "error: cannot make a run folder in runs: it is not a folder; choose another --out\n" in printed
    assert "pocketgan_trainer/" not in printed  # only torchrun shows a traceback, its own


def test_a_shared_normalization_is_on_the_device_of_its_layer() -> None:
    layer = torch.nn.BatchNorm2d(3, device="meta")
    shared = SharedBatchNorm(layer, Processes(0, 2, 0, 2))
    assert {tensor.device.type for tensor in shared.state_dict().values()} == {"meta"}
