"""The judges: that the shipped files are the trained ones, and that they see what is there."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.errors import JudgeError
from pocketgan_trainer.evaluate import judge as module
from pocketgan_trainer.evaluate.judge import FOLDER, JUDGES, Judge, JudgeName, Views, load_judge


@pytest.mark.parametrize("name", JUDGES)
def test_file_is_the_one_of_the_digest_and_small(name: JudgeName) -> None:
    contents = (FOLDER / f"{name}.safetensors").read_bytes()
    assert hashlib.sha256(contents).hexdigest() == JUDGES[name].sha256
    assert len(contents) < 1_000_000
    assert load_judge(name).name == name


def test_first_judge_knows_the_test_digits(test_views: Views, test_digits: Digits) -> None:
    assert np.mean(test_views.probabilities.argmax(axis=1) == test_digits.labels) >= 0.995
    assert test_views.features.shape == (10_000, 64)
    assert test_views.probabilities.shape == (10_000, 10)
    assert test_views.features.dtype == test_views.probabilities.dtype == np.float32


def test_second_judge_knows_the_test_digits_and_sees_other_features(test_digits: Digits) -> None:
    views = load_judge("second").look(test_digits.images)
    assert np.mean(views.probabilities.argmax(axis=1) == test_digits.labels) >= 0.995
    assert views.features.shape == (10_000, 128)


def test_features_are_rectified_and_alive(test_views: Views) -> None:
    assert test_views.features.min() == 0
    # No feature is dead, and no single one carries the distances alone.
    variances = test_views.features.var(axis=0)
    assert variances.min() > 0
    assert variances.max() < 0.2 * variances.sum()


def test_probabilities_are_those(test_views: Views) -> None:
    np.testing.assert_allclose(test_views.probabilities.sum(axis=1), 1, atol=1e-5)
    assert test_views.probabilities.min() >= 0


def test_an_image_is_seen_alike_in_any_company(
    first_judge: Judge, images: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = first_judge.look(images[:300])
    monkeypatch.setattr(module, "_BATCH_SIZE", 7)
    apart = first_judge.look(images[:300][::-1])
    np.testing.assert_allclose(apart.features[::-1], together.features, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(apart.probabilities[::-1], together.probabilities, atol=1e-4)
    np.testing.assert_array_equal(first_judge.look(images[:300]).features[:7], first_judge.look(images[:7]).features)


def test_the_same_images_are_seen_the_same_again(first_judge: Judge, images: NDArray[np.uint8]) -> None:
    before = images[:50].copy()
    np.testing.assert_array_equal(first_judge.look(images[:50]).features, load_judge("first").look(images[:50]).features)
    np.testing.assert_array_equal(images[:50], before)


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
def test_what_is_no_image_is_refused(first_judge: Judge, images: NDArray[np.uint8]) -> None:
    with pytest.raises(JudgeError, match=r"the judge was given .*; expected images uint8 \[N, 28, 28\], N above 0"):
        first_judge.look(images)


def test_damaged_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = bytearray((FOLDER / "first.safetensors").read_bytes())
    contents[-1] ^= 1
    (tmp_path / "first.safetensors").write_bytes(contents)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    with pytest.raises(JudgeError, match=r"is not the first judge: its SHA-256 is .*, expected .*; install pocketgan anew"):
        load_judge("first")


def test_absent_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    with pytest.raises(JudgeError, match=r"cannot read the second judge .*second\.safetensors: No such file"):
        load_judge("second")
