"""Debian's or any other Chromium, driven by playwright; a test that asks for it is skipped where one of them is not installed."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# What Chromium would fetch by itself is switched off, so that a page's own requests are all there are.
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
_PATIENCE_SECONDS = 60


class Opened:
    """A page that is open, and what it asked the network for."""

    def __init__(self, page: Any) -> None:  # noqa: ANN401
        self.page = page
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def run(self, script: str, argument: object = None) -> Any:  # noqa: ANN401
        """Return what a JavaScript function returns in the page."""
        return self.page.evaluate(script, argument)

    def wait_for(self, script: str) -> None:
        """Wait until a JavaScript function returns true; playwright's own way would break the page's rules for scripts."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while not self.run(script):
            assert time.monotonic() < until, f"never true: {script}"
            time.sleep(0.05)


@contextmanager
def opened(path: Path, width: int = 1400, height: int = 950, link: str = "") -> Iterator[Opened]:
    """Open a file in a new browser, and wait until it has drawn."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        try:
            found = Opened(browser.new_page(viewport={"width": width, "height": height}))
            found.page.goto(path.as_uri() + link)
            found.run("() => pocketgan.ready")
            yield found
        finally:
            browser.close()
