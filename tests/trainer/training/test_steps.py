"""Both training steps against the same steps written out by hand: every weight must agree to the last bit."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from typing import TypeAlias

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import SGD, Adam

from pocketgan_trainer.training.steps import Players, Step, StepStatistics, alternating_step, simultaneous_step

REAL = torch.linspace(-1, 1, 8 * 5).reshape(8, 5)
LATENT = torch.linspace(1, -2, 8 * 3).reshape(8, 3)

NewOptimizer: TypeAlias = Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]


def adam(weights: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimizer of the presets, with long steps."""
    return Adam(weights, lr=0.05)


def descent(weights: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
    """Return plain gradient descent with long steps: unlike Adam's, they show the size of a gradient."""
    return SGD(weights, lr=0.5)


def small_players(new_optimizer: NewOptimizer = adam) -> Players:
    """Return two tiny networks: latents [N, 3] to images [N, 5], and those to logits [N, 1]."""
    torch.manual_seed(1)
    generator = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 5))
    discriminator = nn.Sequential(nn.Linear(5, 6), nn.LeakyReLU(0.2), nn.Linear(6, 1))
    return Players(generator, discriminator, new_optimizer(generator.parameters()), new_optimizer(discriminator.parameters()))


def entropy(logits: Tensor, target: float) -> Tensor:
    """Return the cross-entropy of logits [N, 1] against one target, written as torch offers it."""
    return binary_cross_entropy_with_logits(logits.float(), torch.full(logits.shape, target))


def simultaneous_by_hand(players: Players) -> list[float]:
    """Move both networks by the gradients at the point where they both are; return the statistics."""
    # Each gradient on a copy of its own, so that neither can see the other's new weights.
    losing, fooling = deepcopy(players), deepcopy(players)
    real_logits, fake_logits = losing.discriminator(REAL), losing.discriminator(losing.generator(LATENT))
    discriminator_loss = entropy(real_logits, 0.9) + entropy(fake_logits, 0.0)
    discriminator_loss.backward()
    losing.discriminator_optimizer.step()
    generator_loss = entropy(fooling.discriminator(fooling.generator(LATENT)), 1.0)
    generator_loss.backward()
    fooling.generator_optimizer.step()
    for moved, network in ((losing.discriminator, players.discriminator), (fooling.generator, players.generator)):
        network.load_state_dict(moved.state_dict())
    # The moments of Adam go with the weights.
    players.discriminator_optimizer.load_state_dict(losing.discriminator_optimizer.state_dict())
    players.generator_optimizer.load_state_dict(fooling.generator_optimizer.state_dict())
    return [value.item() for value in (generator_loss, discriminator_loss, score(real_logits), score(fake_logits))]


def alternating_by_hand(players: Players, context: Callable[[], AbstractContextManager[None]] = nullcontext) -> list[float]:
    """Move D on the reals, then D on the fakes, then G against the moved D, each network call in a context of its own.

    Return the statistics.
    """
    with context():
        real_logits = players.discriminator(REAL)
    real_loss = entropy(real_logits, 1.0)
    players.discriminator_optimizer.zero_grad()
    real_loss.backward()
    players.discriminator_optimizer.step()

    with context():
        fake = players.generator(LATENT)
    with context():
        fake_logits = players.discriminator(fake.detach())
    fake_loss = entropy(fake_logits, 0.0)
    players.discriminator_optimizer.zero_grad()
    fake_loss.backward()
    players.discriminator_optimizer.step()

    with context():
        fooled_logits = players.discriminator(fake)
    generator_loss = entropy(fooled_logits, 1.0)
    players.generator_optimizer.zero_grad()
    generator_loss.backward()
    players.generator_optimizer.step()
    return [value.item() for value in (generator_loss, real_loss + fake_loss, score(real_logits), score(fake_logits))]


def score(logits: Tensor) -> Tensor:
    """Return the mean probability that logits stand for."""
    return logits.float().sigmoid().mean()


def measured(statistics: StepStatistics) -> list[float]:
    """Return what a step measured, in the order of the fields."""
    return [value.item() for value in vars(statistics).values()]


def assert_equal(players: Players, expected: Players) -> None:
    """Compare both networks, running statistics included, bit for bit."""
    for network, twin in ((players.generator, expected.generator), (players.discriminator, expected.discriminator)):
        for (name, value), other in zip(network.state_dict().items(), twin.state_dict().values(), strict=True):
            assert torch.equal(value, other), name


@pytest.mark.parametrize("new_optimizer", [adam, descent])
def test_simultaneous_step_takes_both_gradients_at_the_same_point(new_optimizer: NewOptimizer) -> None:
    players, expected = small_players(new_optimizer), small_players(new_optimizer)
    for _ in range(3):
        simultaneous_step(players, REAL, LATENT)
        simultaneous_by_hand(expected)
    assert_equal(players, expected)


@pytest.mark.parametrize("new_optimizer", [adam, descent])
def test_alternating_step_moves_d_on_reals_then_on_fakes_then_g_against_the_moved_d(new_optimizer: NewOptimizer) -> None:
    players, expected = small_players(new_optimizer), small_players(new_optimizer)
    for _ in range(3):
        alternating_step(players, REAL, LATENT)
        alternating_by_hand(expected)
    assert_equal(players, expected)


@pytest.mark.parametrize("step", [simultaneous_step, alternating_step])
def test_every_weight_of_both_networks_moves(step: Step) -> None:
    players, before = small_players(), small_players()
    step(players, REAL, LATENT)
    for network, twin in ((players.generator, before.generator), (players.discriminator, before.discriminator)):
        for (name, weight), old in zip(network.named_parameters(), twin.parameters(), strict=True):
            # Batch normalization takes away whatever bias the layer before it adds.
            assert name == "0.bias" or not torch.equal(weight, old), name


@pytest.mark.parametrize("step", [simultaneous_step, alternating_step])
def test_one_set_of_fakes_serves_the_whole_step(step: Step) -> None:
    players = small_players()
    step(players, REAL, LATENT)
    norm = players.generator[1]  # type: ignore[index]
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.num_batches_tracked == 1


@pytest.mark.parametrize("step", [simultaneous_step, alternating_step])
def test_gradients_of_earlier_steps_are_forgotten(step: Step) -> None:
    players, expected = small_players(), small_players()
    for weight in (*players.generator.parameters(), *players.discriminator.parameters()):
        weight.grad = torch.full_like(weight, 1000.0)
    step(players, REAL, LATENT)
    step(expected, REAL, LATENT)
    assert_equal(players, expected)


@pytest.mark.parametrize("step", [simultaneous_step, alternating_step])
def test_the_statistics_are_scalars_without_a_graph(step: Step) -> None:
    statistics = step(small_players(), REAL, LATENT)
    for value in vars(statistics).values():
        assert value.shape == ()
        assert not value.requires_grad


def test_simultaneous_step_measures_before_anyone_moves() -> None:
    assert measured(simultaneous_step(small_players(), REAL, LATENT)) == simultaneous_by_hand(small_players())


def test_alternating_step_measures_each_player_just_before_its_move() -> None:
    assert measured(alternating_step(small_players(), REAL, LATENT)) == alternating_by_hand(small_players())


def bfloat16(cache_enabled: bool = True) -> torch.autocast:
    """Return a context in which layers compute in bfloat16."""
    return torch.autocast("cpu", torch.bfloat16, cache_enabled=cache_enabled)


def test_alternating_step_in_bfloat16_sees_the_moved_discriminator() -> None:
    players, expected = small_players(), small_players()
    for _ in range(3):
        with bfloat16(cache_enabled=False):
            alternating_step(players, REAL, LATENT)
        alternating_by_hand(expected, bfloat16)
    assert_equal(players, expected)


def test_with_autocasts_cache_it_would_see_the_old_one() -> None:
    # Why the loop turns the cache off. Should torch mend this one day, the loop may drop its argument.
    players, expected = small_players(), small_players()
    with bfloat16(cache_enabled=True):
        alternating_step(players, REAL, LATENT)
    alternating_by_hand(expected, bfloat16)
    with pytest.raises(AssertionError):
        assert_equal(players, expected)
