"""Latents that stand for traits: independent normal numbers on the grid, in the order of the traits within a class."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pocketgan.latents import LARGEST_TICK, LATENT_STEP
from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.errors import TrainingError
from pocketgan_trainer.evaluate.handwriting import handwriting
from pocketgan_trainer.training.trait_latents import trait_latents


def test_within_a_class_they_are_independent_normal_numbers_on_the_grid(digits: Digits) -> None:
    latents = trait_latents(digits)
    assert latents.dtype == torch.float32
    ticks = latents / LATENT_STEP
    assert torch.equal(ticks, ticks.round())
    assert ticks.abs().max() <= LARGEST_TICK
    for label in range(10):
        of_class = latents[torch.from_numpy(digits.labels == label)]
        assert of_class.mean(dim=0).tolist() == pytest.approx([0, 0, 0], abs=0.02)
        assert of_class.T.cov().numpy() == pytest.approx(np.eye(3), abs=0.1)


def test_the_first_is_in_the_order_of_slants_and_the_others_follow_thickness_and_width(digits: Digits) -> None:
    latents, traits = trait_latents(digits).numpy(), handwriting(digits.images)
    for label in range(10):
        of_class = digits.labels == label
        in_order = latents[of_class][traits[of_class, 0].argsort(), 0]
        assert (np.diff(in_order) >= 0).all()
        for trait in (1, 2):
            assert np.corrcoef(latents[of_class, trait], traits[of_class, trait])[0, 1] > 0.6


def test_a_run_measures_them_once(digits: Digits, tmp_path: Path) -> None:
    some = Digits(digits.images[:200], digits.labels[:200])
    path = tmp_path / "traits.safetensors"
    latents = trait_latents(some, path)
    assert torch.equal(latents, trait_latents(some))
    black = Digits(np.zeros_like(some.images), some.labels)
    assert torch.equal(trait_latents(black, path), latents)  # of other images, so they were read
    with pytest.raises(TrainingError, match=rf"^{path} does not hold the traits of this run's images \(.*\): remove it "):
        trait_latents(digits, path)
    path.write_bytes(b"something else")
    with pytest.raises(TrainingError, match="does not begin like a safetensors file"):
        trait_latents(some, path)


def test_what_has_no_ink_or_no_others_to_compare_with_gets_zeros(digits: Digits) -> None:
    few = Digits(np.concatenate([digits.images[:3], np.zeros((1, 28, 28), np.uint8)]), np.array([0, 1, 1, 0], np.uint8))
    assert not trait_latents(few).any()


def test_what_does_not_differ_or_follows_from_another_trait_becomes_zeros() -> None:
    bars = np.zeros((40, 28, 28), np.uint8)
    for number, bar in enumerate(bars):
        bar[4:24, 10 : 12 + number % 4] = 255  # upright, and as wide as thick
    latents = trait_latents(Digits(bars, np.zeros(40, np.uint8)))
    assert latents[:, 0].abs().max() == 0
    assert latents[:, 1].std() > 0.5
    assert latents[:, 2].abs().max() == 0
