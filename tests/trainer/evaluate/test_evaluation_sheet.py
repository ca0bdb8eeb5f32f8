"""The report: the images are on the sheet, and the page is complete in one file."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from quick_evaluation import quick_evaluation

from pocketgan.errors import OutputError
from pocketgan_trainer.evaluate.sheet import score_sheet, write_report
from pocketgan_trainer.evaluate.table import html_matrices, table_rows


def is_on(sheet: NDArray[np.uint8], image: NDArray[np.uint8], left: int) -> bool:
    """Return whether an image stands on the sheet, twice enlarged, at this column of pixels."""
    large = image.repeat(2, axis=0).repeat(2, axis=1)
    height, width = large.shape
    column = sheet[:, left : left + width]
    return any(np.array_equal(column[top : top + height], large) for top in range(len(column) - height + 1))


def test_all_specimens_of_all_sources_are_on_the_sheet() -> None:
    evaluation = quick_evaluation()
    sheet = np.asarray(score_sheet(evaluation))
    assert sheet.dtype == np.uint8
    for source in evaluation.sources:
        assert source.specimens is not None
        for index in (0, 1, 19):
            pair, worst = source.specimens.closest_pairs[index], source.specimens.worst
            for image in (pair.reshape(56, 28), worst[index], worst[20 + index]):
                assert is_on(sheet, image, left=4 + 60 * index)


def test_a_name_ending_in_png_is_the_sheet_and_one_in_html_a_page_that_holds_it(tmp_path: Path) -> None:
    evaluation = quick_evaluation()
    rows = table_rows(evaluation, False)
    write_report(tmp_path / "a.png", evaluation, rows)
    with Image.open(tmp_path / "a.png") as image:
        expected = np.asarray(image)
    np.testing.assert_array_equal(expected, np.asarray(score_sheet(evaluation)))

    write_report(tmp_path / "a.html", evaluation, rows)
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    (picture,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        np.testing.assert_array_equal(np.asarray(image), expected)
    assert "http" not in page
    assert html_matrices(evaluation) in page
    assert all(cell.text in page for row in rows for cell in row.sources)


def test_a_report_that_cannot_be_written_is_an_error_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(OutputError, match=r"cannot write .*taken\.png"):
        write_report(tmp_path / "taken.png", quick_evaluation(), ())
