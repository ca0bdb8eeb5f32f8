"""Slant, thickness and width: of drawn strokes, and as scikit-image's moments and medial axis give them."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage.measure import moments_central, regionprops
from skimage.morphology import medial_axis
from skimage.transform import AffineTransform, warp

from pocketgan import Generator
from pocketgan_trainer.data.published import Digits
from pocketgan_trainer.evaluate import handwriting as handwriting_module
from pocketgan_trainer.evaluate.handwriting import ENLARGED, handwriting, handwriting_of_some, trait_distance


def stroke(slant_degrees: float, thickness: float, height: int = 18) -> NDArray[np.uint8]:
    """Return a straight stroke, uint8 [28, 28], drawn at 16 times the size and reduced."""
    scale, half = 16, height / 2
    lean = np.tan(np.radians(slant_degrees)) * half
    side = thickness / np.cos(np.radians(slant_degrees)) / 2  # half of how wide it is along a row
    corners = [
        (14 + lean + side, 14 - half),
        (14 - lean + side, 14 + half),
        (14 - lean - side, 14 + half),
        (14 + lean - side, 14 - half),
    ]
    large = Image.new("L", (28 * scale, 28 * scale))
    ImageDraw.Draw(large).polygon([(scale * x, scale * y) for x, y in corners], fill=255)
    return np.asarray(large.resize((28, 28), Image.Resampling.BOX))


@pytest.mark.parametrize("slant_degrees", [-30, 0, 20])
@pytest.mark.parametrize("thickness", [2, 3.5])
def test_a_stroke_is_as_slanted_and_thick_and_wide_as_it_was_drawn(slant_degrees: float, thickness: float) -> None:
    ((slant, measured_thickness, width),) = handwriting(stroke(slant_degrees, thickness)[None])
    assert slant == pytest.approx(slant_degrees, abs=1)
    assert measured_thickness == pytest.approx(thickness, abs=0.3)
    assert width == pytest.approx(thickness / np.cos(np.radians(slant_degrees)), abs=0.4)


def enlarged_ink(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where the ink of an image is at ENLARGED times its size, computed for the whole image."""
    levels = np.asarray(Image.fromarray(image).resize((28 * ENLARGED, 28 * ENLARGED), Image.Resampling.BICUBIC))
    return levels > levels.max() / 2


def test_digits_have_the_slant_and_the_thickness_that_scikit_image_finds(digits: Digits) -> None:
    images = digits.images[:100]
    slants, thicknesses, _ = handwriting(images).T
    moments = [moments_central(enlarged_ink(image).astype(float), order=2) for image in images]
    assert slants == pytest.approx([np.degrees(np.arctan(-moment[1, 1] / moment[2, 0])) for moment in moments], abs=0.3)
    axes = [medial_axis(enlarged_ink(image), return_distance=True, rng=0) for image in images]
    others = np.array([2 * distance[skeleton].mean() / ENLARGED for skeleton, distance in axes])
    assert np.corrcoef(thicknesses, others)[0, 1] > 0.98


def test_digits_have_the_width_of_the_box_that_scikit_image_finds_once_they_are_upright(digits: Digits) -> None:
    images = digits.images[:100]
    slants, _, widths = handwriting(images).T
    others = []
    for image, slant in zip(images, slants, strict=True):
        ink = np.pad(enlarged_ink(image), 100)
        lean = np.tan(np.radians(slant))
        upright = AffineTransform(np.array([[1, -lean, lean * len(ink) / 2], [0, 1, 0], [0, 0, 1]]))
        (found,) = regionprops((warp(ink.astype(float), upright) > 0.5).astype(int))
        _, left, _, right = found.bbox
        others.append((right - left) / ENLARGED)
    # Theirs reaches to the last pixels on both sides, ours leaves out 2 % of the ink on each.
    assert np.corrcoef(widths, others)[0, 1] > 0.98
    assert 0.8 < (widths / others).mean() < 1


def test_shear_changes_the_slant_and_not_the_width() -> None:
    box = np.zeros((28, 28), np.uint8)
    box[5:23, 9:19] = 255
    box[7:21, 11:17] = 0
    sheared = np.stack([np.roll(row, (14 - number) // 3) for number, row in enumerate(box)])
    (upright, _, width), (slanted, _, other_width) = handwriting(np.stack([box, sheared]))
    assert upright == pytest.approx(0, abs=0.1)
    assert slanted == pytest.approx(np.degrees(np.arctan(1 / 3)), abs=1)
    assert width == pytest.approx(10, abs=0.5)
    assert other_width == pytest.approx(width, abs=1)


def test_what_has_no_ink_has_no_traits() -> None:
    dot = np.zeros((28, 28), np.uint8)
    dot[14, 14] = 200
    traits = handwriting(np.stack([np.zeros((28, 28), np.uint8), dot]))
    assert np.isnan(traits[0]).all()
    assert np.isfinite(traits[1]).all()
    assert handwriting(np.zeros((0, 28, 28), np.uint8)).shape == (0, 3)


def test_distances_of_traits_are_those_of_their_distributions(digits: Digits) -> None:
    slants = handwriting(digits.images[:400])[:, 0]
    assert trait_distance(slants[:200], slants[200:]) < 0.15
    assert trait_distance(slants, slants + 1000) == 1
    assert trait_distance(slants, np.concatenate([slants, slants + 1000])) == pytest.approx(0.5)
    nothing = np.full(3, np.nan)
    assert trait_distance(np.concatenate([slants, nothing]), slants) == 0
    assert trait_distance(nothing, slants) == 1


def test_of_many_images_some_are_measured(monkeypatch: pytest.MonkeyPatch, digits: Digits) -> None:
    monkeypatch.setattr(handwriting_module, "MOST_COMPARED", 10)
    assert np.array_equal(handwriting_of_some(digits.images[:25]), handwriting(digits.images[:25:3]))
    assert len(handwriting_of_some(digits.images[:10])) == 10


@pytest.mark.parametrize("name", ["pocket", "nano"])
def test_a_bundled_model_draws_the_slant_that_is_asked_for(name: str) -> None:
    generator = Generator.load(name)
    least, most = generator.trait_range("slant", 7)
    sevens = [generator.generate(50, 7, slant=slant) for slant in (least, most)]
    assert [np.nanmean(handwriting(images)[:, 0]) for images in sevens] == pytest.approx([least, most], abs=3)
