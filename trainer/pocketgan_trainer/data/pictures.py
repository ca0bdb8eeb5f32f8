"""Reading pictures of any size and colour as grey values. Files are untrusted: a picture's size is known before its pixels."""

import io
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pocketgan.files import open_regular_file
from pocketgan_trainer.data.source import PICTURE_FORMATS, ImageSource, NamedClasses, PictureKind, WantedImages
from pocketgan_trainer.errors import DataError

LARGEST_SIDE = 4096
"""In pixels."""
LARGEST_FILE = 2**26
"""In bytes: what 4096x4096 pixels of colour and transparency take uncompressed."""
DARK = 128
"""In grey levels: ink that is darker than this on average would be lost on black."""
_JPEG_SIDE = 512
"""JPEG files may be decoded at half their size, or less, as long as that leaves this many pixels along each side."""
_FORMATS_OF_FRAMES = ("GIF", "WEBP", "PNG")
"""Whose further frames make an animation; what a camera puts into a JPEG file beside the picture does not."""
DEEP_GREY = "grey of 16 bits"
_COLOURS = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey with transparency",
    "P": "palette",
    "RGB": "colour",
    "RGBA": "colour with transparency",
    "I": DEEP_GREY,
    "I;16": DEEP_GREY,
    "I;16B": DEEP_GREY,
}

_DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras and scanners use of 16."""
_SHOWN = 5
_ALL_FORMATS = tuple(PICTURE_FORMATS)


@dataclass(frozen=True)
class EmbeddedPicture:
    """A picture that lies within another file."""

    where: str
    """The file and the place in it, for messages."""
    contents: bytes

    def __str__(self) -> str:
        return self.where


Picture: TypeAlias = Path | EmbeddedPicture

_Read = TypeVar("_Read")


def picture_source(
    name: str, pictures: Sequence[Picture], classes: NamedClasses, wanted: WantedImages, notes: Sequence[str] = ()
) -> ImageSource:
    """Return pictures as a source: their headers are read now, their pixels when they are wanted.

    `notes` go before those on what is found here. Raises DataError for pictures that cannot be read, of which it names some, and
    for those that are not as wanted.
    """
    kinds = list(_read_all(pictures, partial(picture_kind, formats=wanted.formats)))
    if wanted.shape is not None:
        height, width = wanted.shape
        for picture, kind in zip(pictures, kinds, strict=True):
            if (kind.width, kind.height, kind.colours) != (width, height, "grey"):
                raise DataError(f"{picture} is {kind}: expected a grey image of 8 bits, {width}x{height}, white on black")
    depth, depth_notes = _depth_in_use(
        [picture for picture, kind in zip(pictures, kinds, strict=True) if kind.colours == DEEP_GREY]
    )
    animated = [picture for picture, kind in zip(pictures, kinds, strict=True) if kind.is_animated]
    if animated:
        noun = "picture" if len(animated) == 1 else "pictures"
        notes = (*notes, f"Only the first frame was taken of {len(animated):,} animated {noun}, such as {animated[0]}.")
    return ImageSource(
        name=name,
        classes=classes,
        kinds=Counter(kinds),
        pictures=_read_all(pictures, partial(read_grey, depth=depth, formats=wanted.formats)),
        notes=(*notes, *classes.notes, *depth_notes),
    )


def _read_all(pictures: Sequence[Picture], read: Callable[[Picture], _Read]) -> Iterator[_Read]:
    """Yield the result of `read` for each picture; after the last raise DataError if it failed for any.

    The error has the first's message and the names of the next four.
    """
    failures: list[tuple[Picture, str]] = []
    count = 0
    for picture in pictures:
        try:
            yield read(picture)
        except DataError as error:
            count += 1
            if count <= _SHOWN:
                failures.append((picture, str(error)))
    if failures:
        also = ", ".join(str(picture) for picture, _ in failures[1:])
        rest = f", and {count - _SHOWN:,} more of {len(pictures):,} files" if count > _SHOWN else ""
        raise DataError(f"{failures[0][1]}; cannot be used either: {also}{rest}" if also else failures[0][1])


def _depth_in_use(pictures: Sequence[Picture]) -> tuple[int, tuple[str, ...]]:
    """Return how many bits are in use in pictures of DEEP_GREY, all together, and a note on that."""
    if not pictures:
        return _DEPTHS[-1], ()
    brightest = max(_read_all(pictures, _brightest_pixel))
    depth = next(depth for depth in _DEPTHS if brightest < 2**depth)
    have = "picture has" if len(pictures) == 1 else "pictures have"
    found = f"{len(pictures):,} {have} pixels of 16 bits, the brightest of all of value {brightest:,} of 65,535"
    return depth, (f"{found}: they were read as {depth} bits, all alike.",)


def picture_kind(picture: Picture, formats: tuple[str, ...] = _ALL_FORMATS) -> PictureKind:
    """Return what a picture is, from its header alone. Raises DataError as `read_grey` does."""
    with _opened(picture, formats) as image:
        colours = _COLOURS.get(image.mode, f"mode {image.mode}")
        return PictureKind(image.width, image.height, colours, _is_animated(image))


def _brightest_pixel(picture: Picture) -> int:
    """Return the value of the brightest pixel of a picture of DEEP_GREY, 0 to 65,535."""
    with _opened(picture) as image:
        return int(_deep_values(image).max())


def read_grey(picture: Picture, depth: int = 16, formats: tuple[str, ...] = _ALL_FORMATS) -> NDArray[np.uint8]:
    """Return the pixels of a picture, uint8 [H, W]: of its first frame, upright, as its camera noted.

    Colours become their brightness, transparency is laid on black, or on white if what is visible is dark on average. Of
    DEEP_GREY the lower `depth` bits are in use, 8 to 16, of which the upper 8 are returned. Raises DataError, which names the
    picture, if it is damaged, of no such format, or too large.
    """
    with _opened(picture, formats) as image, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd metadata
        # Of a photograph of 12 megapixels all that remains is a stamp: decoding a quarter takes a tenth of the time.
        image.draft("L", (_JPEG_SIDE, _JPEG_SIDE))
        return _grey(ImageOps.exif_transpose(image), depth)


@contextmanager
def _opened(picture: Picture, formats: tuple[str, ...] = _ALL_FORMATS) -> Iterator[Image.Image]:
    """Yield a picture whose header was read and whose pixels were not; raise what goes wrong with it as DataError."""
    try:
        with io.BytesIO(picture.contents) if isinstance(picture, EmbeddedPicture) else open_regular_file(picture) as file:
            size = file.seek(0, os.SEEK_END)
            if size > LARGEST_FILE:
                raise DataError(f"{picture} has {size:,} bytes: expected at most {LARGEST_FILE:,}; make it smaller or remove it")
            file.seek(0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's, of a size that is refused here
                image = Image.open(file, formats=formats)
            with image:
                if max(image.size) > LARGEST_SIDE:
                    found = f"has {image.width}x{image.height} pixels"
                    expected = f"expected at most {LARGEST_SIDE}x{LARGEST_SIDE}; make it smaller or remove it"
                    raise DataError(f"{picture} {found}: {expected}")
                yield image
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise errors of any kind for damaged files
        # Pillow's own text repeats the path.
        system = error.strerror if isinstance(error, OSError) else None
        is_unknown = isinstance(error, UnidentifiedImageError)
        reason = " ".join(("no such picture" if is_unknown else f"{system or error or type(error).__name__}").split())
        expected = f"expected a whole {', '.join(formats)} file; mend or remove it"
        raise DataError(f"{picture} cannot be read ({reason}): {expected}") from error


def _is_animated(image: Image.Image) -> bool:
    """Return whether a picture goes on after its first frame."""
    if image.format not in _FORMATS_OF_FRAMES:
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # as above; the first frame, which alone is read, may still be whole
        return False


def _deep_values(image: Image.Image) -> NDArray[np.int64]:
    """Return the pixels of a picture of DEEP_GREY [H, W]."""
    # Pillow's own conversion clips where it should divide.
    return np.clip(np.asarray(image, dtype=np.int64), 0, 2**16 - 1)


def _grey(image: Image.Image, depth: int) -> NDArray[np.uint8]:
    """Return the brightness of a picture's pixels, uint8 [H, W]."""
    if _COLOURS.get(image.mode) == DEEP_GREY:
        return (_deep_values(image) >> (depth - 8)).clip(0, 255).astype(np.uint8)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        background = "white" if _is_dark_where_visible(image) else "black"
        image = Image.alpha_composite(Image.new("RGBA", image.size, background), image)
    return np.array(image.convert("L"), dtype=np.uint8)


def _is_dark_where_visible(image: Image.Image) -> bool:
    """Return whether an RGBA picture's pixels, each as far as it is visible, are dark on average."""
    brightness, visibility = np.asarray(image.convert("L"), dtype=np.uint16), np.asarray(image.getchannel("A"))
    return bool((brightness * visibility).sum(dtype=np.int64) < DARK * visibility.sum(dtype=np.int64))
