"""docs/python.md: its cells are run from top to bottom, and print what stands there."""

import doctest
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "python.md"
PICTURES = {"sheet.png": ROOT / "models" / "pocketgan_models" / "pocket.png", "people.png": ROOT / "docs" / "people.png"}
"""What the page shows in place of the pictures that it makes."""


def cells(page: str) -> list[str]:
    """Return the page's Python cells, each after as many empty lines as stand before it on the page."""
    found: list[str] = []
    is_cell = False
    for number, line in enumerate(page.splitlines()):
        if line.startswith("```"):
            is_cell = line == "```python" and not is_cell
            if is_cell:
                found.append("\n" * (number + 1))
        elif is_cell:
            found[-1] += line + "\n"
    return found


def examples(page: str) -> list[doctest.Example]:
    """Return the examples in all cells of the page, with its line numbers."""
    return [example for cell in cells(page) for example in doctest.DocTestParser().get_examples(cell)]


def report_of_differences(page: str) -> str:
    """Run the page in one namespace and return doctest's report of what differs: nothing if all is as it stands there."""
    test = doctest.DocTest(examples(page), {"__name__": "__main__"}, PAGE.name, str(PAGE), 0, page)
    report: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    return "".join(report)


def test_the_page_prints_what_stands_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if report := report_of_differences(PAGE.read_text()):
        pytest.fail(report, pytrace=False)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "annotations.json",
        "digits.npz",
        "leaning.gif",
        "people.png",
        "seven.png",
        "sheet.png",
        "ten.gif",
        "ten.png",
    ]
    for name, picture in PICTURES.items():
        with Image.open(name) as made, Image.open(picture) as shown:
            np.testing.assert_array_equal(np.asarray(made), np.asarray(shown))


def test_every_cell_has_examples_and_there_are_many() -> None:
    page = PAGE.read_text()
    assert len(cells(page)) == page.count("```python") >= 20
    assert all(cell.lstrip().startswith(">>> ") for cell in cells(page))
    assert len(examples(page)) >= 50
    assert sum(example.want != "" for example in examples(page)) >= 30


def test_a_wrong_output_is_reported_with_its_line() -> None:
    page = "A page\n\n```python\n>>> x = 2\n>>> x\n2\n```\n\n```python\n>>> x + 1\n4\n```\n"
    report = report_of_differences(page)
    assert f'File "{PAGE}", line 10, in python.md' in report
    assert "Expected:\n    4\nGot:\n    3\n" in report
    assert report.count("Expected:") == 1
