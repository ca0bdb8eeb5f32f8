"""Read pictures of any size and colour as grey values. Files are untrusted: sizes are checked before pixels are decoded."""

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
"""In bytes: 4096x4096 uncompressed pixels with colour and transparency."""
DARK = 128
"""In grey levels: ink that is darker on average would be lost on black."""
_JPEG_SIDE = 512
"""JPEG files may be decoded at half their size or less, as long as at least this many pixels remain along each side."""
_FORMATS_OF_FRAMES = ("GIF", "WEBP", "PNG")
"""Formats whose further frames are an animation. The extra pictures that cameras store in JPEG files are not."""
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
"""The numbers of bits out of 16 that cameras and scanners use."""
_SHOWN = 5
_ALL_FORMATS = tuple(PICTURE_FORMATS)


@dataclass(frozen=True)
class EmbeddedPicture:
    """A picture inside another file."""

    where: str
    """The file and the position in it, for messages."""
    contents: bytes

    def __str__(self) -> str:
        return self.where


Picture: TypeAlias = Path | EmbeddedPicture

_Read = TypeVar("_Read")


def picture_source(
    name: str, pictures: Sequence[Picture], classes: NamedClasses, wanted: WantedImages, notes: Sequence[str] = ()
) -> ImageSource:
    """Return pictures as a source. Their headers are read now, their pixels later.

    `notes` come before the notes that are made here. Raises DataError for pictures that are not as wanted or cannot be read,
    naming the first few.
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
    """Yield the result of `read` for each picture. After the last, raise DataError if any failed.

    Its message is that of the first failure, followed by the names of the next four pictures.
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
    """Return the number of bits that pictures of DEEP_GREY use, the same for all of them, and a note on it."""
    if not pictures:
        return _DEPTHS[-1], ()
    brightest = max(_read_all(pictures, _brightest_pixel))
    depth = next(depth for depth in _DEPTHS if brightest < 2**depth)
    have = "picture has" if len(pictures) == 1 else "pictures have"
    found = f"{len(pictures):,} {have} pixels of 16 bits, the brightest with the value {brightest:,} of 65,535"
    return depth, (f"{found}: all were read as {depth} bits.",)


def picture_kind(picture: Picture, formats: tuple[str, ...] = _ALL_FORMATS) -> PictureKind:
    """Return the size and kind of a picture, from its header alone. Raises DataError as `read_grey` does."""
    with _opened(picture, formats) as image:
        colours = _COLOURS.get(image.mode, f"mode {image.mode}")
        return PictureKind(image.width, image.height, colours, _is_animated(image))


def _brightest_pixel(picture: Picture) -> int:
    """Return the value of the brightest pixel of a picture of DEEP_GREY, 0 to 65,535."""
    with _opened(picture) as image:
        return int(_deep_values(image).max())


def read_grey(picture: Picture, depth: int = 16, formats: tuple[str, ...] = _ALL_FORMATS) -> NDArray[np.uint8]:
    """Return the pixels of a picture, uint8 [H, W]: of its first frame, upright according to its EXIF data.

    Colours become their brightness. Transparent pictures are put on black, or on white if their visible part is dark on average.
    Pictures of DEEP_GREY use the lower `depth` bits, 8 to 16, of which the upper 8 are returned. Raises DataError, which names
    the picture, if it is damaged, too large or not in one of the formats.
    """
    with _opened(picture, formats) as image, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about odd metadata
        # Photographs of 12 megapixels end up tiny anyway, and decoding a quarter of the size takes a tenth of the time.
        image.draft("L", (_JPEG_SIDE, _JPEG_SIDE))
        return _grey(ImageOps.exif_transpose(image), depth)


@contextmanager
def _opened(picture: Picture, formats: tuple[str, ...] = _ALL_FORMATS) -> Iterator[Image.Image]:
    """Yield a picture of which only the header was read. All errors are raised as DataError."""
    try:
        with io.BytesIO(picture.contents) if isinstance(picture, EmbeddedPicture) else open_regular_file(picture) as file:
            size = file.seek(0, os.SEEK_END)
            if size > LARGEST_FILE:
                raise DataError(f"{picture} has {size:,} bytes: expected at most {LARGEST_FILE:,}; make it smaller or remove it")
            file.seek(0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's, about a size that is checked below
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
        # Pillow's own message repeats the path.
        system = error.strerror if isinstance(error, OSError) else None
        is_unknown = isinstance(error, UnidentifiedImageError)
        reason = " ".join(
            ("not a picture in a known format" if is_unknown else f"{system or error or type(error).__name__}").split()
        )
        expected = f"expected an undamaged {', '.join(formats)} file; replace it, or move it away"
        raise DataError(f"{picture} cannot be read ({reason}): {expected}") from error


def _is_animated(image: Image.Image) -> bool:
    """Return whether a picture has more than one frame."""
    if image.format not in _FORMATS_OF_FRAMES:
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # of any kind, as above; the first frame, the only one that is read, may still be intact
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
    """Return whether an RGBA picture is dark on average, with each pixel weighted by its opacity."""
    brightness, visibility = np.asarray(image.convert("L"), dtype=np.uint16), np.asarray(image.getchannel("A"))
    return bool((brightness * visibility).sum(dtype=np.int64) < DARK * visibility.sum(dtype=np.int64))
