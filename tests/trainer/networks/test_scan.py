"""The scan: reduced by area, white as MNIST's, of the size that the latent chooses, and trainable."""

import numpy as np
import pytest
import torch

from pocketgan_trainer.networks.scan import SCAN_SIZES, SIZE_BOUNDS, Scan, ScannedImage, magnifying_table, reducing_table

FIELD = 30
MIDDLES = torch.tensor([(low + high) / 2 for low, high in zip([-3, *SIZE_BOUNDS], [*SIZE_BOUNDS, 3], strict=True)])


@pytest.mark.parametrize("size", range(20, 61))
def test_boxes_are_reduced_by_area(size: int) -> None:
    scan = np.random.default_rng(size).integers(0, 2, (size, size))
    fine = scan.repeat(20, axis=0).repeat(20, axis=1)  # of which size x size make up a pixel
    shares = fine.reshape(20, size, 20, size).mean(axis=(1, 3))
    weights = reducing_table(20)[size - 20, :size].T / 255
    assert np.abs(weights @ scan @ weights.T - shares).max() < 5 / 255


def test_full_ink_is_as_white_as_in_mnist() -> None:
    white = reducing_table(20).astype(int).sum(axis=1)
    levels = {
        size: set(np.rint(np.outer(rows, rows) / 255).astype(int).ravel())
        for size, rows in zip(range(20, 61), white, strict=True)
    }
    assert levels[40] == {255}  # two pixels of a scan for one
    assert levels[36] == {253, 254, 255}
    assert levels[49] == {253, 254, 255}
    assert white[52 - 20, 0] == 255  # the first row begins with a whole pixel


@pytest.mark.parametrize(("place", "size"), list(enumerate(SCAN_SIZES)), ids=[str(size) for size in SCAN_SIZES])
def test_fields_are_magnified_linearly(place: int, size: int) -> None:
    magnified = magnifying_table(FIELD)[place, :size].astype(int) @ np.arange(FIELD) / 255
    middles = (np.arange(size) + 0.5) * FIELD / size - 0.5
    np.testing.assert_allclose(magnified, middles.clip(0, FIELD - 1), atol=0.5 / 255)


def test_the_latent_chooses_the_size() -> None:
    # Full ink shows the size by its levels, and the edge of the ink by its grey levels.
    field = torch.full((len(SCAN_SIZES), 1, FIELD, FIELD), -1.0)
    field[:, :, :, :8] = torch.linspace(0.1, 1.0, FIELD)[:, None]
    images = Scan(FIELD, 20)(field, MIDDLES)
    each = torch.cat([Scan(FIELD, 20)(field[:1], number[None]) for number in MIDDLES])
    assert torch.equal(images, each)
    assert len(torch.unique(images.flatten(1), dim=0)) == len(SCAN_SIZES)


def test_sizes_are_distributed_normally() -> None:
    normal = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    sizes = torch.bucketize(normal, Scan(FIELD, 20).bounds, right=True) + SCAN_SIZES[0]
    assert (sizes - (46.5 + 8 * normal).clamp(28, 60)).abs().max() <= 0.5 + 1e-5


def test_gradients_reach_the_field_at_edges_of_ink() -> None:
    field = torch.full((1, 1, FIELD, FIELD), -1.0)
    field[:, :, :, 5:15] = 0.8
    field.requires_grad_()
    ScannedImage(FIELD, 28)(field, torch.zeros(1, 4)).sum().backward()
    assert field.grad is not None
    assert (field.grad[0, 0, :, 5] > 0).all()


def sides(canvas: torch.Tensor) -> list[bool]:
    """Return whether there is ink at the top, bottom, left and right of a canvas [1, C, C]."""
    ink = canvas[0] > -1
    return [bool(side.any()) for side in (ink[0], ink[-1], ink[:, 0], ink[:, -1])]


@pytest.mark.parametrize("is_turned", [False, True])
def test_the_longer_side_of_the_ink_fills_the_canvas_and_the_other_one_lies_in_its_middle(is_turned: bool) -> None:
    field = torch.full((1, 1, FIELD, FIELD), -1.0)
    field[:, :, 3:23, 1:11] = 1.0
    canvas = Scan(FIELD, 20)(field.mT if is_turned else field, torch.zeros(1))[0, 0]
    ink = (canvas.mT if is_turned else canvas) > -1
    assert ink.any(dim=1).all()
    assert ink.any(dim=0).nonzero().ravel().tolist() == list(range(5, 15))


@pytest.mark.parametrize("size", [20, 30, 40])
def test_ink_as_large_as_the_canvas_reaches_two_opposite_sides(size: int) -> None:
    random = torch.Generator().manual_seed(0)
    fields = torch.full((2_000, 1, size, size), -1.0)
    part = 3 * size // 4
    for field, (top, left) in zip(fields[:, 0], torch.randint(size - part + 1, (2_000, 2), generator=random), strict=True):
        field[top : top + part, left : left + part] = 2 * torch.rand((part, part), generator=random) ** 20 - 1
        field[top : top + part, left : left + 3] = 1.0
    found = [sides(canvas) for canvas in Scan(size, 20)(fields, torch.randn(2_000, generator=random))]
    assert all((top and bottom) or (left and right) for top, bottom, left, right in found)
    assert not all(map(all, found))


def test_no_ink_stays_no_ink() -> None:
    assert (Scan(FIELD, 20)(torch.full((1, 1, FIELD, FIELD), -1.0), torch.zeros(1)) == -1).all()


def test_ink_smaller_than_the_canvas_keeps_its_size_and_lies_in_the_middle() -> None:
    field = torch.full((1, 1, FIELD, FIELD), -1.0)
    field[:, :, -3:, -3:] = 1.0
    places = (Scan(FIELD, 20)(field, torch.zeros(1))[0, 0] > -1).nonzero()
    assert (places.min(), places.max()) == (7, 11)
