"""The scan: reduced by area, white as MNIST's, of the size that the latent chooses, and trainable."""

import numpy as np
import pytest
import torch

from pocketgan_trainer.networks.scan import SCAN_SIZES, SIZE_BOUNDS, Scan, ScannedImage, magnifying_table, reducing_table

MIDDLES = torch.tensor([(low + high) / 2 for low, high in zip([-3, *SIZE_BOUNDS], [*SIZE_BOUNDS, 3], strict=True)])


@pytest.mark.parametrize(("place", "size"), list(enumerate(SCAN_SIZES)), ids=[str(size) for size in SCAN_SIZES])
def test_scans_are_reduced_by_area(place: int, size: int) -> None:
    scan = np.random.default_rng(size).integers(0, 2, (size, size))
    fine = scan.repeat(20, axis=0).repeat(20, axis=1)  # of which size x size make up a pixel
    shares = fine.reshape(20, size, 20, size).mean(axis=(1, 3))
    weights = reducing_table(20)[place, :, :size] / 255
    assert np.abs(weights @ scan @ weights.T - shares).max() < 5 / 255


def test_full_ink_is_as_white_as_in_mnist() -> None:
    white = reducing_table(20).astype(int).sum(axis=2)
    levels = {
        size: set(np.rint(np.outer(rows, rows) / 255).astype(int).ravel()) for size, rows in zip(SCAN_SIZES, white, strict=True)
    }
    assert levels[40] == {255}  # two pixels of a scan for one
    assert levels[36] == {253, 254, 255}
    assert levels[49] == {253, 254, 255}
    assert white[SCAN_SIZES.index(52), 0] == 255  # the first row begins with a whole pixel


@pytest.mark.parametrize(("place", "size"), list(enumerate(SCAN_SIZES)), ids=[str(size) for size in SCAN_SIZES])
def test_fields_are_magnified_linearly(place: int, size: int) -> None:
    magnified = magnifying_table(20)[place].astype(int) @ np.arange(40) / 255
    centres = (np.arange(size) + 0.5) * 40 / size - 0.5
    np.testing.assert_allclose(magnified[:size], centres.clip(0, 39), atol=0.2)
    assert not magnified[size:].any()


def test_the_latent_chooses_the_size() -> None:
    # A field full of ink shows the size by its levels, and a quarter of ink by the grey levels at its edge.
    field = torch.full((len(SCAN_SIZES), 1, 40, 40), -1.0)
    field[:, :, :15, :15] = 1.0
    images = Scan(20)(field, MIDDLES)
    each = torch.cat([Scan(20)(field[:1], number[None]) for number in MIDDLES])
    assert torch.equal(images, each)
    assert len(torch.unique(images.flatten(1), dim=0)) == len(SCAN_SIZES)


def test_sizes_are_equally_frequent() -> None:
    normal = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    counts = torch.bucketize(normal, Scan(20).bounds, right=True).bincount()
    assert counts.tolist() == pytest.approx([100_000 / len(SCAN_SIZES)] * len(SCAN_SIZES), rel=0.05)


def test_gradients_reach_the_field_at_edges_of_ink() -> None:
    field = torch.full((1, 1, 40, 40), -1.0)
    field[:, :, 10:30, 10:30] = 0.1
    field.requires_grad_()
    ScannedImage(28)(field, torch.zeros(1, 4)).sum().backward()
    assert field.grad is not None
    assert (field.grad[0, 0, 10, 10:30] > 0).all()


def edge_gradients(field: torch.Tensor) -> torch.Tensor:
    """Return the gradient of a field when nothing is asked of its image."""
    field.requires_grad_()
    (0 * ScannedImage(28)(field, torch.zeros(1, 4)).sum()).backward()
    assert field.grad is not None
    return field.grad[0, 0]


def test_ink_is_pulled_to_the_sides_that_are_nearer() -> None:
    field = torch.full((1, 1, 40, 40), -1.0)
    field[:, :, 0, 20] = 1.0  # reaches the top
    field[:, :, 39, 7] = -0.5
    gradient = edge_gradients(field)
    assert [tuple(place) for place in gradient.nonzero().tolist()] == [(39, 7)]
    assert gradient[39, 7] < 0


def test_ink_that_reaches_two_opposite_sides_is_left_alone() -> None:
    field = torch.full((1, 1, 40, 40), -1.0)
    field[:, :, 20, 0] = field[:, :, 13, 39] = 1.0
    assert not edge_gradients(field).any()
