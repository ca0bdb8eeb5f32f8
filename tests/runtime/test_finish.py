"""Images made larger, smaller or dark on white: of the size that was asked for, the same digits."""

import numpy as np
import pytest

from pocketgan.finish import finished
from pocketgan.generator import Batch, Generator


def test_without_a_wish_images_stay_as_they_are(tiny: Generator) -> None:
    (batch,) = finished(tiny.stream(10), None, is_inverted=False)
    np.testing.assert_array_equal(batch.images, tiny.generate(10))


def test_inverted_images_are_dark_on_white(tiny: Generator) -> None:
    (batch,) = finished(tiny.stream(10), None, is_inverted=True)
    np.testing.assert_array_equal(batch.images, 255 - tiny.generate(10))
    assert batch.images.dtype == np.uint8


@pytest.mark.parametrize(("height", "shape"), [(56, (56, 112)), (7, (7, 14)), (1, (1, 2)), (280, (280, 560))])
def test_images_keep_their_proportions(height: int, shape: tuple[int, int]) -> None:
    images = np.full((3, 28, 56), 200, np.uint8)
    (batch,) = finished([Batch(5, images, None)], height, is_inverted=False)
    assert batch.images.shape == (3, *shape)
    assert batch.start == 5
    assert (batch.images == 200).all()


def test_an_image_enlarged_and_reduced_again_is_nearly_itself() -> None:
    images = Generator.load("pocket").generate(20)
    (large,) = finished([Batch(0, images, None)], 280, is_inverted=False)
    (small,) = finished([large], 28, is_inverted=False)
    assert np.abs(small.images.astype(int) - images).mean() < 3


def test_labels_stay_with_their_images(conditional: Generator) -> None:
    for before, after in zip(conditional.stream(130), finished(conditional.stream(130), 14, is_inverted=True), strict=True):
        assert (after.start, len(after.images)) == (before.start, len(before.images))
        assert before.labels is not None
        assert after.labels is not None
        np.testing.assert_array_equal(after.labels, before.labels)
