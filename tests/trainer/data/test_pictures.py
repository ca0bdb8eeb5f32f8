"""Single pictures of every format and colour, and those that are damaged or too large."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pocketgan_trainer.data import pictures
from pocketgan_trainer.data.pictures import picture_kind, read_grey
from pocketgan_trainer.errors import DataError

RAMP: NDArray[np.uint8] = (np.arange(24 * 40).reshape(24, 40) % 256).astype(np.uint8)
"""Grey values, 40 wide and 24 high."""


def saved(path: Path, image: Image.Image, **options: Any) -> Path:  # noqa: ANN401
    image.save(path, **options)
    return path


def header_of_png(width: int, height: int) -> bytes:
    """Return a PNG file that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.png", {}, 0),
        ("a.bmp", {}, 0),
        ("a.gif", {}, 0),
        ("a.webp", {"lossless": True}, 1),
        ("a.jpg", {"quality": 98}, 12),
    ],
)
def test_every_format_is_read(tmp_path: Path, name: str, options: dict[str, object], tolerance: int) -> None:
    pixels = read_grey(saved(tmp_path / name, Image.fromarray(RAMP), **options))
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels.astype(int), RAMP, atol=tolerance)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
def test_grey_stays_the_same_in_every_mode(tmp_path: Path, mode: str) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(RAMP).convert(mode))
    np.testing.assert_array_equal(read_grey(path), RAMP)


def test_16_bits_keep_the_upper_8(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(RAMP.astype(np.uint16) * 257))
    np.testing.assert_array_equal(read_grey(path), RAMP)
    assert str(picture_kind(path)) == "40x24 (grey of 16 bits)"


def test_black_and_white_and_colours_become_their_brightness(tmp_path: Path) -> None:
    assert set(np.unique(read_grey(saved(tmp_path / "a.png", Image.fromarray(RAMP > 99))))) == {0, 255}
    for colour, brightness in (("red", 76), ("lime", 150), ("blue", 29)):
        pixels = read_grey(saved(tmp_path / "a.png", Image.new("RGB", (5, 5), colour)))
        assert set(np.unique(pixels)) == {brightness}


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_light_on_transparency_is_laid_on_black(tmp_path: Path, name: str) -> None:
    image = Image.new("RGBA", (6, 6), (255, 255, 255, 0))
    image.paste((255, 255, 255, 255), (0, 0, 3, 6))
    image.paste((255, 255, 255, 128), (0, 0, 1, 6))
    assert read_grey(saved(tmp_path / name, image, lossless=True))[0].tolist() == [128, 255, 255, 0, 0, 0]


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_dark_on_transparency_is_laid_on_white(tmp_path: Path, name: str) -> None:
    image = Image.new("RGBA", (6, 6), (255, 255, 255, 0))
    image.paste((0, 0, 0, 255), (0, 0, 3, 6))
    image.paste((0, 0, 0, 128), (0, 0, 1, 6))
    assert read_grey(saved(tmp_path / name, image, lossless=True, exact=True))[0].tolist() == [127, 0, 0, 255, 255, 255]


@pytest.mark.parametrize(("brightness", "background"), [(127, 255), (128, 0)])
def test_the_brightness_of_what_is_visible_decides_on_the_background(tmp_path: Path, brightness: int, background: int) -> None:
    image = Image.new("LA", (300, 300), (255 - background, 0))
    image.paste((brightness, 255), (0, 0, 200, 300))
    assert read_grey(saved(tmp_path / "a.png", image))[0, [0, -1]].tolist() == [brightness, background]


def test_what_is_wholly_transparent_is_black(tmp_path: Path) -> None:
    assert not read_grey(saved(tmp_path / "a.png", Image.new("RGBA", (6, 6), (0, 0, 0, 0)))).any()


def test_a_transparent_colour_of_a_palette_is_black(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([255, 255, 255, 200, 200, 200])
    image.paste(1, (0, 0, 2, 4))
    assert read_grey(saved(tmp_path / "a.gif", image, transparency=0))[0].tolist() == [200, 200, 0, 0]


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (50, 150, 250)]
    for name in ("a.gif", "a.webp"):
        path = saved(tmp_path / name, frames[0], save_all=True, append_images=frames[1:], lossless=True)
        np.testing.assert_allclose(read_grey(path).astype(int), 50, atol=1)


def test_an_animation_whose_second_frame_is_damaged_is_read(tmp_path: Path) -> None:
    frames = [Image.fromarray(image) for image in np.random.default_rng(0).integers(0, 256, (2, 8, 8), dtype=np.uint8)]
    path = saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    contents = path.read_bytes()
    for length in range(len(contents) - 1, len(contents) // 2, -1):
        path.write_bytes(contents[:length])
        assert picture_kind(path).width == 8


def test_what_a_camera_puts_beside_a_photograph_is_no_animation(tmp_path: Path) -> None:
    photographs = [Image.fromarray(image) for image in (RAMP, RAMP[::2, ::2])]
    path = saved(tmp_path / "a.jpg", photographs[0], format="MPO", save_all=True, append_images=photographs[1:])
    with Image.open(path) as image:
        assert image.format == "MPO"
    assert not picture_kind(path).is_animated


def test_a_photograph_is_turned_as_its_camera_noted(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    path = saved(tmp_path / "a.png", Image.fromarray(RAMP), exif=exif)
    np.testing.assert_array_equal(read_grey(path), np.rot90(RAMP, -1))


def test_a_large_photograph_is_decoded_smaller(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (4096, 2048), "white"))
    assert read_grey(path).shape == (512, 1024)
    assert picture_kind(path).width == 4096


@pytest.mark.parametrize(("width", "height"), [(4097, 10), (10, 4097), (20000, 20000), (60000, 60000)])
def test_a_picture_that_claims_too_many_pixels_is_refused_by_its_header(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(header_of_png(width, height))
    for read in (picture_kind, read_grey):
        with pytest.raises(DataError, match=r"a\.png (has .* pixels: expected at most 4096x4096|cannot be read \(Image size)"):
            read(path)


def test_a_file_of_too_many_bytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.bmp", Image.fromarray(RAMP))
    monkeypatch.setattr(pictures, "LARGEST_FILE", 2000)
    with pytest.raises(DataError, match=r"a\.bmp has [0-9,]+ bytes: expected at most 2,000"):
        picture_kind(path)


@pytest.mark.parametrize("contents", [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_what_is_no_picture_is_named(tmp_path: Path, contents: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(contents)
    with pytest.raises(
        DataError, match=r"a\.png cannot be read \(not a picture in a known format\): expected an undamaged PNG, JPEG,"
    ):
        picture_kind(path)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.gif", "a.webp", "a.jpg"])
def test_damaged_pictures_are_refused_or_read_but_nothing_else(tmp_path: Path, name: str) -> None:
    random = np.random.default_rng(3)
    buffer = io.BytesIO()
    Image.fromarray(np.stack([RAMP] * 3, axis=-1)).save(buffer, format=Image.registered_extensions()[Path(name).suffix])
    path = tmp_path / name
    for _ in range(30):
        contents = bytearray(buffer.getvalue())
        contents[random.integers(len(contents))] ^= random.integers(1, 256)
        path.write_bytes(contents[: random.integers(1, len(contents) + 1)])
        message = ""
        try:
            read_grey(path)
        except DataError as error:
            message = str(error)
        assert "\n" not in message
        assert message == "" or message.startswith(str(path))
