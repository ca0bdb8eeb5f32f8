"""The scan: reduced by area, white as MNIST's, of the size that the latent chooses, and trainable."""

import numpy as np
import pytest
import torch
from torch import nn

from pocketgan_trainer.data.published import load_mnist
from pocketgan_trainer.networks.canvas import Cropping
from pocketgan_trainer.networks.conditional import ConditionalGenerator
from pocketgan_trainer.networks.scan import (
    SCAN_SIZES,
    SIZE_BOUNDS,
    SIZE_LATENT,
    SOFT_SLOPE,
    Scan,
    ScannedImage,
    magnifying_table,
    reducing_table,
)
from pocketgan_trainer.networks.straight_through import to_grey_levels

FIELD = 30
MIDDLES = torch.tensor([(low + high) / 2 for low, high in zip([-3, *SIZE_BOUNDS], [*SIZE_BOUNDS, 3], strict=True)])


@pytest.mark.parametrize("size", range(20, SCAN_SIZES[-1] + 1))
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
        for size, rows in zip(range(20, SCAN_SIZES[-1] + 1), white, strict=True)
    }
    assert levels[40] == {255}  # two pixels of a scan for one
    assert levels[36] == {253, 254, 255}
    assert levels[47] == {253, 254, 255}
    assert white[46 - 20, 0] == 255  # the first row begins with a whole pixel


@pytest.mark.parametrize(("place", "size"), list(enumerate(SCAN_SIZES)), ids=[str(size) for size in SCAN_SIZES])
def test_fields_are_magnified_linearly(place: int, size: int) -> None:
    weights = magnifying_table(FIELD)[place].astype(int)
    levels = np.random.default_rng(0).integers(0, 256, FIELD)
    middles = (np.arange(size) + 0.5) * FIELD / size - 0.5
    expected = np.interp(middles, np.arange(-1, FIELD + 1), np.pad(levels, 1))  # black around
    np.testing.assert_allclose(weights[:size, :FIELD] @ levels / 255, expected, atol=1)
    assert set(weights[:size].sum(axis=1)) == {255}
    assert not weights[size:].any()


def test_the_latent_chooses_the_size() -> None:
    # Full ink shows the size by its levels, and the edge of the ink by its grey levels.
    field = torch.full((len(SCAN_SIZES), 1, FIELD, FIELD), -1.0)
    field[:, :, :, :8] = torch.linspace(0.1, 1.0, FIELD)[:, None]
    images = Scan(FIELD, 20).eval()(field, MIDDLES)
    each = torch.cat([Scan(FIELD, 20).eval()(field[:1], number[None]) for number in MIDDLES])
    assert torch.equal(images, each)
    assert len(torch.unique(images.flatten(1), dim=0)) == len(SCAN_SIZES)


def test_sizes_are_distributed_normally() -> None:
    normal = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    sizes = torch.bucketize(normal, Scan(FIELD, 20).bounds, right=True) + SCAN_SIZES[0]
    assert (sizes - (46.5 + 8 * normal).clamp(28, 47)).abs().max() <= 0.5 + 1e-5


def test_a_field_learns_to_be_scanned_to_a_canvas() -> None:
    digits = load_mnist(split="test").images[:64].copy()
    canvas = Cropping(28)(torch.from_numpy(digits)[:, None].float() / 127.5 - 1)
    brightness = torch.nn.Parameter((canvas + 1) / 8 + 0.2)  # nothing is above the threshold
    scan, random = Scan(20, 20), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam([brightness], lr=0.02)
    errors = []
    for _ in range(60):
        error = (scan(to_grey_levels(brightness), torch.randn(64, generator=random)) - canvas).abs().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[0] > 0.3
    assert errors[-1] < 0.1
    drawn = scan.eval()(to_grey_levels(brightness.detach()), torch.randn(64, generator=random))
    assert (drawn - canvas).abs().mean() < 0.1


def test_in_training_every_second_scan_is_soft() -> None:
    levels = torch.tensor([-1.0, -0.6, -0.45, -0.05, 0.05, 0.45, 0.6, 1.0])
    flat = levels[:, None, None, None].expand(-1, 1, 20, 20)
    fields, normal = flat.repeat_interleave(2, dim=0), torch.zeros(2 * len(levels))
    middles = Scan(20, 20)(fields, normal)[:, 0, 9, 9]
    assert (middles[::2] > 0).tolist() == (levels > 0).tolist()
    assert set(middles[::2].tolist()) <= {-1.0, *middles[-1:].tolist()}
    torch.testing.assert_close(middles[1::2], (SOFT_SLOPE * levels).clamp(-1, 1), atol=0.03, rtol=0)


def test_in_training_a_generator_with_a_scan_returns_canvases() -> None:
    fields = torch.rand(6, 1, 20, 20, generator=torch.Generator().manual_seed(0)) * 2 - 1
    body = nn.Sequential(nn.Flatten(), nn.Unflatten(1, (1, 20, 20)))
    generator = ConditionalGenerator(0, body, scan=ScannedImage(20, 28)).train()
    latent = fields.flatten(1)
    assert torch.equal(generator(latent), Scan(20, 20)(fields, latent[:, SIZE_LATENT]))
    assert torch.equal(generator.eval()(latent), ScannedImage(20, 28).eval()(fields, latent))


def test_in_training_the_whole_scan_is_reduced() -> None:
    field = torch.full((1, 1, FIELD, FIELD), -1.0)
    field[:, :, 3:23, 1:11] = 1.0
    scan = Scan(FIELD, 20)
    whole, box = scan(field, torch.zeros(1)), scan.eval()(field, torch.zeros(1))
    assert (whole > -1).any(dim=3).sum() == pytest.approx(20 * 20 / FIELD, abs=1)
    assert (box > -1).any(dim=3).sum() == 20


def sides(canvas: torch.Tensor) -> list[bool]:
    """Return whether there is ink at the top, bottom, left and right of a canvas [1, C, C]."""
    ink = canvas[0] > -1
    return [bool(side.any()) for side in (ink[0], ink[-1], ink[:, 0], ink[:, -1])]


@pytest.mark.parametrize("is_turned", [False, True])
def test_the_longer_side_of_the_ink_fills_the_canvas_and_the_other_one_lies_in_its_middle(is_turned: bool) -> None:
    field = torch.full((1, 1, FIELD, FIELD), -1.0)
    field[:, :, 3:23, 1:11] = 1.0
    canvas = Scan(FIELD, 20).eval()(field.mT if is_turned else field, torch.zeros(1))[0, 0]
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
    found = [sides(canvas) for canvas in Scan(size, 20).eval()(fields, torch.randn(2_000, generator=random))]
    assert all((top and bottom) or (left and right) for top, bottom, left, right in found)
    assert not all(map(all, found))


def test_no_ink_stays_no_ink() -> None:
    assert (Scan(FIELD, 20).eval()(torch.full((1, 1, FIELD, FIELD), -1.0), torch.zeros(1)) == -1).all()


def test_ink_smaller_than_the_canvas_keeps_its_size_and_lies_in_the_middle() -> None:
    field = torch.full((1, 1, FIELD, FIELD), -1.0)
    field[:, :, -3:, -3:] = 1.0
    places = (Scan(FIELD, 20).eval()(field, torch.zeros(1))[0, 0] > -1).nonzero()
    assert (places.min(), places.max()) == (7, 11)
