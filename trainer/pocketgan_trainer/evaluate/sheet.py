"""The report with images: of each source the pairs closest to training digits and the worst images, on one sheet or one page."""

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from pocketgan.console import printable
from pocketgan.files import whole_file
from pocketgan_trainer.evaluate.evaluation import Evaluation, Specimens
from pocketgan_trainer.evaluate.table import Row, html_matrices, html_table, verdicts

REPORT_MARK = "gan-eval"
"""Each report contains it."""
COLUMNS = 20
_SCALE = 2
_GAP = 4
_CAPTION_HEIGHT = 16
_BACKGROUND, _INK = 48, 255


def write_report(target: Path, evaluation: Evaluation, rows: Sequence[Row]) -> None:
    """Write the sheet as a PNG file or, where the name ends in .html, tables and sheet as one page without other files.

    Raises OutputError if the file cannot be written.
    """
    encoded = io.BytesIO()
    about = PngInfo()
    about.add_text("Software", REPORT_MARK)
    score_sheet(evaluation).save(encoded, format="PNG", pnginfo=about)
    contents = encoded.getvalue()
    if target.suffix == ".html":
        contents = _page(evaluation, rows, contents).encode()
    with whole_file(target) as temporary:
        temporary.write_bytes(contents)


def score_sheet(evaluation: Evaluation) -> Image.Image:
    """Return the sheet, grey: for each source a heading, its closest pairs (the training digit below) and its worst images."""
    strips = []
    for source in evaluation.sources:
        specimens = source.specimens
        assert specimens is not None
        least = "the digit asked for (digit: judged)" if source.has_classes else "any digit (judged)"
        strips += [
            _line(f"{source.name}: closest pairs, generated above, training digit below, distance in the first judge's features"),
            *_rows_of_images(_stacked_pairs(specimens), specimens.pair_captions),
            _line(f"{source.name}: least like {least}, with its probability, by the first judge"),
            *_rows_of_images(specimens.worst, specimens.worst_captions),
        ]
    return Image.fromarray(np.concatenate(strips))


def _stacked_pairs(specimens: Specimens) -> NDArray[np.uint8]:
    """Return each pair as one image, uint8 [pairs, 2 * 28, 28]."""
    pairs = specimens.closest_pairs
    return pairs.reshape(len(pairs), -1, pairs.shape[-1])


def _rows_of_images(images: NDArray[np.uint8], captions: Sequence[str]) -> list[NDArray[np.uint8]]:
    """Return strips as wide as the sheet, with COLUMNS images uint8 [N, H, W] each, enlarged, and their captions below."""
    height, width = images.shape[1] * _SCALE, images.shape[2] * _SCALE
    strips = []
    for first in range(0, len(images), COLUMNS):
        strip = np.full((height + _CAPTION_HEIGHT + _GAP, _sheet_width()), _BACKGROUND, dtype=np.uint8)
        for column, image in enumerate(images[first : first + COLUMNS]):
            left = _GAP + column * (width + _GAP)
            strip[:height, left : left + width] = image.repeat(_SCALE, axis=0).repeat(_SCALE, axis=1)
        drawn = Image.fromarray(strip)
        for column, caption in enumerate(captions[first : first + COLUMNS]):
            _write(drawn, _GAP + column * (width + _GAP), height, caption)
        strips.append(np.asarray(drawn))
    return strips


def _line(text: str) -> NDArray[np.uint8]:
    """Return a strip with a line of text."""
    strip = Image.new("L", (_sheet_width(), 2 * _CAPTION_HEIGHT), _BACKGROUND)
    _write(strip, _GAP, _CAPTION_HEIGHT // 2, text)
    return np.asarray(strip)


def _write(image: Image.Image, left: int, top: int, text: str) -> None:
    # Where Pillow is built without FreeType, its font has no other characters than these.
    plain = printable(text).encode("ascii", "replace").decode()
    ImageDraw.Draw(image).text((left, top), plain, fill=_INK, font=ImageFont.load_default())


def _sheet_width() -> int:
    return _GAP + COLUMNS * (28 * _SCALE + _GAP)


def _page(evaluation: Evaluation, rows: Sequence[Row], sheet: bytes) -> str:
    title = escape(printable(f"{REPORT_MARK}: {', '.join(source.name for source in evaluation.sources)}"))
    said = "".join(f"<li>{escape(printable(line))}</li>" for line in verdicts(evaluation))
    picture = base64.b64encode(sheet).decode()
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        "<style>body { font: 14px sans-serif } td, th { text-align: left; padding: 2px 8px }</style>\n"
        f"<h1>{title}</h1>\n<ul>{said}</ul>\n{html_table(evaluation, rows)}\n{html_matrices(evaluation)}\n"
        f'<p><img alt="Closest pairs and worst images" src="data:image/png;base64,{picture}"></p>\n</html>\n'
    )
