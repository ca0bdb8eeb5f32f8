"""PNG files of grey images, read back by Pillow and by hand."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from pocketgan.generator import Generator
from pocketgan.output.png import encode_png


def opened(contents: bytes) -> PngImageFile:
    """Return the file as Pillow reads and verifies it."""
    with Image.open(io.BytesIO(contents)) as image:
        image.verify()
    image = Image.open(io.BytesIO(contents))
    assert isinstance(image, PngImageFile)
    image.load()
    return image


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (7, 300), (300, 7), (28, 28 * 32)], ids=str)
def test_pillow_reads_the_same_pixels(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    read = opened(encode_png(image))
    assert (read.format, read.mode, read.size) == ("PNG", "L", (shape[1], shape[0]))
    np.testing.assert_array_equal(np.asarray(read), image)
    assert read.text == {}


def test_text_is_read_by_its_keyword() -> None:
    read = opened(encode_png(np.zeros((2, 3), np.uint8), "pocketgan", '{"seed": 3}'))
    assert read.text == {"pocketgan": '{"seed": 3}'}
    assert json.loads(read.text["pocketgan"]) == {"seed": 3}


def test_every_chunk_has_its_length_and_checksum() -> None:
    contents = encode_png(np.full((5, 4), 7, np.uint8), "key", "words")
    assert contents[:8] == b"\x89PNG\r\n\x1a\n"
    position, kinds = 8, []
    while position < len(contents):
        (length,) = struct.unpack(">I", contents[position : position + 4])
        kind_and_data = contents[position + 4 : position + 8 + length]
        assert struct.unpack(">I", contents[position + 8 + length : position + 12 + length]) == (zlib.crc32(kind_and_data),)
        kinds.append(kind_and_data[:4])
        position += 12 + length
    assert kinds == [b"IHDR", b"tEXt", b"IDAT", b"IEND"]


def test_an_array_that_is_not_contiguous_is_the_same_image() -> None:
    image = np.random.default_rng(1).integers(0, 256, (20, 30), dtype=np.uint8)
    assert encode_png(image.T) == encode_png(np.ascontiguousarray(image.T))
    assert encode_png(image[::2, ::3]) == encode_png(image[::2, ::3].copy())


def test_files_are_no_larger_than_those_of_pillow() -> None:
    images = Generator.load("pocket").generate(100)
    ours = sum(len(encode_png(image)) for image in images)
    theirs = 0
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format="PNG")
        theirs += len(buffer.getvalue())
    assert ours <= theirs
