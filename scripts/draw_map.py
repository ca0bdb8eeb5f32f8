"""Draws the map of the packages into CONTRIBUTING.md, from the imports in the source.

    python scripts/draw_map.py

A room is a folder of a package with what its docstring says of it, or a group of the files that lie beside the folders.
"""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from textwrap import fill

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- the map -->\n```\n", "```\n<!-- the end of the map -->"
PACKAGES = {"pocketgan_trainer": "trainer", "pocketgan": "runtime", "pocketgan_models": "models"}
GROUPS = {
    "commands": {
        "eval_cli",
        "export_cli",
        "folder_run",
        "gen_cli",
        "gen_run",
        "write_cli",
        "write_run",
        "info_cli",
        "page_cli",
        "installation",
        "model_check",
        "shared_options",
    }
    | {"plain_console", "requirements", "train_cli", "train_run"},
    "generator": {"drawing", "generator", "request", "series", "traits"},
}
"""Of the files beside the folders; all others are in the group `base`."""
_WIDTH = 120


def package_map() -> str:
    """Return the map: each room stands above those that it imports.

    Raises graphlib.CycleError if rooms import each other in a circle.
    """
    below: dict[str, set[str]] = {}
    names: dict[str, list[str]] = {}
    for package, folder in PACKAGES.items():
        for path in sorted((ROOT / folder / package).rglob("*.py")):
            if path.name != "__init__.py":
                room = _room(".".join(path.relative_to(ROOT / folder).with_suffix("").parts))
                below.setdefault(room, set()).update({_room(module) for module in _imported(path)} - {room})
                names.setdefault(room, []).append(path.stem)
    order = list(TopologicalSorter({room: sorted(used) for room, used in below.items()}).static_order())[::-1]
    lines = []
    for package, folder in PACKAGES.items():
        lines.append(f"== {folder}/{package} ".ljust(_WIDTH, "="))
        for room in order:
            if room.startswith(f"{package}/"):
                path = ROOT / folder / room
                about = _docstring(path) if path.is_dir() else ", ".join(names[room])
                used = [other.removeprefix(f"{package}/") for other in order if other in below[room]]
                used.sort(key=lambda name: name.startswith("pocketgan"))
                lines.append(_entry(room.partition("/")[2], about))
                lines.append(_entry("", "imports " + (", ".join(used) or "none")))
    lines.append(_entry("", _docstring(ROOT / "models/pocketgan_models")))
    return "\n".join(lines) + "\n"


def _room(module: str) -> str:
    package, *inside = module.split(".")
    if not inside or package == "pocketgan_models":
        return package
    if (ROOT / PACKAGES[package] / package / inside[0]).is_dir():
        return f"{package}/{inside[0]}"
    return f"{package}/{next((group for group, files in GROUPS.items() if inside[0] in files), 'base')}"


def _imported(path: Path) -> Iterator[str]:
    """Yield the modules of the project that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PACKAGES:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in PACKAGES)


def _docstring(folder: Path) -> str:
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def _entry(name: str, text: str) -> str:
    return fill(f"  {name:<9}  {text}", width=_WIDTH, subsequent_indent=" " * 13)


def page_with_map(page: str) -> str:
    """Return the text of CONTRIBUTING.md with the present map in place of the one in it."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + package_map() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page_with_map(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
