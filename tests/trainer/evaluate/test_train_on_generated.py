"""Right labels teach, wrong ones do not, and the augmentation moves digits only a little."""

import numpy as np
import pytest
import torch

from pocketgan_trainer.data.published import Digits, load_mnist
from pocketgan_trainer.errors import DataError
from pocketgan_trainer.evaluate.classifiers import classifier_accuracy, moved


@pytest.fixture(scope="module")
def test_digits() -> Digits:
    mnist = load_mnist(split="test")
    return Digits(mnist.images[5000:6000], mnist.labels[5000:6000])


def test_two_thousand_real_digits_teach_to_read(digits: Digits, test_digits: Digits) -> None:
    assert classifier_accuracy(digits.images, digits.labels, test_digits, steps=60) > 0.95


def test_shuffled_labels_teach_nothing(digits: Digits, test_digits: Digits) -> None:
    shuffled = np.random.default_rng(0).permutation(digits.labels)
    assert classifier_accuracy(digits.images, shuffled, test_digits, steps=15) < 0.2


def test_one_class_for_another_is_read_wrongly(digits: Digits, test_digits: Digits) -> None:
    turned = ((digits.labels + 1) % 10).astype(np.int64)
    assert classifier_accuracy(digits.images, turned, test_digits, steps=15) < 0.1


def test_one_seed_gives_one_result(digits: Digits, test_digits: Digits) -> None:
    results = [classifier_accuracy(digits.images, digits.labels, test_digits, seed=seed, steps=1) for seed in (3, 3, 4)]
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_a_label_for_each_image_is_expected(digits: Digits, test_digits: Digits) -> None:
    with pytest.raises(DataError, match="2000 images with 1999 labels"):
        classifier_accuracy(digits.images, digits.labels[1:], test_digits)


def test_less_than_a_batch_is_an_error(digits: Digits, test_digits: Digits) -> None:
    with pytest.raises(DataError, match="at least 128"):
        classifier_accuracy(digits.images[:127], digits.labels[:127], test_digits)


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
