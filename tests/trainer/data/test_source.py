"""Names of classes and data sets: made fit, in order, and refused where that cannot be."""

from pathlib import Path

import numpy as np
import pytest

from pocketgan_trainer.data.source import NamedClasses, class_names, data_set_name, name_classes, name_numbered_classes
from pocketgan_trainer.errors import DataError

WHERE = Path("clothes")


@pytest.mark.parametrize(
    ("name", "fit"),
    [
        ("cat", "cat"),
        ("T-shirt/top", "Tshirttop"),
        ("Café au lait", "Cafeaulait"),
        ("3", "3"),
        ("007", "007"),
        ("x" * 40, "x" * 32),
        ("\uff13", "3"),  # of full width
    ],
)
def test_a_name_is_made_fit_for_a_model_card(name: str, fit: str) -> None:
    assert class_names([name], WHERE) == (fit,)


def test_names_that_become_equal_are_refused() -> None:
    with pytest.raises(DataError, match=r"clothes has classes 'T-shirt' and 'Tshirt', which are both Tshirt in a model card"):
        class_names(["T-shirt", "Tshirt"], WHERE)


@pytest.mark.parametrize("name", ["", "---", "靴"])
def test_a_name_of_which_nothing_is_left_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="expected ASCII letters or digits in its name; rename it"):
        class_names(["cat", name], WHERE)


@pytest.mark.parametrize("are_names", [True, False])
def test_more_than_1000_classes_are_refused(are_names: bool) -> None:
    def named(count: int) -> NamedClasses:
        return name_classes([str(number) for number in range(count)] if are_names else np.arange(count), WHERE)

    assert len(named(1000).names) == 1000
    with pytest.raises(DataError, match="clothes has 1,001 classes: expected at most 1,000"):
        named(1001)


def test_a_note_shows_at_most_five_changed_names() -> None:
    assert name_classes(["cat", "dog"], WHERE).notes == ()
    (note,) = name_classes([f"a {letter}" for letter in "bcdefgh"], WHERE).notes
    assert note.endswith("a b became ab, a c became ac, a d became ad, a e became ae, a f became af, and 2 more.")


@pytest.mark.parametrize("convert", [list, np.array])
def test_classes_are_in_the_order_of_their_numbers_or_else_in_that_of_the_alphabet(convert: type) -> None:
    numbered = name_classes(convert(["10", "9", "0", "9", "100"]), WHERE)
    assert numbered.names == ("0", "9", "10", "100")
    assert numbered.labels is not None
    assert numbered.labels.tolist() == [2, 1, 0, 1, 3]
    assert numbered.labels.dtype == np.int64
    named = name_classes(convert(["cat", "9", "10"]), WHERE)
    assert named.names == ("10", "9", "cat")
    assert named.labels is not None
    assert named.labels.tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("names", "class_labels"),
    [
        ({3: "ox", 8: "ant"}, (3, 8)),
        ({3: "3", 8: "8"}, None),
        ({3: "8", 8: "3"}, (3, 8)),
        ({3: "ox", 2**31 - 1: "ant"}, (3, 2**31 - 1)),
        ({3: "ox", 2**31: "ant"}, None),
    ],
)
def test_classes_with_numbers_and_names_keep_the_numbers_that_a_card_needs(
    names: dict[int, str], class_labels: tuple[int, ...] | None
) -> None:
    numbers = list(names)
    classes = name_numbered_classes(np.array([numbers[1], numbers[0], numbers[1]]), names, WHERE)
    assert (classes.names, classes.class_labels) == (tuple(names.values()), class_labels)
    assert classes.labels is not None
    assert classes.labels.tolist() == [1, 0, 1]


def test_a_number_that_is_negative_or_has_no_name_is_refused() -> None:
    with pytest.raises(DataError, match="clothes has images of label 2, for which there is no name"):
        name_numbered_classes(np.array([1, 2]), {1: "ox"}, WHERE)
    with pytest.raises(DataError, match="clothes has labels from -1 on: expected whole numbers from 0 on"):
        name_numbered_classes(np.array([1, -1]), {1: "ox"}, WHERE)
    with pytest.raises(DataError, match="clothes has labels from -1 on: expected whole numbers from 0 on"):
        name_classes(np.array([1, -1]), WHERE)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My Shoes (2024)", "my-shoes-2024"),
        ("Übung_3", "ubung-3"),
        ("靴", "images"),
        ("", "images"),
        ("a" * 39 + "-bc", "a" * 39),
    ],
)
def test_a_data_set_is_named_by_its_folder(text: str, name: str) -> None:
    assert data_set_name(text) == name
