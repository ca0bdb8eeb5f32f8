"""Read by PyInstaller alone: the files that a frozen program carries, and where in it they lie."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]

datas = [(str(file), _PACKAGE.name) for file in (*_PACKAGE.glob("*.onnx"), _PACKAGE / "golden.json")]
