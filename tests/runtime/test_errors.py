"""The errors: one root, and foreign messages cut to a line."""

import pytest

from pocketgan import errors
from pocketgan.errors import PocketganError, first_line


@pytest.mark.parametrize(
    ("error", "line"), [(RuntimeError("one"), "one"), (RuntimeError("one\ntwo"), "one"), (MemoryError(), "MemoryError")]
)
def test_of_a_foreign_error_the_first_line_is_told_or_else_its_name(error: Exception, line: str) -> None:
    assert first_line(error) == line


def test_every_error_has_the_same_root() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    assert len(classes) == 7
    assert all(issubclass(each, PocketganError) for each in classes)
