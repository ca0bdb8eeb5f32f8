"""Which package may import what, held by reading the syntax trees; and that each file is read in one sitting."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_RUNTIME = _ROOT / "runtime" / "pocketgan"
_TRAINER = _ROOT / "trainer" / "pocketgan_trainer"
_RUNTIME_FILES = sorted(_RUNTIME.rglob("*.py"))
_MODEL_FILES = sorted((_ROOT / "models").rglob("*.py"))
_TRAINER_FILES = sorted(_TRAINER.rglob("*.py"))
_HEAVY = {"PIL", "numpy", "onnx", "onnxruntime", "pyarrow", "rich", "torch"}
_STANDARD_LIBRARY_ONLY = ["address", "cpus", "errors", "files", "locking", "request"]
_LIGHT_AT_THE_TOP = [
    "__init__",
    "console",
    "gen_cli",
    "info_cli",
    "installation",
    "model/session",
    "model_check",
    "output/formats",
]


def packages_imported_by(tree: ast.AST) -> set[str]:
    """Return the top-level names of all packages that a module imports, anywhere in it."""
    return {module.split(".")[0] for module in modules_imported_by(tree)}


def modules_imported_by(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield node.module or ""


def imports_at_the_top(path: Path) -> ast.Module:
    """Return the top-level statements of a module that run when it is imported."""
    body = [node for node in parsed(path).body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    body = [node for node in body if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")]
    return ast.Module(body=body, type_ignores=[])


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def test_runtime_and_models_import_only_what_a_device_has() -> None:
    allowed = {"numpy", "PIL", "typer", "rich", "onnxruntime", "pocketgan", "pocketgan_models"} | sys.stdlib_module_names
    foreign = {path: packages_imported_by(parsed(path)) - allowed for path in (*_RUNTIME_FILES, *_MODEL_FILES)}
    assert {path: packages for path, packages in foreign.items() if packages} == {_RUNTIME / "output" / "parquet.py": {"pyarrow"}}


def test_models_import_nothing_of_the_project() -> None:
    assert [path for path in _MODEL_FILES if {"pocketgan", "pocketgan_trainer"} & packages_imported_by(parsed(path))] == []


def test_files_are_read_and_written_with_the_standard_library_only() -> None:
    reading = [path for path in (_RUNTIME / "model").glob("*.py") if path.stem not in ("session", "numpy_session")]
    light = [*(_RUNTIME / f"{name}.py" for name in _STANDARD_LIBRARY_ONLY), *reading]
    assert [
        path for path in light if packages_imported_by(parsed(path)) - sys.stdlib_module_names - {"pocketgan", "pocketgan_models"}
    ] == []


def test_commands_import_nothing_heavy_before_they_know_what_to_do() -> None:
    light = [*(_RUNTIME / f"{name}.py" for name in _LIGHT_AT_THE_TOP), *_TRAINER.glob("*_cli.py")]
    assert [path for path in light if packages_imported_by(imports_at_the_top(path)) & _HEAVY] == []


def test_namespace_folders_have_no_init_file() -> None:
    assert [name for name in ("runtime", "trainer", "models") if (_ROOT / name / "__init__.py").exists()] == []


def test_every_file_is_read_in_one_sitting() -> None:
    files = (*_RUNTIME_FILES, *_MODEL_FILES, *_TRAINER_FILES)
    assert [path for path in files if len(path.read_text().splitlines()) > 400] == []
