"""Notes on training images for the user, before training starts: what was done to them, and what may make the model worse."""

import numpy as np
from numpy.typing import NDArray

from pocketgan_trainer.data.fitting import FittedImages
from pocketgan_trainer.data.source import ImageSource

ENOUGH_IMAGES = 2_000
ENOUGH_OF_CLASS = 50
LEAST_SHARE_OF_LARGEST = 0.1
DARK_PEAK = 128
"""In grey levels: an image without a brighter pixel is a dark one."""
_SHOWN = 5


def notes_on(source: ImageSource, fitted: FittedImages, like_mnist: bool) -> tuple[str, ...]:
    """Return the source's own notes and all others, a sentence each; of published data sets only what was done to them."""
    if source.is_published:
        unchanged = f"{source.name} is a published data set, whose layout --like-mnist leaves as it is."
        return (*source.notes, *_conversion(source, fitted), *((unchanged,) if like_mnist else ()))
    return (
        *source.notes,
        *_conversion(source, fitted),
        *_dark_on_white(fitted.dark_on_white, source.count, like_mnist),
        *_blank(fitted.blank, source.count, like_mnist),
        *_darkness(fitted.images),
        *_number(source.count),
        *_duplicates(fitted.images),
        *_classes(source.classes.names, source.classes.labels),
    )


def _conversion(source: ImageSource, fitted: FittedImages) -> tuple[str, ...]:
    """Return a note on pictures that were of another kind than what the network takes, or of several kinds."""
    size = fitted.images.shape[1]
    kinds = sorted(source.kinds.items(), key=lambda item: (-item[1], item[0]))
    if all(kind.width == kind.height == size and kind.colours == "grey" for kind, _ in kinds):
        return ()
    wanted = f"grey images of {size}x{size}"
    if len(kinds) == 1:
        return (f"All {source.count:,} images are {kinds[0][0]}; they were made {wanted}.",)
    shown = ", ".join(f"{count:,} of {kind}" for kind, count in kinds[:_SHOWN])
    rest = f", and {len(kinds) - _SHOWN:,} kinds more" if len(kinds) > _SHOWN else ""
    return (f"The images are of {len(kinds):,} kinds: {shown}{rest}; all were made {wanted}.",)


def _dark_on_white(dark: int, count: int, like_mnist: bool) -> tuple[str, ...]:
    if like_mnist:
        was = "was" if dark == 1 else "were"
        return (f"{dark:,} of {count:,} images {was} dark on white and {was} inverted.",) if dark else ()
    if 2 * dark <= count:
        return ()
    return (
        f"{dark:,} of {count:,} images look dark on white: networks learn better from white on black, so invert them, or give "
        "--like-mnist if they show single characters.",
    )


def _blank(blank: int, count: int, like_mnist: bool) -> tuple[str, ...]:
    if not blank:
        return ()
    shows, be = ("shows", "is") if blank == 1 else ("show", "are")
    found = f"{shows} no ink and {be} black" if like_mnist else f"{be} of one grey value everywhere and {shows} nothing"
    return (f"{blank:,} of {count:,} images {found}.",)


def _darkness(images: NDArray[np.uint8]) -> tuple[str, ...]:
    peak = int(np.median(images.max(axis=(1, 2))))
    if peak >= DARK_PEAK:
        return ()
    return (
        f"The images are dark: half of them have no pixel brighter than {peak} of 255 grey levels, so the model will draw dark "
        "ones; stretch their contrast, all alike, or give --like-mnist if they show single characters.",
    )


def _number(count: int) -> tuple[str, ...]:
    if count >= ENOUGH_IMAGES:
        return ()
    return (
        f"{count:,} images are few: trained on fewer than {ENOUGH_IMAGES:,}, a network copies them instead of drawing new ones.",
    )


def _duplicates(images: NDArray[np.uint8]) -> tuple[str, ...]:
    # Hashes instead of the images themselves: they stay small where images are many, and one in 2**64 does not matter.
    duplicates = len(images) - len({hash(image.tobytes()) for image in images})
    if not duplicates:
        return ()
    found = "is an exact duplicate of another" if duplicates == 1 else "are exact duplicates of others"
    return (f"{duplicates:,} of {len(images):,} images {found}.",)


def _classes(classes: tuple[str, ...], labels: NDArray[np.int64] | None) -> tuple[str, ...]:
    """Return a note on absent labels, a single class, or classes with few images."""
    if labels is None:
        return ("There are no labels, so the model will have no classes to choose from.",)
    if len(classes) == 1:
        return (f"All images are of one class, {classes[0]}.",)
    counts = np.bincount(labels, minlength=len(classes))
    is_small = (counts < ENOUGH_OF_CLASS) | (counts < LEAST_SHARE_OF_LARGEST * counts.max())
    places = sorted(np.flatnonzero(is_small).tolist(), key=lambda place: int(counts[place]))
    if not places:
        return ()
    shown = ", ".join(f"{classes[place]} {counts[place]:,}" for place in places[:_SHOWN])
    rest = f", and {len(places) - _SHOWN:,} more" if len(places) > _SHOWN else ""
    if len(places) == len(classes):
        found = f"All classes have few images, {counts.max():,} at most"
    else:
        found = f"Some classes have few images compared with the largest, which has {counts.max():,}"
    return (f"{found}, and may be drawn badly: {shown}{rest}.",)
