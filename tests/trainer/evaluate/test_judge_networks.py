"""The judges' networks: what they return, and that their features are all that the answer is made of."""

import pytest
import torch

from pocketgan_trainer.evaluate.judge import FirstJudgeNetwork, JudgeNetwork, SecondJudgeNetwork, pixels_of


@pytest.mark.parametrize(
    ("network", "features"), [(FirstJudgeNetwork(), 64), (SecondJudgeNetwork(), 128)], ids=["first", "second"]
)
def test_logits_are_a_linear_function_of_the_features(network: JudgeNetwork, features: int) -> None:
    sight = network.eval()(torch.rand(3, 1, 28, 28))
    assert sight.features.shape == (3, features)
    assert sight.features.min() >= 0
    torch.testing.assert_close(sight.logits, sight.features @ network.head.weight.T + network.head.bias)


@pytest.mark.parametrize("network", [FirstJudgeNetwork(), SecondJudgeNetwork()], ids=["first", "second"])
def test_features_are_dropped_only_in_training(network: JudgeNetwork) -> None:
    pixels = torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(network.eval()(pixels).logits, network.eval()(pixels).logits)
    sight = network.train()(pixels)
    assert not torch.allclose(sight.logits, sight.features @ network.head.weight.T + network.head.bias, atol=1e-3)


def test_pixels_run_from_zero_to_one() -> None:
    pixels = pixels_of(torch.tensor([[[0, 51], [102, 255]]], dtype=torch.uint8))
    torch.testing.assert_close(pixels, torch.tensor([[[[0, 0.2], [0.4, 1]]]]))
