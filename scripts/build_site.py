#!/usr/bin/env python3
"""Builds the pages of the repository as a site, in a new folder or in place of an older site, and checks its links.

    python scripts/build_site.py [FOLDER]      by default site/

The pages stay readable as they are: links between them, and to pictures, are changed to where these are on the site. A link to a
file that the site does not have, such as a script, becomes its text. Needs zensical (extra `dev`).
"""

import argparse
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
MODELS = "models/pocketgan_models"
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "trainer/pocketgan_trainer/data/mnist/README.md": "mnist.md",
    **{str(page.relative_to(ROOT)): page.name for folder in ("docs", MODELS) for page in (ROOT / folder).glob("*.md")},
}
"""Where each page of the repository is on the site."""
PICTURES = {
    str(picture.relative_to(ROOT)): f"pictures/{picture.name}"
    for folder in ("docs", MODELS)
    for picture in (ROOT / folder).glob("*.*")
    if picture.suffix in (".png", ".gif")
}
PLACES = {**PAGES, **PICTURES}

_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_SOURCE = re.compile(r'(?<= src=")[^"]+')
_CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)
MARK = ".pocketgan-site"
"""A file of every site that this script built: a folder without it is not replaced."""


def place(page: str, target: str) -> str | None:
    """Return what a link on a page of the repository is on the site; None if it is to a file that the site does not have.

    Raises ValueError if there is no such file.
    """
    path, _, anchor = target.partition("#")
    if urlsplit(target).scheme or not path:
        return target
    file = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(path)))
    if not (ROOT / file).exists():
        raise ValueError(f"{page}: no file {target}")
    return PLACES[file] + (f"#{anchor}" if anchor else "") if file in PLACES else None


def on_site(page: str, text: str) -> str:
    """Return a page's text with the links of the site. Raises ValueError for a link to a file that does not exist."""

    def linked(match: re.Match[str]) -> str:
        target = place(page, match["target"])
        return match["text"] if target is None else f"[{match['text']}]({target})"

    parts = _CODE.split(text)  # code, which stays as it is, is every second part
    parts[::2] = (_SOURCE.sub(lambda match: place(page, match[0]) or match[0], _LINK.sub(linked, part)) for part in parts[::2])
    return "".join(parts)


class _Anchors(HTMLParser):
    """Collects the ids and the links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids.add(values.get("id") or "")
        self.links += [link for name in ("href", "src") if (link := values.get(name))]


def dead_links(site: Path) -> list[str]:
    """Return a line for each link of a built site to a page, a file or a heading that it does not have."""
    pages = {page: _Anchors(page.read_text(encoding="utf-8")) for page in sorted(site.rglob("*.html"))}
    dead = []
    for page, found in pages.items():
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or page.name == "404.html":
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            ids = pages[target].ids if target in pages else set()
            if not target.exists() or (parts.fragment and unquote(parts.fragment) not in ids):
                dead.append(f"{page.relative_to(site)}: dead link {link}")
    return dead


def build(site: Path) -> None:
    """Build the site in a folder. Raises ValueError for warnings, dead links, and a folder that is not an older site."""
    if site.exists() and not (site / MARK).exists():
        raise ValueError(f"{site} exists and is not a site: choose another folder, or move it away")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(ROOT / "docs" / "zensical.toml", folder)
        for file, target in PLACES.items():
            copy = folder / "docs" / target
            copy.parent.mkdir(parents=True, exist_ok=True)
            if file in PAGES:
                copy.write_text(on_site(file, (ROOT / file).read_text(encoding="utf-8")), encoding="utf-8")
            else:
                shutil.copy(ROOT / file, copy)
        command = [sys.executable, "-m", "zensical", "build", "--strict"]
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
        if done.returncode:
            raise ValueError(done.stdout + done.stderr)
        if dead := dead_links(folder / "site"):
            raise ValueError("\n".join(dead))
        (folder / "site" / MARK).touch()
        made = site.with_name(f".{site.name}.new")
        shutil.rmtree(made, ignore_errors=True)
        shutil.copytree(folder / "site", made)
        if site.exists():
            shutil.rmtree(site)
        made.rename(site)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "site")
    target_folder = parser.parse_args().folder.resolve()
    try:
        build(target_folder)
    except ValueError as error:
        sys.exit(f"error: {error}")
    print(f"{len(PAGES)} pages in {target_folder}")
