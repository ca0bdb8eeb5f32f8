"""Make docs/web.png: a picture of the page that gan-page writes, as Chromium shows it. Needs playwright and chromium.

.venv/bin/python scripts/draw_page_picture.py
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from pocketgan.model.checked import read_model
from pocketgan.page.document import write_page

TARGET = Path(__file__).parents[1] / "docs" / "web.png"
MODEL = "pocket"


def main() -> None:
    """Write the page, open it and take its picture."""
    with TemporaryDirectory() as folder, sync_playwright() as started:
        page = Path(folder) / "page.html"
        write_page(page, read_model(MODEL))
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_page(viewport={"width": 1240, "height": 860}, color_scheme="light")
        shown.goto(f"{page.as_uri()}#chosen=25")
        shown.evaluate("() => pocketgan.ready")
        shown.screenshot(path=TARGET)
        browser.close()


if __name__ == "__main__":
    main()
