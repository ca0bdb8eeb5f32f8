"""Reading one picture of any size and colour as grey values. Files are untrusted: a picture's size is known before its pixels."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pocketgan.files import open_regular_file
from pocketgan_trainer.data.source import PictureKind
from pocketgan_trainer.errors import DataError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
LARGEST_SIDE = 4096
"""In pixels."""
LARGEST_FILE = 2**26
"""In bytes: what 4096x4096 pixels of colour and transparency take uncompressed."""
DARK = 128
"""In grey levels: ink that is darker than this on average would be lost on black."""
_JPEG_SIDE = 512
"""JPEG files may be decoded at half their size, or less, as long as that leaves so many pixels along each side."""
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


def picture_kind(path: Path) -> PictureKind:
    """Return what the picture at `path` is, from its header alone.

    Raises DataError, which names the file, if it is no picture of FORMATS, or too large.
    """
    with _opened(path) as image:
        colours = _COLOURS.get(image.mode, f"mode {image.mode}")
        return PictureKind(image.width, image.height, colours, _is_animated(image))


def brightest_pixel(path: Path) -> int:
    """Return the value of the brightest pixel of a picture of DEEP_GREY, 0 to 65,535. Raises DataError as `read_grey` does."""
    with _opened(path) as image:
        try:
            return int(_deep_values(image).max())
        except Exception as error:  # Pillow's decoders raise errors of any kind for damaged files
            raise _unreadable(path, error) from error


def read_grey(path: Path, depth: int = 16) -> NDArray[np.uint8]:
    """Return the pixels of the picture at `path`, uint8 [H, W]: of its first frame, upright, as its camera noted.

    Colours become their brightness, transparency is laid on black, or on white if what is visible is dark on average. Of
    DEEP_GREY the lower `depth` bits are in use, 8 to 16, whose upper 8 remain. Raises DataError, which names the file, if it is
    no whole picture of FORMATS, or too large.
    """
    with _opened(path) as image:
        try:
            # Of a photograph of 12 megapixels all that remains is a stamp: decoding a quarter takes a tenth of the time.
            image.draft("L", (_JPEG_SIDE, _JPEG_SIDE))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's, of odd metadata
                return _grey(ImageOps.exif_transpose(image), depth)
        except Exception as error:  # Pillow's decoders raise errors of any kind for damaged files
            raise _unreadable(path, error) from error


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Yield a picture whose header was read and whose pixels were not; raise DataError if it is none or too large."""
    try:
        file = open_regular_file(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    with file:
        try:
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST_FILE:
                raise DataError(f"{path} has {size:,} bytes: expected at most {LARGEST_FILE:,}; make it smaller or remove it")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's, of a size that is refused here
                image = Image.open(file, formats=FORMATS)
        except DataError:
            raise
        except Exception as error:  # Pillow's decoders raise errors of any kind for damaged files
            raise _unreadable(path, error) from error
        with image:
            if max(image.size) > LARGEST_SIDE:
                found = f"has {image.width}x{image.height} pixels"
                raise DataError(f"{path} {found}: expected at most {LARGEST_SIDE}x{LARGEST_SIDE}; make it smaller or remove it")
            yield image


def _unreadable(path: Path, error: Exception) -> DataError:
    # Pillow's own text repeats the path.
    system = error.strerror if isinstance(error, OSError) else None
    told = "no such picture" if isinstance(error, UnidentifiedImageError) else f"{system or error or type(error).__name__}"
    reason = " ".join(told.split())
    return DataError(f"{path} cannot be read ({reason}): expected a whole {', '.join(FORMATS)} file; mend or remove it")


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
