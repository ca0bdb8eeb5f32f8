"""The pages as a site: every link leads somewhere, and nothing is loaded from other servers."""

import re
from pathlib import Path

import build_site
import pytest


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site") / "site"
    for _ in ("new", "replaced"):
        build_site.build(folder)  # raises for warnings and dead links
    return folder


def test_each_page_is_on_the_site(site: Path) -> None:
    pages = [folder.name for folder in site.iterdir() if (folder / "index.html").exists()]
    assert sorted([*pages, "index"]) == sorted(name.removesuffix(".md") for name in build_site.PAGES.values())


def test_pages_are_in_the_menu(site: Path) -> None:
    menu = (build_site.ROOT / "docs" / "zensical.toml").read_text(encoding="utf-8")
    assert sorted(re.findall(r'"([\w-]+\.md)"', menu)) == sorted(build_site.PAGES.values())


def test_a_page_shows_its_pictures_and_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:img|script|iframe)[^>]* src="?([^"> ]+)', text) + re.findall(
            r'<link[^>]* rel="?stylesheet"?[^>]* href="?([^"> ]+)', text
        )
        assert loaded
        assert [source for source in loaded if "//" in source] == []
    assert (site / "pictures" / "pocket.png").exists()


def test_links_lead_to_the_site_where_it_has_the_file_and_are_text_where_not() -> None:
    text = '[a](quality.md#how) [b](../README.md) [c](../scripts/test) <img src="../models/pocketgan_models/mlp.png"> `a[i](j)`'
    on_site = '[a](quality.md#how) [b](index.md) c <img src="pictures/mlp.png"> `a[i](j)`'
    assert build_site.on_site("docs/training.md", text) == on_site


def test_dead_links_are_found(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"README.md: no file docs/missing.md"):
        build_site.on_site("README.md", "[a](docs/missing.md)")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "index.html").write_text('<h1 id="top"><a href="../b.html#here"></a><a href="#top"><img src="c.png">')
    (tmp_path / "b.html").write_text('<a href="a/#top"></a><a href="a/#bottom"></a><a href="https://x.y"></a>')
    assert build_site.dead_links(tmp_path) == [
        "a/index.html: dead link ../b.html#here",
        "a/index.html: dead link c.png",
        "b.html: dead link a/#bottom",
    ]


def test_a_folder_that_is_not_a_site_is_left_alone(tmp_path: Path) -> None:
    for name in ("mine.txt", "sitemap.xml"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=r"exists and is not a site: choose another folder"):
        build_site.build(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mine.txt", "sitemap.xml"]
