"""Patterns of texts: each is one of a regular expression's, found by its address; what is not supported is named."""

import re
from collections import Counter

import pytest

from pocketgan.errors import RequestError
from pocketgan.write.patterns import NAMED_PATTERNS, SEPARATORS, parse_pattern
from pocketgan.write.texts import checked_pattern, texts_in_classes


def texts_of(pattern: str, count: int, seed: int = 0) -> list[str]:
    """Return the first texts of a pattern."""
    texts = checked_pattern(parse_pattern(pattern), seed)
    return [texts.text(number) for number in range(count)]


@pytest.mark.parametrize(
    "pattern",
    [
        "[0-9]{5}",
        r"\d{2,4}",
        "7",
        "(19|20)[0-9]{2}",
        "1[0-3]?",
        "[abc1-3]{1,3}",
        "(0|1[2-4]|[56]{2}){2}",
        "12 (3|4)",
        r"(?:1|2)\.[\d]{2}",
        r"^[0-9.,+]\$$",
        r"[\-\]^]{3}",
        "1|([0-9]{32}){0}2",
        *NAMED_PATTERNS.values(),
    ],
)
def test_texts_match_the_regular_expression_and_its_bounds_hold(pattern: str) -> None:
    parsed, texts = parse_pattern(pattern), texts_of(pattern, 500)
    assert all(re.fullmatch(pattern, text) for text in texts)
    assert max(map(len, texts)) <= parsed.longest
    assert min(len(text.replace(" ", "")) for text in texts) >= parsed.shortest
    assert set("".join(texts)) <= parsed.all_characters
    assert len(set(texts)) <= parsed.count


@pytest.mark.parametrize("name", NAMED_PATTERNS)
def test_a_name_stands_for_a_pattern(name: str) -> None:
    assert texts_of(name, 20) == texts_of(NAMED_PATTERNS[name], 20)


@pytest.mark.parametrize(
    ("name", "classes", "separator"),
    [
        ("date", ("dash", "point", "slash"), "/"),
        ("time", ("colon",), ":"),
        ("amount", ("comma", "slash"), ","),
        ("phone", ("dash",), "-"),
        ("date", ("colon",), " "),
    ],
)
def test_the_model_has_the_separators_of_patterns_by_name(name: str, classes: tuple[str, ...], separator: str) -> None:
    texts = checked_pattern(parse_pattern(name), 4, SEPARATORS[name])
    separated = texts_in_classes(texts, (*"0123456789", *classes))
    assert [separated.text(number) for number in range(9)] == [texts.text(number).replace(" ", separator) for number in range(9)]
    assert separator in separated.characters


def test_dates_exist() -> None:
    days = {month: 30 if month in (4, 6, 9, 11) else 28 if month == 2 else 31 for month in range(1, 13)}
    for text in texts_of("date", 1000):
        day, month, year = map(int, text.split())
        assert 1 <= day <= days[month]
        assert 1900 <= year <= 2099


def test_alternatives_are_as_likely_as_they_have_texts_and_numbers_of_times_are_equally_likely() -> None:
    firsts = Counter(len(text) for text in texts_of("[0-9]|[0-9]{2}", 4000))  # 10 and 100 texts
    assert firsts[1] / 4000 == pytest.approx(10 / 110, abs=0.02)
    lengths = Counter(len(text) for text in texts_of("[0-9]{1,4}", 4000))
    assert all(count / 4000 == pytest.approx(1 / 4, abs=0.03) for count in lengths.values())
    digits = Counter("".join(texts_of("[0-9]{8}", 2000)))
    assert all(count / 16_000 == pytest.approx(1 / 10, abs=0.01) for count in digits.values())


def test_texts_are_the_same_for_ever() -> None:
    assert texts_of("[0-9]{5}", 4) == ["64430", "27701", "46871", "60388"]
    assert texts_of("date", 3, seed=9) == ["28 10 1929", "12 06 2099", "16 08 2080"]


def test_a_text_depends_on_its_seed_and_number_only() -> None:
    texts = checked_pattern(parse_pattern("[0-9]{3,6}"), 5)
    assert [texts.text(number) for number in (7, 3, 2**40)] == [
        texts_of("[0-9]{3,6}", 8, 5)[7],
        texts_of("[0-9]{3,6}", 4, 5)[3],
        texts.text(2**40),
    ]
    assert texts_of("[0-9]{6}", 20, 5) != texts_of("[0-9]{6}", 20, 6)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("[0-9", "at character 5: expected characters and ranges such as 0-9, and ]"),
        ("[]", "at character 3: the set is empty"),
        ("[9-0]", "at character 5: the range 9-0 runs backwards"),
        ("[^0-9]", "at character 2: expected characters and ranges"),
        ("(12", "at character 4: expected )"),
        ("12)", "at character 3: expected nothing more, found ')'"),
        ("[0-9]+", "at character 6: '+' is not supported; use {1,8} for a limited number"),
        ("1*", "at character 2: '*' is not supported; use {1,8}"),
        (".", "at character 1: '.' is not supported"),
        (r"\w", r"at character 2: expected \d, or a character that is no letter or digit, after the backslash"),
        ("[0-9\\", r"at character 6: expected \d, or"),
        ("^[0-9]^", "at character 7: '^' is not supported"),
        ("1{", "at character 3: expected a number of repetitions such as {5} or {2,5}"),
        ("1{2", "at character 4: expected a number of repetitions"),
        ("1{,2}", "at character 3: expected a number of repetitions"),
        ("1{4,2}", "at character 7: expected at most 32 repetitions, the lower number first"),
        ("1{33}", "at character 6: expected at most 32 repetitions"),
        ("1" * 257, "the pattern has 257 characters: expected at most 256"),
    ],
)
def test_what_is_not_supported_is_named(pattern: str, message: str) -> None:
    with pytest.raises(RequestError, match=re.escape(message)):
        parse_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("[0-9]{20}[0-9]{20}", "the pattern makes texts of up to 40 characters: expected at most 32"),
        ("([0-9]{32}){32}", "the pattern makes texts of up to 1024 characters: expected at most 32"),
        ("((1?){32}){32}", "the pattern makes texts of up to 1024 characters"),
        ("(((){32}){32}){32}1", "the pattern makes 1,058 choices for a text: expected at most 256"),
        ("", "the pattern makes texts without a digit"),
        ("1?", "the pattern makes texts without a digit"),
        (" {3}", "the pattern makes texts without a digit"),
        ("1|", "the pattern makes texts without a digit"),
    ],
)
def test_texts_that_cannot_be_drawn_are_refused(pattern: str, message: str) -> None:
    with pytest.raises(RequestError, match=f"^{message}"):
        checked_pattern(parse_pattern(pattern), 0)


def test_a_pattern_that_never_comes_is_not_counted() -> None:
    pattern = "[0-9]"
    for _ in range(7):
        pattern = f"({pattern}){{32}}"
    assert set(texts_of(f"1|({pattern}){{0}}2", 20)) == {"1", "2"}
