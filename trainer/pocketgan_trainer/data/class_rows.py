"""Choosing digits at random, so many of each class."""

import numpy as np
from numpy.typing import NDArray

CLASSES = 10


def rows_of_classes(labels: NDArray[np.integer], wanted: NDArray[np.integer], random: np.random.Generator) -> NDArray[np.int64]:
    """Return rows of `labels` [N], no one twice, of which row i is of class `wanted[i]`: int64 [len(wanted)].

    Raises ValueError if there are fewer of a class than are wanted.
    """
    rows = np.empty(len(wanted), dtype=np.int64)
    for label in np.unique(wanted):
        places = np.flatnonzero(wanted == label)
        rows[places] = random.choice(np.flatnonzero(labels == label), len(places), replace=False)
    return rows
