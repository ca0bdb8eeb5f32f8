"""Training is what its seed says, sees every image, and leaves everything else as it was."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pocketgan_trainer.evaluate.classifiers import Recipe, convolution, predict, train_classifier

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
    first = train_classifier(build, images, labels, RECIPE, steps=5, seed=1)
    torch.rand(10)
    again = train_classifier(build, images, labels, RECIPE, steps=5, seed=1)
    other = train_classifier(build, images, labels, RECIPE, steps=5, seed=2)
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))


def test_the_random_state_is_left_as_it_was() -> None:
    images, labels = sides(64)
    before = torch.get_rng_state()
    train_classifier(build, images, labels, RECIPE, steps=2, seed=1)
    assert torch.equal(torch.get_rng_state(), before)


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
