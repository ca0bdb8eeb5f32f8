"""The project's own networks: what goes in and comes out, how the class enters, and that images are judged one by one."""

import math

import pytest
import torch
from torch import nn

from pocketgan_trainer.networks.canvas_networks import canvas_discriminator
from pocketgan_trainer.networks.conditional import ONE_HOT_VALUE
from pocketgan_trainer.networks.pocket import (
    ClassDeviation,
    GreyLevelRounding,
    PocketDiscriminator,
    PocketGenerator,
    strided_discriminator,
)
from pocketgan_trainer.networks.straight_through import LEAK, MARGIN
from pocketgan_trainer.training.presets import PRESETS

LATENT_SIZE = 8
CLASSES = 10
LABELS = torch.arange(CLASSES)


@pytest.fixture
def generator() -> PocketGenerator:
    """A small generator that has seen a few batches, so that its running statistics suit it."""
    generator = PocketGenerator(CLASSES, 28, LATENT_SIZE, channels=(6, 5, 4), detail_channels=3)
    for _ in range(20):
        generator(torch.randn(20, LATENT_SIZE), torch.randint(10, (20,)))
    return generator.eval()


@pytest.fixture
def discriminator() -> PocketDiscriminator:
    """The discriminator of a preset, with class weights large enough to matter."""
    discriminator = PRESETS["nano"].build_discriminator(10, 28)
    assert isinstance(discriminator, PocketDiscriminator)
    assert discriminator.of_class is not None
    nn.init.normal_(discriminator.of_class.weight)
    return discriminator


def test_generator_draws_one_image_of_grey_levels_for_each_latent(generator: PocketGenerator) -> None:
    images = generator(torch.randn(3, LATENT_SIZE), torch.tensor([0, 9, 9]))
    assert images.shape == (3, 1, 28, 28)
    assert images.dtype == torch.float32
    levels = (images + 1) * 127.5
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-4)
    assert levels.min() >= 0
    assert levels.max() <= 255
    assert len(levels.round().unique()) > 10


@pytest.mark.parametrize("channels", [(6, 5, 4), (3, 5, 7)])
def test_features_grow_from_7_to_28_pixels_with_the_given_channels(channels: tuple[int, int, int]) -> None:
    generator = PocketGenerator(CLASSES, 28, LATENT_SIZE, channels, detail_channels=2)
    values, shapes = torch.randn(2, LATENT_SIZE + CLASSES), []
    for module in generator.body:
        values = module(values)
        if isinstance(module, nn.Unflatten | nn.PixelShuffle):
            shapes.append(tuple(values.shape[1:]))
    coarse, middle, fine = channels
    assert shapes == [(coarse, 7, 7), (middle, 14, 14), (fine, 28, 28)]
    assert values.shape == (2, 1, 28, 28)


def test_the_class_is_one_hot_among_the_inputs(generator: PocketGenerator) -> None:
    latent, label = torch.randn(4, LATENT_SIZE), torch.tensor([3, 0, 9, 3])
    inputs = torch.zeros(4, LATENT_SIZE + 10)
    inputs[:, :LATENT_SIZE] = latent
    for row, digit in enumerate(label.tolist()):
        inputs[row, LATENT_SIZE + digit] = ONE_HOT_VALUE
    assert torch.equal(generator(latent, label), generator.body(inputs))


def test_every_weight_of_the_generator_gets_a_gradient() -> None:
    generator = PocketGenerator(CLASSES, 28, LATENT_SIZE, channels=(6, 5, 4), detail_channels=3)
    images = generator(torch.randn(20, LATENT_SIZE), torch.arange(20) % 10)
    (images - torch.randn_like(images)).square().sum().backward()
    for name, weight in generator.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


@pytest.mark.parametrize(("output", "width"), [(0, 1), (1, 10)], ids=["realism", "class"])
def test_discriminator_gives_one_float32_logit_an_image_and_one_a_class(
    discriminator: PocketDiscriminator, output: int, width: int
) -> None:
    images, label = torch.randn(3, 1, 28, 28), torch.tensor([1, 2, 1])
    logits = discriminator(images, label)[output]
    assert (logits.shape, logits.dtype) == ((3, width), torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        rough = discriminator(images, label)[output]
    assert (rough.shape, rough.dtype) == ((3, width), torch.float32)
    torch.testing.assert_close(rough, logits, rtol=0.1, atol=0.1)


def test_the_class_enters_the_logit_as_a_projection_and_not_the_classifier(discriminator: PocketDiscriminator) -> None:
    images, label = torch.randn(10, 1, 28, 28), LABELS.flip(0)
    features = discriminator.body(images)
    logits, class_logits, _ = discriminator(images, label)
    assert discriminator.of_class is not None
    assert discriminator.seen_class is not None
    weight, (bias,) = discriminator.realism.weight[0], discriminator.realism.bias
    directions = weight + discriminator.of_class.weight[label] / math.sqrt(len(weight))
    torch.testing.assert_close(logits[:, 0], (features * directions).sum(dim=1) + bias, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(class_logits, discriminator.seen_class(features))


def test_traits_enter_the_logit_as_a_projection_and_are_read_from_the_image() -> None:
    discriminator = canvas_discriminator(10, 28, traits=3).eval()
    images, traits = torch.randn(10, 1, 20, 20), torch.randn(10, 3)
    without, given = discriminator(images, LABELS), discriminator(images, LABELS, traits)
    assert discriminator.of_traits is not None
    assert given.traits is not None
    slopes = torch.autograd.grad(discriminator(images, LABELS, traits.requires_grad_()).logits.sum(), traits)[0]
    torch.testing.assert_close(given.logits - without.logits, (slopes * traits).sum(dim=1, keepdim=True), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(given.traits, without.traits)
    assert canvas_discriminator(10, 28, traits=0)(images, LABELS, traits).traits is None


def test_each_logit_depends_on_its_own_image_and_class_alone(discriminator: PocketDiscriminator) -> None:
    """Real and generated images are judged in one batch, which must not make a difference."""
    images = torch.randn(10, 1, 28, 28)
    together = discriminator(images, LABELS)
    for row in range(10):
        alone = discriminator(images[row : row + 1], LABELS[row : row + 1])
        for logits, own in zip(together[:2], alone[:2], strict=True):
            torch.testing.assert_close(logits[row : row + 1], own, rtol=1e-4, atol=1e-5)


def test_without_classes_there_are_no_weights_for_them() -> None:
    assert not any("class" in name for name, _ in strided_discriminator(0, 28, (4, 5, 6), 7).named_parameters())
    generator = PocketGenerator(0, 28, LATENT_SIZE, (6, 5, 4), 3)
    assert next(generator.parameters()).shape == (6 * 7 * 7, LATENT_SIZE)


LEVELS = torch.arange(256)


def gradient_at(brightness: float, gradient: float) -> float:
    """Return the gradient with respect to one brightness if that of its grey level is `gradient`."""
    value = torch.tensor([brightness], requires_grad=True)
    (found,) = torch.autograd.grad(GreyLevelRounding()(value), value, torch.tensor([gradient]))
    return float(found.item())


@pytest.mark.parametrize("offset", [-0.49, 0.0, 0.49])
def test_brightness_is_rounded_to_the_nearest_of_256_levels(offset: float) -> None:
    assert torch.equal(GreyLevelRounding()((LEVELS + offset) / 255), LEVELS / 127.5 - 1)


@pytest.mark.parametrize(("brightness", "level"), [(-1e-9, -1.0), (-1e9, -1.0), (1 + 1e-6, 1.0), (7.0, 1.0)])
def test_values_outside_the_range_are_black_or_white(brightness: float, level: float) -> None:
    assert GreyLevelRounding()(torch.tensor(brightness)).item() == level


@pytest.mark.parametrize("brightness", [0.0, 0.5 / 255, 1.0])
@pytest.mark.parametrize("gradient", [-3.0, 0.5])
def test_the_gradient_inside_the_range_ignores_the_rounding(brightness: float, gradient: float) -> None:
    assert gradient_at(brightness, gradient) == 2 * gradient


@pytest.mark.parametrize("brightness", [-1e-6, 1.1])
@pytest.mark.parametrize("gradient", [-3.0, 0.5])
def test_a_share_of_the_gradient_is_kept_outside_the_range(brightness: float, gradient: float) -> None:
    assert 0 < LEAK < 1
    assert gradient_at(brightness, gradient) == pytest.approx(2 * LEAK * gradient)


@pytest.mark.parametrize(("brightness", "inwards"), [(-MARGIN - 1e-3, -1.0), (-5.0, -1.0), (1 + MARGIN + 1e-3, 1.0), (9.0, 1.0)])
def test_far_outside_only_a_gradient_that_pulls_inwards_is_kept(brightness: float, inwards: float) -> None:
    assert gradient_at(brightness, inwards) == pytest.approx(2 * LEAK * inwards)
    assert gradient_at(brightness, -inwards) == 0


def test_bfloat16_comes_out_as_exact_levels_in_float32() -> None:
    brightness = torch.rand(1000).bfloat16().requires_grad_()
    image = GreyLevelRounding()(brightness)
    assert image.dtype == torch.float32
    assert torch.equal(image, GreyLevelRounding()(brightness.detach().float()))
    image.sum().backward()
    assert brightness.grad is not None
    assert brightness.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("has_labels", [False, True])
def test_the_class_deviation_is_that_of_the_images_of_a_class_in_the_mean(has_labels: bool) -> None:
    features = torch.randn((40, 5, 4, 3), generator=torch.Generator().manual_seed(0))
    label = torch.arange(40) % 3 * 2 if has_labels else torch.zeros(40, dtype=torch.int64)
    features += label[:, None, None, None] * 10  # between classes, which must not count
    seen = ClassDeviation()(features, label if has_labels else None)
    assert torch.equal(seen[:, :5], features)
    for kind in label.unique().tolist():
        expected = features[label == kind].numpy().std(axis=0).mean().item()
        assert seen[label == kind, 5].flatten().tolist() == pytest.approx([expected] * 12 * int((label == kind).sum()), abs=1e-4)


def test_equal_images_and_single_ones_have_no_deviation_and_finite_gradients() -> None:
    features = torch.ones(5, 2, 2, 2, requires_grad=True)
    deviations = ClassDeviation()(features, torch.tensor([0, 0, 0, 1, 7]))[:, 2]
    assert deviations.max() < 2e-3
    deviations.sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()
