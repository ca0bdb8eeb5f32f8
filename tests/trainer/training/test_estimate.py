"""The estimated cost of a run: sizes in closed form, and the time from a few steps."""

from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import pytest
import torch

from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.training import estimate as estimate_module
from pocketgan_trainer.training.estimate import estimate
from pocketgan_trainer.training.presets import PRESETS

CPU = torch.device("cpu")


def test_sizes_are_those_counted_by_hand(digits: Digits) -> None:
    expected = estimate(replace(PRESETS["mlp"].config, epochs=3, batch_size=64), digits, CPU)
    products = 100 * 128 + 128 * 256 + 256 * 784
    assert expected.generator.multiply_adds == products
    assert expected.generator.weights == products + 128 + 256 + 784
    assert expected.discriminator.multiply_adds == 784 * 256 + 256 * 128 + 128
    assert expected.images == 3 * (2000 // 64) * 64


def test_a_transposed_convolution_multiplies_each_input_with_its_kernel(digits: Digits) -> None:
    expected = estimate(replace(PRESETS["dcgan"].config, batch_size=8, bfloat16=False), digits, CPU)
    by_hand = 100 * 12544 + 7 * 7 * 256 * 128 * 9 + 14 * 14 * 128 * 64 * 9 + 14 * 14 * 64 * 9
    assert expected.generator.multiply_adds == by_hand


@pytest.mark.parametrize("preset", list(PRESETS))
def test_the_time_is_that_of_a_step_for_each_step_of_the_run(
    monkeypatch: pytest.MonkeyPatch, digits: Digits, preset: str
) -> None:
    # Each round of four steps takes a second.
    monkeypatch.setattr(estimate_module, "time", SimpleNamespace(perf_counter=count().__next__))
    config = replace(PRESETS[preset].config, epochs=1000, batch_size=8, bfloat16=False)
    assert estimate(config, digits, CPU).seconds == 1000 * (2000 // 8) / 4
    rest = estimate(config, digits, CPU, images_seen=900 * 2000)
    assert (rest.seconds, rest.images) == (100 * (2000 // 8) / 4, 100 * 2000)
