"""Which side may import what: the arrows of the design, held by reading the syntax trees."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_EDGE_SIDE = sorted([*(_ROOT / "runtime").rglob("*.py"), *(_ROOT / "models").rglob("*.py")])
_TRAINER_SIDE = sorted((_ROOT / "trainer").rglob("*.py"))
_STANDARD_LIBRARY_ONLY = (
    "address.py",
    "card.py",
    "cpu_features.py",
    "cpus.py",
    "digit_spec.py",
    "drawing_run.py",
    "errors.py",
    "files.py",
    "graph_file.py",
    "graph_limits.py",
    "graph_message.py",
    "graph_shapes.py",
    "locate.py",
    "locking.py",
    "onnx_file.py",
    "output/folder.py",
    "truncation.py",
    "wire_format.py",
)
_LIGHT_AT_THE_TOP = (
    "console.py",
    "gen_cli.py",
    "info_cli.py",
    "installation.py",
    "model_check.py",
    "session.py",
    "__init__.py",
)


def imported_packages(tree: ast.AST) -> Iterator[str]:
    """Yield the top-level names of all packages that a module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield (node.module or "").split(".")[0]


def without_type_checking_blocks(tree: ast.Module) -> ast.Module:
    """Return the module's top-level statements that run at import."""
    guard = "TYPE_CHECKING"
    body = [node for node in tree.body if not (isinstance(node, ast.If) and ast.unparse(node.test) == guard)]
    body = [node for node in body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return ast.Module(body=body, type_ignores=[])


@pytest.mark.parametrize("path", _EDGE_SIDE, ids=lambda path: str(path.relative_to(_ROOT)))
def test_edge_side_never_imports_training_packages(path: Path) -> None:
    allowed_third_party = {"numpy", "PIL", "typer", "rich", "onnxruntime", "pocketgan", "pocketgan_models"}
    import sys

    foreign = set(imported_packages(ast.parse(path.read_text()))) - allowed_third_party - sys.stdlib_module_names
    assert foreign == set()


@pytest.mark.parametrize("path", sorted((_ROOT / "models").rglob("*.py")), ids=lambda path: path.name)
def test_models_import_nothing_of_the_project(path: Path) -> None:
    assert not {"pocketgan", "pocketgan_trainer"} & set(imported_packages(ast.parse(path.read_text())))


@pytest.mark.parametrize("name", _STANDARD_LIBRARY_ONLY)
def test_small_runtime_modules_need_the_standard_library_only(name: str) -> None:
    import sys

    tree = ast.parse((_ROOT / "runtime" / "pocketgan" / name).read_text())
    assert set(imported_packages(tree)) <= sys.stdlib_module_names | {"pocketgan", "pocketgan_models"}


@pytest.mark.parametrize("name", _LIGHT_AT_THE_TOP)
def test_start_up_modules_import_nothing_heavy_at_the_top(name: str) -> None:
    tree = without_type_checking_blocks(ast.parse((_ROOT / "runtime" / "pocketgan" / name).read_text()))
    assert not {"numpy", "onnxruntime", "PIL", "rich"} & set(imported_packages(tree))


@pytest.mark.parametrize("name", ["train_cli.py", "export_cli.py", "eval_cli.py"])
def test_trainer_command_lines_import_no_torch_at_the_top(name: str) -> None:
    tree = without_type_checking_blocks(ast.parse((_ROOT / "trainer" / "pocketgan_trainer" / name).read_text()))
    assert set(imported_packages(tree)) & {"torch", "onnx", "onnxruntime", "numpy", "rich"} == set()


def test_namespace_folders_have_no_init_file() -> None:
    assert [name for name in ("runtime", "trainer", "models") if (_ROOT / name / "__init__.py").exists()] == []


def test_every_module_stays_readable_in_one_sitting() -> None:
    assert [path for path in (*_EDGE_SIDE, *_TRAINER_SIDE) if len(path.read_text().splitlines()) > 400] == []
