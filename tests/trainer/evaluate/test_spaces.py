"""The space of pixel components, and that the Frechet distance in it grows with damage."""

import numpy as np
import pytest
from numpy.typing import NDArray
from quick_evaluation import blurred, coarse_spaces

from pocketgan_trainer.evaluate import spaces
from pocketgan_trainer.evaluate.distances import frechet_distance
from pocketgan_trainer.evaluate.spaces import PixelSpace, fit_pixel_space, project

COMPONENTS = 64


@pytest.fixture(scope="module")
def space(images: NDArray[np.uint8]) -> PixelSpace:
    """The pixel space of real digits."""
    return fit_pixel_space(images, COMPONENTS)


def distance(space: PixelSpace, one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the Frechet distance between images in the space."""
    return frechet_distance(project(space, one), project(space, other))


def test_the_space_is_that_of_the_leading_principal_components(space: PixelSpace, images: NDArray[np.uint8]) -> None:
    pixels = images.reshape(len(images), -1) / 255.0
    np.testing.assert_allclose(space.center, pixels.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(space.components.T @ space.components, np.eye(COMPONENTS), atol=1e-9)
    spectrum = np.linalg.svd(pixels - pixels.mean(axis=0), compute_uv=False) ** 2 / (len(images) - 1)
    projected = (pixels - space.center) @ space.components
    np.testing.assert_allclose(np.cov(projected.T), np.diag(spectrum[:COMPONENTS]), atol=1e-4)


def test_coordinates_rebuild_the_images_but_for_the_components_left_out(images: NDArray[np.uint8]) -> None:
    few, some = images[:50], images[:50].reshape(50, -1) / 255.0
    errors = []
    for components in (16, 64, 256):
        space = fit_pixel_space(images, components)
        coordinates = project(space, few)
        assert coordinates.dtype == np.float32
        assert coordinates.shape == (50, components)
        errors.append(float(((coordinates @ space.components.T + space.center - some) ** 2).mean()))
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 1e-3


def test_coordinates_do_not_depend_on_the_other_images(
    space: PixelSpace, images: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = project(space, images[:500])
    monkeypatch.setattr(spaces, "_BLOCK_IMAGES", 77)
    np.testing.assert_allclose(project(space, images[:500]), whole, atol=1e-6)


def test_selected_images_keep_their_own_coordinates(images: NDArray[np.uint8]) -> None:
    rows, all_spaces = np.array([7, 2, 7]), coarse_spaces(images)
    selected, alone = all_spaces.locate(images[:20]).at(rows), all_spaces.locate(images[rows])
    np.testing.assert_array_equal(selected.pixels, images[rows])
    np.testing.assert_array_equal(selected.probabilities, alone.probabilities)
    for space, features in alone.features.items():
        np.testing.assert_allclose(selected.features[space], features, atol=1e-6)


def test_other_real_digits_are_nearer_than_any_damage(images: NDArray[np.uint8]) -> None:
    one, other = images[:1000], images[1000:]
    space = fit_pixel_space(one, COMPONENTS)
    floor = distance(space, other, one)
    assert 0 < floor < distance(space, blurred(other), one)
    assert floor < distance(space, np.roll(other, 1, axis=2), one)
    assert floor < distance(space, 255 - other, one)
    assert floor < distance(space, np.repeat(other[:10], 100, axis=0), one)  # mode collapse


def test_images_are_not_changed(images: NDArray[np.uint8]) -> None:
    before = images[:100].copy()
    project(fit_pixel_space(images[:100], COMPONENTS), images[:100])
    np.testing.assert_array_equal(images[:100], before)
