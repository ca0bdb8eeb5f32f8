"""Truncations: which there are, and that each is a whole number of units."""

from fractions import Fraction

import numpy as np
import pytest

from pocketgan.address import FULL_VARIETY, TRUNCATION_UNITS, truncation_units
from pocketgan.errors import RequestError


@pytest.mark.parametrize(
    ("truncation", "units"),
    [
        (1, 256),
        (1.0, 256),
        (0.999, 256),
        (0.7, 179),
        (0.5, 128),
        (1 / 256, 1),
        (2.5 / 256, 2),
        (3.5 / 256, 4),
        (1e-300, 1),
        (5e-324, 1),
        (np.float32(0.7), 179),
        (Fraction(1, 2), 128),
    ],
)
def test_a_truncation_is_the_nearest_number_of_units_but_never_0(truncation: float, units: int) -> None:
    assert truncation_units(truncation) == units


def test_full_variety_is_all_units() -> None:
    assert truncation_units(FULL_VARIETY) == TRUNCATION_UNITS


@pytest.mark.parametrize("truncation", [0, 0.0, -0.0, -1, 1.0000001, 2, float("inf"), float("nan")])
def test_a_truncation_out_of_range_is_refused(truncation: float) -> None:
    with pytest.raises(RequestError) as caught:
        truncation_units(truncation)
    assert str(caught.value) == f"truncation {truncation} is out of range: expected above 0, at most 1"


@pytest.mark.parametrize("truncation", ["0.7", None, True, 1j, [0.7]])
def test_what_is_not_a_number_is_refused(truncation: object) -> None:
    with pytest.raises(RequestError) as caught:
        truncation_units(truncation)  # type: ignore[arg-type]
    assert str(caught.value) == f"truncation {truncation!r} is not a number"
