"""A judge of a user's own images: it reads their classes, is kept in a file, and works without classes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save_file
from torch import Tensor

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.errors import JudgeError
from pocketgan_trainer.evaluate import own_judge as module
from pocketgan_trainer.evaluate.own_judge import FEATURES, OwnJudge, PixelJudge, own_judge


@pytest.fixture(autouse=True)
def few_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EPOCHS", 6)


def test_it_reads_the_classes_that_it_learned(digits: Digits) -> None:
    training, others = Digits(digits.images[:1800], digits.labels[:1800]), digits.images[1800:]
    found = own_judge(training, 10, path=None).assess(others)
    assert found.features.shape == (200, FEATURES)
    assert (found.features >= 0).all()
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (found.probabilities.argmax(axis=1) == digits.labels[1800:]).mean() > 0.8


def test_it_is_kept_and_gives_the_same_when_it_is_read_again(
    tmp_path: Path, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Digits(digits.images[:200], digits.labels[:200])
    first = own_judge(training, 10, tmp_path / "judge.safetensors").assess(digits.images[:20])
    monkeypatch.delattr(module, "train_classifier")
    again = own_judge(training, 10, tmp_path / "judge.safetensors").assess(digits.images[:20])
    np.testing.assert_array_equal(again.features, first.features)
    np.testing.assert_array_equal(again.probabilities, first.probabilities)


@pytest.mark.parametrize("contents", [b"", b"not a judge"])
def test_a_file_that_is_no_judge_is_refused_by_name(tmp_path: Path, digits: Digits, contents: bytes) -> None:
    path = tmp_path / "judge.safetensors"
    path.write_bytes(contents)
    with pytest.raises(JudgeError, match=r"judge.safetensors is not the judge of this run .*: remove it"):
        own_judge(digits, 10, path)


def test_a_judge_of_other_classes_is_refused(tmp_path: Path, digits: Digits) -> None:
    training = Digits(digits.images[:200], digits.labels[:200] % 3)
    assert isinstance(own_judge(training, 3, tmp_path / "judge.safetensors"), OwnJudge)
    with pytest.raises(JudgeError, match="is not the judge of this run"):
        own_judge(training, 4, tmp_path / "judge.safetensors")


@pytest.mark.parametrize("classes", [0, 1])
def test_without_classes_its_features_are_pixel_components(tmp_path: Path, digits: Digits, classes: int) -> None:
    judge = own_judge(digits, classes, tmp_path / "judge.safetensors")
    assert isinstance(judge, PixelJudge)
    found = judge.assess(digits.images[:7])
    assert (found.features.shape, found.probabilities.shape) == ((7, FEATURES), (7, 0))
    assert not (tmp_path / "judge.safetensors").exists()


def test_images_of_32_pixels_are_judged_too() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 100, (60, 32, 32), dtype=np.uint8)
    images[30:] += 100
    found = own_judge(Digits(images, np.arange(60) // 30), 2, None).assess(images)
    assert found.features.shape == (60, FEATURES)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("1.bias", torch.zeros(3, dtype=torch.float16), r"'1.bias' is torch.float16 \[3\], expected torch.float32 \[3\]"),
        ("1.bias", torch.full((3,), torch.nan), "'1.bias' has values that are not finite"),
        ("0.1.running_var", torch.full((16,), -1.0), "'0.1.running_var' has values below 0"),
        ("1.bias", torch.zeros(10**6), "it has .* bytes, expected at most"),
    ],
)
def test_a_judge_that_nobody_trained_is_refused(tmp_path: Path, digits: Digits, name: str, tensor: Tensor, message: str) -> None:
    path, training = tmp_path / "judge.safetensors", Digits(digits.images[:200], digits.labels[:200] % 3)
    own_judge(training, 3, path)
    save_file({**load(path.read_bytes()), name: tensor}, path)
    with pytest.raises(JudgeError, match=rf"is not the judge of this run \({message}.*: remove it"):
        own_judge(training, 3, path)
