"""CONTRIBUTING.md and the other pages speak of the source as it is: the map of the packages, and the files that they name."""

import re
from pathlib import Path

import draw_map
import pytest

_ROOT = Path(__file__).parents[1]
_PAGES = [_ROOT / "README.md", _ROOT / "CONTRIBUTING.md", *sorted((_ROOT / "docs").glob("*.md"))]
_FOLDERS = ("runtime", "trainer", "models", "tests", "scripts", "docs")


def test_the_map_is_the_one_that_the_script_draws() -> None:
    page = draw_map.PAGE.read_text(encoding="utf-8")
    assert page == draw_map.page_with_map(page), "run: python scripts/draw_map.py"


def test_the_map_shows_that_the_runtime_imports_nothing_of_the_trainer() -> None:
    _, runtime = draw_map.package_map().split("== runtime/pocketgan ")
    assert "pocketgan_trainer" not in runtime


def test_the_groups_of_the_map_name_files() -> None:
    names = {path.stem for package, folder in draw_map.PACKAGES.items() for path in (_ROOT / folder / package).glob("*.py")}
    assert set().union(*draw_map.GROUPS.values()) - names == set()


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    known = {f"/{path.relative_to(_ROOT)}" for folder in _FOLDERS for path in (_ROOT / folder).rglob("*")}
    named = re.findall(r"\b[\w/]+\.py\b|(?<![\w/])scripts/[\w.]*\w", page.read_text(encoding="utf-8"))
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in known)] == []


def test_the_names_that_the_recipes_use_exist() -> None:
    text = draw_map.PAGE.read_text(encoding="utf-8").partition("## How to add")[2]
    source = "\n".join(
        path.read_text(encoding="utf-8") for folder in ("runtime", "trainer", "tests") for path in (_ROOT / folder).rglob("*.py")
    )
    named = {name for name in re.findall(r"`(\w+)[`(]", text) if not re.search("NAME|KIND_|_KIND|RUN", name)}
    assert {name for name in named if not re.search(rf"\b{name}\b", source)} == set()
