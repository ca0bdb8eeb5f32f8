"""Read by PyInstaller alone: the parts of a page, and where in a frozen program they lie."""

from importlib.util import find_spec
from pathlib import Path

_SPEC = find_spec("pocketgan.page")
assert _SPEC is not None
assert _SPEC.origin is not None
_FOLDER = Path(_SPEC.origin).parent

datas = [(str(file), "pocketgan/page") for file in _FOLDER.iterdir() if file.suffix in (".css", ".html", ".js")]
