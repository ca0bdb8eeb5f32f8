"""What every source of training images hands over: pictures of any size, read when they are wanted, and what is known of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, order=True)
class PictureKind:
    """What a picture is before it is converted."""

    width: int
    height: int
    colours: str
    """In words, such as `grey`."""
    is_animated: bool = False
    """Whether it has more frames than the first, which alone is read."""

    def __str__(self) -> str:
        return f"{self.width}x{self.height} ({self.colours}{', animated' if self.is_animated else ''})"


@dataclass(frozen=True, eq=False)
class ImageSource:
    """Images before they have the size that a network takes."""

    name: str
    """Of the data set: lower-case letters, digits, hyphens."""
    classes: tuple[str, ...]
    """By label, fit for a model card; empty if there are no labels."""
    labels: NDArray[np.int64] | None
    """[N], each below `len(classes)`."""
    kinds: Mapping[PictureKind, int]
    """How many pictures there are of each kind."""
    pictures: Iterable[NDArray[np.uint8]]
    """N grey pictures [H, W]: an array [N, H, W], or read one after the other, once. Raises DataError if one is damaged."""
    notes: tuple[str, ...] = ()
    """Warnings for the user, a sentence each."""
    class_labels: tuple[int, ...] | None = None
    """The numbers that the data gives the classes, where their names do not say them: see `class_names.own_labels`."""
    is_published: bool = False
    """Whether these are the very images of a known data set, which need neither checks nor another layout."""

    @property
    def count(self) -> int:
        """The number of pictures."""
        return sum(self.kinds.values())


def array_kinds(images: NDArray[np.uint8]) -> dict[PictureKind, int]:
    """Return the one kind of the images of an array [N, H, W]."""
    count, height, width = images.shape
    return {PictureKind(width, height, "grey"): count}
