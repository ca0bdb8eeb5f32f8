"""Networks trained for figures: how they are trained, and what generated digits teach."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pocketgan_trainer.data.published import Digits, load_mnist
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate import classifiers
from pocketgan_trainer.evaluate.classifiers import (
    Recipe,
    classifier_accuracy,
    convolution,
    moved,
    predict,
    train_classifier,
)

RECIPE = Recipe(batch_size=32, peak_learning_rate=1e-2, weight_decay=0.01)


def build() -> nn.Sequential:
    return nn.Sequential(*convolution(1, 4), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(4 * 49, 2))


def sides(count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return noisy images, brighter in the left (0) or right (1) half, and which."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, count)
    images = random.integers(0, 200, (count, 28, 28))
    images[:, :, :14] += 40 * (1 - labels)[:, None, None]
    images[:, :, 14:] += 40 * labels[:, None, None]
    return images.astype(np.uint8), labels


def weights(network: nn.Module) -> Tensor:
    return torch.cat([value.flatten().double() for value in network.state_dict().values()])


def test_what_can_be_learned_is_learned() -> None:
    images, labels = sides(640)
    network = train_classifier(build, images[:320], labels[:320], RECIPE, steps=40, seed=0)
    assert np.mean(predict(network, images[320:]) == labels[320:]) > 0.95


def test_weights_follow_from_the_seed_alone() -> None:
    images, labels = sides(100)
    before = torch.get_rng_state()
    first = train_classifier(build, images, labels, RECIPE, steps=5, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(10)
    again = train_classifier(build, images, labels, RECIPE, steps=5, seed=1)
    other = train_classifier(build, images, labels, RECIPE, steps=5, seed=2)
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))


def test_all_images_are_seen_before_any_is_seen_again() -> None:
    images = np.repeat(np.arange(50, dtype=np.uint8), 28 * 28).reshape(50, 28, 28)
    seen: list[int] = []

    def watch(batch: Tensor, generator: torch.Generator) -> Tensor:
        seen.extend((batch[:, 0, 0, 0] * 256).int().tolist())
        return batch

    train_classifier(build, images, np.zeros(50, np.int64), RECIPE, steps=25, seed=0, augment=watch)
    assert len(seen) >= 25 * 32
    assert all(sorted(seen[start : start + 50]) == list(range(50)) for start in range(0, 25 * 32, 50))
    assert seen[:50] != seen[50:100]


def test_images_enter_as_exact_multiples_of_their_grey_levels() -> None:
    images = np.arange(256, dtype=np.uint8).repeat(28 * 28).reshape(256, 28, 28)
    entered: list[Tensor] = []

    class Watch(nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            entered.append(pixels)
            return pixels.mean(dim=(1, 2, 3))[:, None]

    predict(Watch(), images)
    (pixels,) = entered
    assert pixels.shape == (256, 1, 28, 28)
    assert torch.equal(pixels[:, 0, 5, 5] * 256, torch.arange(256.0))
    assert torch.equal(pixels.bfloat16().float(), pixels)


def test_batch_normalization_is_settled_after_a_single_step() -> None:
    images, labels = sides(640)
    network = train_classifier(build, images, labels, RECIPE, steps=1, seed=0)
    assert isinstance(network, nn.Sequential)
    with torch.inference_mode():
        normalized = network[:2](torch.from_numpy(images)[:, None].float() / 256)
    torch.testing.assert_close(normalized.mean(dim=(0, 2, 3)), network[1].bias, atol=0.02, rtol=0)
    torch.testing.assert_close(normalized.std(dim=(0, 2, 3)), network[1].weight, atol=0.02, rtol=0)


def test_prediction_does_not_depend_on_the_batch() -> None:
    images, labels = sides(700)
    network = train_classifier(build, images[:100], labels[:100], RECIPE, steps=10, seed=0)
    assert not network.training
    together = predict(network, images)
    np.testing.assert_array_equal(together[600:], predict(network, images[600:]))
    assert together.dtype == np.int64


@pytest.fixture
def few_normalized(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settle batch normalization by 3 batches, since the tests of the seed and of labels need no more."""
    monkeypatch.setattr(classifiers, "_NORMALIZED_BATCHES", 3)


@pytest.fixture(scope="module")
def some_test_digits() -> Digits:
    """400 test digits."""
    mnist = load_mnist(split="test")
    return Digits(mnist.images[5000:5400], mnist.labels[5000:5400])


def test_digits_are_read_as_the_labels_say(digits: Digits, some_test_digits: Digits) -> None:
    turned = Digits(some_test_digits.images, (some_test_digits.labels + 1) % 10)
    assert classifier_accuracy(digits.images, (digits.labels + 1) % 10, turned, steps=30) > 0.9


@pytest.mark.usefixtures("few_normalized")
def test_one_seed_gives_one_figure(digits: Digits, some_test_digits: Digits) -> None:
    results = [classifier_accuracy(digits.images, digits.labels, some_test_digits, seed, steps=1) for seed in (3, 3, 4)]
    assert results[0] == results[1] != results[2]


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (lambda digits: classifier_accuracy(digits.images, digits.labels[1:], digits), "2000 images with 1999 labels"),
        (lambda digits: classifier_accuracy(digits.images[:127], digits.labels[:127], digits), "at least 128"),
    ],
    ids=["a label for each image", "less than a batch"],
)
def test_images_that_cannot_be_learned_from_are_refused(digits: Digits, measure: Callable[[Digits], float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        measure(digits)


def test_movement_is_small_and_differs_between_images() -> None:
    dot = torch.zeros(500, 1, 28, 28)
    dot[:, :, 9:11, 17:19] = 1  # its middle 4 pixels above and to the right of the image's
    after = moved(dot, torch.Generator().manual_seed(0))
    weights = after / after.sum(dim=(2, 3), keepdim=True)
    places = torch.arange(28.0) + 0.5
    rows, columns = (weights.sum(dim=3) * places).sum(dim=2), (weights.sum(dim=2) * places).sum(dim=2)
    for found, before in ((rows, 10), (columns, 18)):
        assert (found - before).abs().max() < 4.5
        assert found.std() > 0.8
        assert found.mean().item() == pytest.approx(before, abs=0.25)


def test_a_digit_is_never_mirrored() -> None:
    left = torch.zeros(200, 1, 28, 28)
    left[:, :, 4:24, 6:10] = 1
    after = moved(left, torch.Generator().manual_seed(0))
    assert (after[..., :14].sum(dim=(1, 2, 3)) > 2 * after[..., 14:].sum(dim=(1, 2, 3))).all()


def test_movement_is_affine() -> None:
    generators = torch.Generator().manual_seed(7), torch.Generator().manual_seed(7)
    # Grey levels that rise evenly to the right still rise evenly after it, in the middle of the image.
    ramp = torch.arange(28.0).expand(20, 1, 28, 28).contiguous() / 28
    middle = moved(ramp, generators[0])[..., 8:20, 8:20]
    torch.testing.assert_close(middle.diff(n=2, dim=3), torch.zeros(20, 1, 12, 10), atol=1e-4, rtol=0)
    torch.testing.assert_close(middle.diff(n=2, dim=2), torch.zeros(20, 1, 10, 12), atol=1e-4, rtol=0)
    torch.testing.assert_close(moved(ramp, generators[1])[..., 8:20, 8:20], middle)
