"""The training steps against the same steps written out by hand.

Every weight must agree to the last bit; those of the paired step nearly so.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import replace
from typing import TypeAlias

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot
from torch.optim import SGD, Adam

from pocketgan_trainer.networks.pocket import Judgement
from pocketgan_trainer.processes import Processes
from pocketgan_trainer.training import steps
from pocketgan_trainer.training.steps import (
    PENALTY_INTERVAL,
    Batch,
    Gan,
    Step,
    StepStatistics,
    alternating_step,
    paired_step,
    simultaneous_step,
)

STEPS = [simultaneous_step, alternating_step, paired_step]
REAL = torch.linspace(-1, 1, 8 * 5).reshape(8, 1, 1, 5)
LATENT = torch.linspace(1, -2, 8 * 3).reshape(8, 3)
BATCH = Batch(
    REAL,
    LATENT,
    condition=(),
    step=0,
    penalty_weight=0.5,
    class_weight=0.25,
    guidance_weight=0.0,
    trait_weight=0.0,
    hidden_traits_share=0.0,
    shifted_share=0.0,
)
CLASSES = 4
LABELS = torch.tensor([2, 0, 1, 1, 3, 0, 2, 2])
LABELLED = replace(BATCH, condition=(LABELS,))

NewOptimizer: TypeAlias = Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]


def adam(weights: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimizer of the presets, with long steps."""
    return Adam(weights, lr=0.05)


def descent(weights: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
    """Return plain gradient descent with long steps: unlike Adam's, they show the size of a gradient."""
    return SGD(weights, lr=0.5)


class Conditional(nn.Module):
    """Takes the label, if there is one, as further inputs of its body."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, values: Tensor, *condition: Tensor) -> Tensor:
        """Return the body's output for values [N, ...] and labels int64 [N]."""
        output: Tensor = self.body(torch.cat([values.flatten(1), *(one_hot(label, CLASSES) for label in condition)], dim=1))
        return output


class Classifying(Conditional):
    """A discriminator that also classifies and reads traits."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__(*body)
        self.seen_class = nn.Linear(5, CLASSES)
        self.seen_traits = nn.Linear(5, 3)

    def forward(  # type: ignore[override]
        self, values: Tensor, *condition: Tensor, traits: Tensor
    ) -> Judgement:
        """Judge images [N, 1, 1, 5] with labels int64 [N] and traits [N, 3], which change the logits."""
        seen = self.seen_traits(values.flatten(1))
        logits = super().forward(values, *condition) + (seen * traits).sum(dim=1, keepdim=True)
        return Judgement(logits, self.seen_class(values.flatten(1)), seen)


def small_gan(new_optimizer: NewOptimizer = adam, classes: int = 0, discriminator_type: type[Conditional] = Conditional) -> Gan:
    """Return two tiny networks: latents [N, 3] to images [N, 1, 1, 5], and those to logits [N, 1]."""
    torch.manual_seed(1)
    shape = nn.Unflatten(1, (1, 1, 5))
    generator = Conditional(nn.Linear(3 + classes, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 5), shape)
    discriminator = discriminator_type(nn.Linear(5 + classes, 6), nn.LeakyReLU(0.2), nn.Linear(6, 1))
    optimizers = new_optimizer(generator.parameters()), new_optimizer(discriminator.parameters())
    return Gan(generator, discriminator, *optimizers, ema_generator=None)


def paired_gan(new_optimizer: NewOptimizer = adam) -> Gan:
    """Return tiny networks for the paired step, whose discriminator also classifies."""
    return small_gan(new_optimizer, CLASSES, Classifying)


def entropy(logits: Tensor, target: float) -> Tensor:
    """Return the cross-entropy of logits [N, 1] against one target, by torch's own function."""
    return binary_cross_entropy_with_logits(logits.float(), torch.full(logits.shape, target))


def simultaneous_by_hand(gan: Gan) -> list[float]:
    """Move both networks by the gradients at the point where they both are; return the statistics."""
    # Each gradient on its own copy, so that neither can see the other's new weights.
    losing, fooling = deepcopy(gan), deepcopy(gan)
    real_logits, fake_logits = losing.discriminator(REAL), losing.discriminator(losing.generator(LATENT))
    discriminator_loss = entropy(real_logits, 0.9) + entropy(fake_logits, 0.0)
    discriminator_loss.backward()
    losing.discriminator_optimizer.step()
    generator_loss = entropy(fooling.discriminator(fooling.generator(LATENT)), 1.0)
    generator_loss.backward()
    fooling.generator_optimizer.step()
    for moved, network in ((losing.discriminator, gan.discriminator), (fooling.generator, gan.generator)):
        network.load_state_dict(moved.state_dict())
    # The moments of Adam go with the weights.
    gan.discriminator_optimizer.load_state_dict(losing.discriminator_optimizer.state_dict())
    gan.generator_optimizer.load_state_dict(fooling.generator_optimizer.state_dict())
    return [value.item() for value in (generator_loss, discriminator_loss, score(real_logits), score(fake_logits))]


def alternating_by_hand(gan: Gan, context: Callable[[], AbstractContextManager[None]] = nullcontext) -> list[float]:
    """Move D on the reals, then D on the fakes, then G against the moved D, with each network call in its own context.

    Return the statistics.
    """
    with context():
        real_logits = gan.discriminator(REAL)
    real_loss = entropy(real_logits, 1.0)
    gan.discriminator_optimizer.zero_grad()
    real_loss.backward()
    gan.discriminator_optimizer.step()

    with context():
        fake = gan.generator(LATENT)
    with context():
        fake_logits = gan.discriminator(fake.detach())
    fake_loss = entropy(fake_logits, 0.0)
    gan.discriminator_optimizer.zero_grad()
    fake_loss.backward()
    gan.discriminator_optimizer.step()

    with context():
        fooled_logits = gan.discriminator(fake)
    generator_loss = entropy(fooled_logits, 1.0)
    gan.generator_optimizer.zero_grad()
    generator_loss.backward()
    gan.generator_optimizer.step()
    return [value.item() for value in (generator_loss, real_loss + fake_loss, score(real_logits), score(fake_logits))]


def paired_by_hand(gan: Gan, batch: Batch) -> list[float]:
    """Move D by the lead of each real image over its fake and by its classification, then G against the moved D.

    R1 and R2 are taken image by image. Return the statistics.
    """
    (label,) = batch.condition
    traits = batch.latent * (1 - batch.hidden_traits_share)
    fake = gan.generator(batch.latent, label)
    real_logits, class_logits, seen_traits = gan.discriminator(batch.real, label, traits=traits)
    lead = real_logits - gan.discriminator(fake.detach(), label, traits=traits)[0]
    discriminator_loss = (1 + (-lead).exp()).log().mean()
    class_loss = class_entropy(class_logits, label)
    penalty = torch.zeros(())
    for place, (image, digit) in enumerate(zip([*batch.real, *fake.detach()], [*label, *label], strict=True)):
        image.requires_grad_()
        trait = traits[place % len(label)][None]
        (slope,) = torch.autograd.grad(gan.discriminator(image[None], digit[None], traits=trait)[0], image, create_graph=True)
        penalty = penalty + slope.square().sum() / len(label)
    weight = PENALTY_INTERVAL * batch.penalty_weight / 2 if batch.step in (0, PENALTY_INTERVAL) else 0.0
    gan.discriminator_optimizer.zero_grad()
    trait_loss = batch.trait_weight * trait_error(seen_traits, batch.latent)
    (discriminator_loss + weight * penalty + batch.class_weight * class_loss + trait_loss).backward()
    gan.discriminator_optimizer.step()

    fooled_logits, fooled_classes, fooled_traits = gan.discriminator(fake, label, traits=traits)
    moved_real_logits = gan.discriminator(batch.real, label, traits=traits)[0]
    generator_loss = (1 + (moved_real_logits - fooled_logits).exp()).log().mean()
    excess = class_entropy(fooled_classes, label) - class_loss.item()
    gan.generator_optimizer.zero_grad()
    trait_loss = batch.trait_weight * trait_error(fooled_traits, batch.latent)
    guided = class_entropy(gan.guide(fake[::2]), label[::2]) if gan.guide else 0
    whole = generator_loss + (batch.class_weight * excess if excess > 0 else 0) + trait_loss
    (whole + batch.guidance_weight * guided).backward()
    gan.generator_optimizer.step()
    return [value.item() for value in (generator_loss, discriminator_loss, score(lead), score(-lead))]


def class_entropy(class_logits: Tensor, label: Tensor) -> Tensor:
    """Return the mean negative logarithm of the probability that logits [N, K] give to the right classes."""
    return -class_logits.softmax(dim=1)[torch.arange(len(label)), label].log().mean()


def trait_error(seen: Tensor, traits: Tensor) -> Tensor:
    """Return the mean squared distance of traits that were read, [N, 3], from what they should be."""
    return torch.linalg.vector_norm(seen - traits, dim=1).square().mean()


def score(logits: Tensor) -> Tensor:
    """Return the mean probability that logits stand for."""
    return logits.float().sigmoid().mean()


def measured(statistics: StepStatistics) -> list[float]:
    """Return what a sound step measured, in the order of the fields; it must not hold on to the step's graph."""
    assert statistics.is_sound
    values = [value for value in vars(statistics).values() if isinstance(value, Tensor)]
    assert not any(value.requires_grad for value in values)
    return [value.item() for value in values]


def assert_close(gan: Gan, expected: Gan, tolerance: float) -> None:
    """Compare both networks, running statistics included."""
    for network, twin in ((gan.generator, expected.generator), (gan.discriminator, expected.discriminator)):
        for (name, value), other in zip(network.state_dict().items(), twin.state_dict().values(), strict=True):
            torch.testing.assert_close(value, other, rtol=tolerance, atol=tolerance, msg=name)


@pytest.mark.parametrize("new_optimizer", [adam, descent])
@pytest.mark.parametrize(
    ("step", "by_hand"), [(simultaneous_step, simultaneous_by_hand), (alternating_step, alternating_by_hand)]
)
def test_a_classic_step_moves_and_measures_as_written_out_by_hand(
    step: Step, by_hand: Callable[[Gan], list[float]], new_optimizer: NewOptimizer
) -> None:
    gan, expected = small_gan(new_optimizer), small_gan(new_optimizer)
    for _ in range(3):
        assert measured(step(gan, BATCH)) == by_hand(expected)
    assert_close(gan, expected, tolerance=0.0)


def test_a_penalty_of_weight_0_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(logits: Tensor, images: Tensor) -> Tensor:
        raise AssertionError

    monkeypatch.setattr(steps, "gradient_penalty", refuse)
    paired_step(paired_gan(), replace(LABELLED, penalty_weight=0.0))
    with pytest.raises(AssertionError):
        paired_step(paired_gan(), replace(LABELLED, penalty_weight=0.1))


@pytest.mark.parametrize(("trait_weight", "hidden_traits_share"), [(0.0, 0.0), (0.1, 0.0), (0.1, 1.0)])
@pytest.mark.parametrize("class_weight", [0.0, 0.5])
@pytest.mark.parametrize("gamma", [0.0, 0.02, 0.1])
def test_the_paired_step_moves_and_measures_as_written_out_by_hand(
    gamma: float, class_weight: float, trait_weight: float, hidden_traits_share: float
) -> None:
    gan, expected = paired_gan(descent), paired_gan(descent)
    for step in range(PENALTY_INTERVAL + 2):
        batch = replace(LABELLED, step=step, penalty_weight=gamma, class_weight=class_weight)
        batch = replace(batch, trait_weight=trait_weight, hidden_traits_share=hidden_traits_share)
        assert measured(paired_step(gan, batch)) == pytest.approx(paired_by_hand(expected, batch), rel=1e-4)
    assert_close(gan, expected, tolerance=1e-4)


def test_a_guide_moves_the_generator_as_written_out_by_hand() -> None:
    weights = torch.linspace(-1, 1, 5 * CLASSES).reshape(5, CLASSES)
    gan, expected, without = (
        replace(paired_gan(descent), guide=guide) for guide in (lambda images: images.flatten(1) @ weights,) * 2 + (None,)
    )
    for step in range(3):
        batch = replace(LABELLED, step=step, guidance_weight=0.5)
        assert measured(paired_step(gan, batch)) == pytest.approx(paired_by_hand(expected, batch), rel=1e-4)
        paired_step(without, batch)
    assert_close(gan, expected, tolerance=1e-4)
    first, second = (one.generator.state_dict()["body.3.weight"] for one in (gan, without))
    assert not torch.allclose(first, second)


def classifying_gan(slope: float) -> Gan:
    """Return tiny networks whose discriminator finds class 0 likelier in brighter images; with a negative slope, in darker ones.

    The generator's images are mostly darker than WHITE, so with a positive slope they are classified worse, else better.
    """
    gan = paired_gan(descent)
    assert isinstance(gan.discriminator, Classifying)
    with torch.no_grad():
        gan.discriminator.seen_class.weight.zero_()
        gan.discriminator.seen_class.weight[0] = slope
    return gan


WHITE = replace(LABELLED, real=torch.ones_like(REAL), condition=(torch.zeros_like(LABELS),), penalty_weight=0.0)


@pytest.mark.parametrize("slope", [0.3, -0.3], ids=["fakes are classified worse", "fakes are classified better"])
def test_classification_moves_the_generator_only_if_real_images_are_classified_better(slope: float) -> None:
    moved = []
    for weight in (0.0, 0.5):
        gan, batch = classifying_gan(slope), replace(WHITE, class_weight=weight)
        paired_step(gan, batch)
        moved.append(gan.generator.state_dict()["body.3.weight"])
    fake, gan = classifying_gan(slope).generator(LATENT, *WHITE.condition), classifying_gan(slope)
    of_fake, of_real = (
        class_entropy(gan.discriminator(images, LABELS, traits=LATENT)[1], *WHITE.condition) for images in (fake, WHITE.real)
    )
    assert (of_fake - of_real).item() * slope > 0.1
    assert torch.equal(*moved) == (slope < 0)


def test_the_traits_of_a_share_of_the_pairs_are_hidden_from_the_discriminator_throughout_a_step() -> None:
    gan, seen = paired_gan(), []

    def record(network: nn.Module, inputs: tuple[Tensor, ...], options: dict[str, Tensor]) -> None:
        seen.append(options["traits"].clone())

    gan.discriminator.register_forward_pre_hook(record, with_kwargs=True)
    torch.manual_seed(0)
    paired_step(gan, replace(LABELLED, trait_weight=0.1, hidden_traits_share=0.5))
    is_hidden = (seen[0] == 0).all(dim=1)
    assert 0 < is_hidden.sum() < len(LATENT)
    assert torch.equal(seen[0][~is_hidden], LATENT[~is_hidden])
    assert len(seen) >= 4
    assert all(torch.equal(traits, seen[0]) for traits in seen)


def test_the_discriminator_sees_no_image_but_its_view_and_that_shifted(monkeypatch: pytest.MonkeyPatch) -> None:
    gan, shares, seen = replace(paired_gan(), view=lambda images: images + 1000), [], []

    def far_away(images: Tensor, share: float, processes: Processes) -> Tensor:
        shares.append(share)
        assert (images > 990).all()
        return images - 900

    monkeypatch.setattr(steps, "shifted", far_away)
    gan.discriminator.register_forward_pre_hook(lambda network, inputs: seen.append(inputs[0].detach().clone()))
    paired_step(gan, replace(LABELLED, shifted_share=0.25))
    assert set(shares) == {0.25}
    assert len(seen) >= 3
    assert all(((images > 90) & (images < 110)).all() for images in seen)


@pytest.mark.parametrize("step", STEPS)
def test_both_networks_get_the_classes_of_the_real_images(step: Step) -> None:
    gan, given = paired_gan() if step is paired_step else small_gan(classes=CLASSES), []
    for network in (gan.generator, gan.discriminator):
        network.register_forward_pre_hook(lambda network, inputs: given.append((len(inputs[0]), inputs[1].tolist())))
    step(gan, LABELLED)
    assert len(given) >= 3
    assert all(labels == LABELS.tolist() and images == len(LABELS) for images, labels in given)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_leaves_its_batch_as_it_is(step: Step) -> None:
    step(paired_gan() if step is paired_step else small_gan(), LABELLED if step is paired_step else BATCH)
    assert not REAL.requires_grad


def bfloat16(cache_enabled: bool = True) -> torch.autocast:
    """Return a context in which layers compute in bfloat16."""
    return torch.autocast("cpu", torch.bfloat16, cache_enabled=cache_enabled)


def test_the_alternating_step_in_bfloat16_uses_the_moved_discriminator() -> None:
    gan, expected = small_gan(), small_gan()
    for _ in range(3):
        with bfloat16(cache_enabled=False):
            alternating_step(gan, BATCH)
        alternating_by_hand(expected, bfloat16)
    assert_close(gan, expected, tolerance=0.0)


def test_the_paired_step_in_bfloat16_ends_near_that_in_float32() -> None:
    gan, expected = paired_gan(descent), paired_gan(descent)
    with bfloat16(cache_enabled=False):
        paired_step(gan, LABELLED)
    paired_step(expected, LABELLED)
    assert_close(gan, expected, tolerance=0.05)
    with pytest.raises(AssertionError):
        assert_close(gan, expected, tolerance=0.0)
