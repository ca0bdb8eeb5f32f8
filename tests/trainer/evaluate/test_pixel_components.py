"""The space of pixel components, and the pixel Frechet distance against closed forms and that it grows with damage."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketgan_trainer.evaluate import pixel_components
from pocketgan_trainer.evaluate.pixel_components import PixelSpace, fit_pixel_space, pixel_frechet, project

COMPONENTS = 64


@pytest.fixture(scope="module")
def space(images: NDArray[np.uint8]) -> PixelSpace:
    """The pixel space of real digits."""
    return fit_pixel_space(images, COMPONENTS)


def blurred(images: NDArray[np.uint8], times: int) -> NDArray[np.uint8]:
    """Return images averaged with their four neighbours, again and again."""
    values = images.astype(np.float64)
    for _ in range(times):
        neighbours = [np.roll(values, shift, axis) for shift in (-1, 1) for axis in (1, 2)]
        values = (values + sum(neighbours)) / 5
    return np.rint(values).astype(np.uint8)


def walsh_images(means: NDArray[np.int64], amplitudes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return 128 images of 64 pixels whose pixels have exactly these means, in grey levels, and do not correlate.

    Pixel j is mean j plus or minus amplitude j, in the order of the signs of a column of Sylvester's Hadamard matrix.
    """
    signs = np.ones((1, 1), dtype=np.int64)
    while len(signs) < 128:
        signs = np.block([[signs, signs], [signs, -signs]])
    return (means + amplitudes * signs[:, 1 : COMPONENTS + 1]).astype(np.uint8).reshape(128, 8, 8)


@pytest.mark.parametrize("name", ["the same", "shifted", "wider", "both"])
def test_distance_of_independent_gaussians_has_a_closed_form(name: str) -> None:
    means, amplitudes = np.arange(COMPONENTS) + 60, np.arange(COMPONENTS) // 2 + 5
    other_means = means + (np.arange(COMPONENTS) % 7) * (name in ("shifted", "both"))
    other_amplitudes = amplitudes + (np.arange(COMPONENTS) % 5) * (name in ("wider", "both"))

    unbiased = 128 / 127
    space = PixelSpace(means / 255, np.eye(COMPONENTS), unbiased * (amplitudes / 255) ** 2)
    shift = ((other_means - means) / 255) ** 2
    spread = unbiased * ((other_amplitudes - amplitudes) / 255) ** 2
    distance = pixel_frechet(space, walsh_images(other_means, other_amplitudes))
    assert distance == pytest.approx(shift.sum() + spread.sum(), rel=1e-9, abs=1e-12)


def test_distance_of_correlated_gaussians_is_the_formula_of_dowson_and_landau(
    space: PixelSpace, images: NDArray[np.uint8]
) -> None:
    others = blurred(images[:500], 1)
    projected = (others.reshape(500, -1) / 255 - space.center) @ space.components
    covariance = np.cov(projected.T)
    # tr sqrt(R C) from the eigenvalues of the product itself, which is not symmetric.
    eigenvalues = np.linalg.eigvals(np.diag(space.variances) @ covariance).real.clip(0)
    expected = (projected.mean(axis=0) ** 2).sum() + space.variances.sum() + np.trace(covariance) - 2 * np.sqrt(eigenvalues).sum()
    assert pixel_frechet(space, others) == pytest.approx(expected, rel=1e-6)


def test_the_space_is_that_of_the_leading_principal_components(space: PixelSpace, images: NDArray[np.uint8]) -> None:
    pixels = images.reshape(len(images), -1) / 255.0
    np.testing.assert_allclose(space.center, pixels.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(space.components.T @ space.components, np.eye(COMPONENTS), atol=1e-9)
    spectrum = np.linalg.svd(pixels - pixels.mean(axis=0), compute_uv=False) ** 2 / (len(images) - 1)
    np.testing.assert_allclose(space.variances, spectrum[:COMPONENTS], rtol=1e-4)
    projected = (pixels - space.center) @ space.components
    np.testing.assert_allclose(np.cov(projected.T), np.diag(space.variances), atol=1e-4)


def test_fewer_components_are_the_first_of_more(space: PixelSpace, images: NDArray[np.uint8]) -> None:
    smaller = fit_pixel_space(images, 5)
    np.testing.assert_array_equal(smaller.components, space.components[:, :5])
    np.testing.assert_array_equal(smaller.variances, space.variances[:5])


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
    monkeypatch.setattr(pixel_components, "_BLOCK_IMAGES", 77)
    np.testing.assert_allclose(project(space, images[:500]), whole, atol=1e-6)


def test_the_same_images_are_at_no_distance(space: PixelSpace, images: NDArray[np.uint8]) -> None:
    assert pixel_frechet(space, images) == pytest.approx(0, abs=1e-4)


def test_other_real_digits_are_nearer_than_any_damage(space: PixelSpace, images: NDArray[np.uint8]) -> None:
    half = fit_pixel_space(images[:1000], COMPONENTS)
    floor = pixel_frechet(half, images[1000:])
    assert 0 < floor < pixel_frechet(half, blurred(images[1000:], 1))
    assert floor < pixel_frechet(half, np.roll(images[1000:], 1, axis=2))
    assert floor < pixel_frechet(half, 255 - images[1000:])
    assert floor < pixel_frechet(half, np.repeat(images[1000:1010], 100, axis=0))  # mode collapse


def test_distance_grows_with_blur(space: PixelSpace, images: NDArray[np.uint8]) -> None:
    distances = [pixel_frechet(space, blurred(images, times)) for times in (0, 1, 2, 4, 8)]
    assert distances == sorted(distances)
    assert distances[1] > 100 * abs(distances[0])


def test_distance_does_not_depend_on_the_order_of_the_images(space: PixelSpace, images: NDArray[np.uint8]) -> None:
    some = blurred(images[:500], 1)
    shuffled = some[np.random.default_rng(0).permutation(500)]
    assert pixel_frechet(space, shuffled) == pytest.approx(pixel_frechet(space, some), rel=1e-9)
    assert fit_pixel_space(images[::-1], COMPONENTS).variances == pytest.approx(space.variances, rel=1e-4)


def test_images_are_not_changed(images: NDArray[np.uint8]) -> None:
    before = images[:100].copy()
    pixel_frechet(fit_pixel_space(images[:100], COMPONENTS), images[:100])
    np.testing.assert_array_equal(images[:100], before)
