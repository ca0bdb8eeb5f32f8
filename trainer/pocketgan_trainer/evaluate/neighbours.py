"""Whether generated features lie where real ones lie, and all over there: questions that only nearest neighbours answer.

Distances are Euclidean, in float32, from the differences of coordinates and not from products, so that equal rows are at distance
0 and a distance is the same number from both ends: a tie is a tie. Equal rows of one set are neighbours of each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PRECISION_NEIGHBOURS = 3
DENSITY_NEIGHBOURS = 5
_BLOCK_ROWS = 1_000
"""Rows of a matrix of distances that exist at a time: 40 MB for 10,000 columns."""


@dataclass(frozen=True)
class Neighbourhood:
    """How generated and real features share their space. For two samples of one distribution see the fields."""

    precision: float
    """Share of generated rows inside the ball of some real row; 0 to 1. A real sample does not reach 1."""
    recall: float
    """Share of real rows inside the ball of some generated row; 0 to 1. A real sample does not reach 1."""
    density: float
    """Mean number of real balls around a generated row, in units of the number expected; 1 for a real sample, and can be more."""
    coverage: float
    """Share of real rows with a generated row inside their ball; 1 - 2^-5 = 0.969 for a real sample of the same size."""


@dataclass(frozen=True, eq=False)
class Crowd:
    """A set of rows, and how far each is from the nearest others of the set: looked at once, compared with many sets."""

    rows: Tensor
    """float32 [N, F]"""
    radii: Tensor
    """Distances from each row to its nearest, second nearest, ... other row, float32 [N, DENSITY_NEIGHBOURS]."""

    def radius(self, neighbours: int) -> Tensor:
        """Return the distance from each row to its so-many-th nearest other row, float32 [N]."""
        return self.radii[:, neighbours - 1]


def look_around(features: NDArray[np.float32]) -> Crowd:
    """Return rows [N, F], more than DENSITY_NEIGHBOURS, with the distances among them."""
    rows = torch.from_numpy(np.array(features))
    nearest = [distances.topk(DENSITY_NEIGHBOURS + 1, dim=1, largest=False).values for _, distances in _blocks(rows, rows)]
    # The row itself is the nearest or one of several at distance 0, so it takes the first place.
    return Crowd(rows, torch.cat(nearest)[:, 1:].contiguous())


def compare_neighbourhoods(real: Crowd, generated: Crowd) -> Neighbourhood:
    """Return how generated rows lie among real rows.

    A row's ball reaches to its k-th nearest other row of its own set. For precision and recall k is 3 and the edge belongs to
    the ball (T. Kynkaanniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", 2019); for density
    and coverage k is 5 and it does not (M. Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", 2020).
    """
    real_near, real_wide = real.radius(PRECISION_NEIGHBOURS), real.radius(DENSITY_NEIGHBOURS)
    generated_near = generated.radius(PRECISION_NEIGHBOURS)
    precise = torch.zeros(len(generated.rows), dtype=torch.bool)
    recalled, covered, balls = 0, 0, 0
    for rows, distances in _blocks(real.rows, generated.rows):
        precise |= (distances <= real_near[rows, None]).any(dim=0)
        recalled += int((distances <= generated_near).any(dim=1).sum())
        inside = (distances < real_wide[rows, None]).sum(dim=1)
        covered += int((inside > 0).sum())
        balls += int(inside.sum())
    return Neighbourhood(
        precision=float(precise.double().mean()),
        recall=recalled / len(real.rows),
        density=balls / (DENSITY_NEIGHBOURS * len(generated.rows)),
        coverage=covered / len(real.rows),
    )


def nearest_neighbour_accuracy(first: Crowd, second: Crowd) -> float:
    """Return how often the nearest other row of both sets tells which set a row is from: 0.5 for one distribution.

    Every row is left out in turn. Above 0.5 the sets can be told apart; below it, rows of one are near-copies of the other's. A
    row whose nearest rows of both sets are equally far counts half. Source: D. Lopez-Paz, M. Oquab, "Revisiting Classifier
    Two-Sample Tests", 2017; Q. Xu et al., "An empirical study on evaluation metrics of generative adversarial networks", 2018.
    Raises ValueError unless both sets have the same number of rows: a larger one would win by its number.
    """
    if len(first.rows) != len(second.rows):
        message = f"the sets have {len(first.rows)} and {len(second.rows)} rows; expected as many in both"
        raise ValueError(message)
    first_to_second = torch.empty(len(first.rows))
    second_to_first = torch.full((len(second.rows),), torch.inf)
    for rows, distances in _blocks(first.rows, second.rows):
        first_to_second[rows] = distances.amin(dim=1)
        second_to_first = torch.minimum(second_to_first, distances.amin(dim=0))
    own = torch.cat([first.radius(1), second.radius(1)])
    foreign = torch.cat([first_to_second, second_to_first])
    return float(((own < foreign).double() + 0.5 * (own == foreign).double()).mean())


def _blocks(one: Tensor, other: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield the distances from all rows of one set to all of the other, some rows at a time, and which rows those are."""
    for start in range(0, len(one), _BLOCK_ROWS):
        rows = slice(start, min(start + _BLOCK_ROWS, len(one)))
        yield rows, torch.cdist(one[rows], other, compute_mode="donot_use_mm_for_euclid_dist")
