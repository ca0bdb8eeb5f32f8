"""The judges: the shipped files are the trained ones, and read digits."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.errors import JudgeError
from pocketgan_trainer.evaluate import judge as module
from pocketgan_trainer.evaluate.judge import (
    FOLDER,
    JUDGES,
    Assessment,
    FirstJudgeNetwork,
    Judge,
    JudgeName,
    JudgeNetwork,
    SecondJudgeNetwork,
    load_judge,
)


@pytest.mark.parametrize("name", JUDGES)
def test_file_is_the_one_of_the_digest_and_small(name: JudgeName) -> None:
    contents = (FOLDER / f"{name}.safetensors").read_bytes()
    assert hashlib.sha256(contents).hexdigest() == JUDGES[name].sha256
    assert len(contents) < 1_000_000
    assert load_judge(name).name == name


def test_the_judges_read_test_digits(test_assessment: Assessment, test_digits: Digits) -> None:
    for found, features in ((test_assessment, 64), (load_judge("second").assess(test_digits.images), 128)):
        assert np.mean(found.probabilities.argmax(axis=1) == test_digits.labels) >= 0.995
        assert found.features.shape == (10_000, features)
        assert found.features.dtype == found.probabilities.dtype == np.float32
        np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)


def test_features_are_rectified_and_alive(test_assessment: Assessment) -> None:
    assert test_assessment.features.min() == 0
    # No feature is dead, and no single one carries the distances alone.
    variances = test_assessment.features.var(axis=0)
    assert variances.min() > 0
    assert variances.max() < 0.2 * variances.sum()


def test_the_assessment_of_an_image_does_not_depend_on_the_others(
    first_judge: Judge, images: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = first_judge.assess(images[:300])
    monkeypatch.setattr(module, "_BATCH_SIZE", 7)
    apart = first_judge.assess(images[:300][::-1])
    np.testing.assert_allclose(apart.features[::-1], together.features, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(apart.probabilities[::-1], together.probabilities, atol=1e-4)
    np.testing.assert_array_equal(first_judge.assess(images[:300]).features[:7], first_judge.assess(images[:7]).features)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 28, 28), np.float32),
        np.zeros((2, 28, 27), np.uint8),
        np.zeros((28, 28), np.uint8),
        np.zeros((0, 28, 28), np.uint8),
    ],
    ids=["float", "narrow", "one image", "no image"],
)
def test_arrays_that_are_no_images_are_refused(first_judge: Judge, images: NDArray[np.uint8]) -> None:
    with pytest.raises(JudgeError, match=r"the judge was given .*; expected images uint8 \[N, 28, 28\], N above 0"):
        first_judge.assess(images)


def test_a_damaged_or_absent_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = bytearray((FOLDER / "first.safetensors").read_bytes())
    contents[-1] ^= 1
    (tmp_path / "first.safetensors").write_bytes(contents)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    with pytest.raises(JudgeError, match=r"is not the first judge: its SHA-256 is .*, expected .*; install pocketgan anew"):
        load_judge("first")
    with pytest.raises(JudgeError, match=r"cannot read the second judge .*second\.safetensors: No such file"):
        load_judge("second")


@pytest.mark.parametrize(
    ("network", "features"), [(FirstJudgeNetwork(), 64), (SecondJudgeNetwork(), 128)], ids=["first", "second"]
)
def test_logits_are_a_linear_function_of_the_features(network: JudgeNetwork, features: int) -> None:
    output = network.eval()(torch.rand(3, 1, 28, 28))
    assert output.features.shape == (3, features)
    assert output.features.min() >= 0
    torch.testing.assert_close(output.logits, output.features @ network.head.weight.T + network.head.bias)


@pytest.mark.parametrize("network", [FirstJudgeNetwork(), SecondJudgeNetwork()], ids=["first", "second"])
def test_features_are_dropped_only_in_training(network: JudgeNetwork) -> None:
    pixels = torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(network.eval()(pixels).logits, network.eval()(pixels).logits)
    output = network.train()(pixels)
    assert not torch.allclose(output.logits, output.features @ network.head.weight.T + network.head.bias, atol=1e-3)


def test_a_judge_shows_its_network_pixels_from_zero_to_one(images: NDArray[np.uint8]) -> None:
    network = FirstJudgeNetwork().eval()
    found = Judge("first", network).assess(images[:5])
    with torch.inference_mode():
        expected = network(torch.from_numpy(images[:5, None] / np.float32(255)))
    np.testing.assert_array_equal(found.features, expected.features.numpy())
    np.testing.assert_array_equal(found.probabilities, expected.logits.softmax(dim=1).numpy())
