"""Parsers of digits and text, and the labels of class names."""

from dataclasses import replace

import pytest

from pocketgan.errors import RequestError
from pocketgan.generator import Generator
from pocketgan.request import LONGEST_TEXT, MOST_ENTRIES, labels_of_names, parse_digit, parse_digits, parse_text


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("7", "7"),
        ("0-4", "0 1 2 3 4"),
        ("0-4,7", "0 1 2 3 4 7"),
        ("7,0-2", "7 0 1 2"),
        ("3-3", "3"),
        ("9-11", "9 10 11"),
        ("0,0,1", "0 0 1"),
        ("0-2,1-3", "0 1 2 1 2 3"),
        ("A,b,12", "A b 12"),
        ("007", "007"),
    ],
)
def test_a_specification_names_classes_in_its_order(spec: str, names: str) -> None:
    assert parse_digits(spec) == tuple(names.split())


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("", "''"),
        ("0-4,", "''"),
        ("-1", "'-1'"),
        ("0-", "'0-'"),
        ("1-2-3", "'1-2-3'"),
        ("a-f", "'a-f'"),
        ("00-04", "'00-04'"),
        ("0-4, 7", "' 7'"),
        ("٣", "'٣'"),
        ("5\n", "'5\\n'"),
        ("0-9999999999", "'0-9999999999'"),
        ("x" * 33, "'xxxxxxxxxxxx...xxxxxxxxxxxxx'"),
    ],
)
def test_a_malformed_specification_is_refused_by_its_entry(spec: str, found: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_digits(spec)
    assert str(caught.value) == (
        f"{found} is neither a class nor a range: expected names and ranges with commas between, such as 0-4,7"
    )


def test_a_range_that_runs_backwards_is_refused_with_the_right_one() -> None:
    with pytest.raises(RequestError, match=r"^the range 7-4 runs backwards: expected 4-7$"):
        parse_digits("0,7-4")


def test_a_specification_may_name_as_many_classes_as_a_model_can_have() -> None:
    assert len(parse_digits(f"0-{MOST_ENTRIES - 1}")) == MOST_ENTRIES
    assert parse_digits(f"1-{MOST_ENTRIES}")[-1] == f"{MOST_ENTRIES}"


@pytest.mark.parametrize("spec", [f"0-{MOST_ENTRIES}", f"1-{MOST_ENTRIES},0", "0-999999999", ",".join(["1"] * 1001)])
def test_a_specification_of_too_many_classes_is_refused(spec: str) -> None:
    with pytest.raises(RequestError, match=r" names too many classes: expected at most 1,000$"):
        parse_digits(spec)


def test_one_class_is_its_name() -> None:
    assert [parse_digit(name) for name in ("7", "12", "Sandal")] == [("7",), ("12",), ("Sandal",)]
    for name in ("", "0-4", "7 ", "é", "x" * 33):
        with pytest.raises(RequestError, match=r"^'.*' is not a class: expected one name, such as 7; --digits takes several$"):
            parse_digit(name)


def test_a_text_stands_for_its_characters() -> None:
    assert parse_text("2026") == ("2", "0", "2", "6")
    assert parse_text("1/2") == ("1", "slash", "2")
    assert parse_text("1" * LONGEST_TEXT) == ("1",) * LONGEST_TEXT


@pytest.mark.parametrize(("text", "shown"), [("", "''"), ("1" * 33, "'111111111111...1111111111111'")])
def test_a_text_that_is_empty_or_too_long_is_refused(text: str, shown: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_text(text)
    assert str(caught.value) == f"the text {shown} has {len(text)} characters: expected 1 to 32"


def test_labels_are_the_positions_of_the_names_in_the_card(conditional: Generator) -> None:
    card = replace(conditional.card, classes=("5", "A", "10", "0"))
    assert labels_of_names(card, ("0", "10", "0", "5", "A")) == (3, 2, 3, 0, 1)


@pytest.mark.parametrize(
    ("classes", "name", "known"),
    [
        (10, "10", "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        (10, "07", "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        (130, "130", f"{', '.join(map(str, range(100)))} and 30 more"),
    ],
)
def test_a_class_that_the_model_lacks_is_refused(conditional: Generator, classes: int, name: str, known: str) -> None:
    card = replace(conditional.card, classes=tuple(map(str, range(classes))))
    with pytest.raises(RequestError) as caught:
        labels_of_names(card, ("0", name))
    assert str(caught.value) == f"model tiny_conditional has no class {name!r}: its classes are {known}"


def test_a_model_without_classes_says_so(tiny: Generator) -> None:
    with pytest.raises(RequestError) as caught:
        labels_of_names(tiny.card, ("7",))
    assert (
        str(caught.value)
        == "model tiny has no classes: it cannot draw chosen digits or text; choose another one, such as --model pocket"
    )
