"""What `import pocketgan` offers, and that it costs nothing."""

import subprocess
import sys

import pytest

import pocketgan
from pocketgan import errors
from pocketgan.errors import first_line


def test_every_public_name_can_be_had() -> None:
    for name in pocketgan.__all__:
        assert getattr(pocketgan, name).__name__ == name


def test_the_bundled_models_are_named() -> None:
    assert pocketgan.models() == ["dcgan", "mlp", "nano", "pocket"]


def test_the_public_names_are_sorted() -> None:
    assert pocketgan.__all__ == sorted(pocketgan.__all__)


def test_every_error_is_public_and_of_one_root() -> None:
    named = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert all(issubclass(kind, pocketgan.PocketganError) for kind in named.values())
    assert {name for name in pocketgan.__all__ if name.endswith("Error")} == set(named)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'pocketgan' has no attribute 'Discriminator'$"):
        pocketgan.Discriminator  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = "import sys, pocketgan.errors; print([name for name in ('numpy', 'onnxruntime', 'PIL') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("error", "line"), [(RuntimeError("one"), "one"), (RuntimeError("one\ntwo"), "one"), (MemoryError(), "MemoryError")]
)
def test_a_foreign_error_is_named_by_its_first_line_or_else_its_class(error: Exception, line: str) -> None:
    assert first_line(error) == line
