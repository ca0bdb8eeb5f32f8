"""Names of classes and data sets: made fit, in order, and refused where they cannot be."""

from pathlib import Path

import numpy as np
import pytest

from pocketgan_trainer.data.published import KNOWN
from pocketgan_trainer.data.source import class_names, data_set_name, in_order, number_labels, renaming_notes
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


def test_more_than_1000_classes_are_refused() -> None:
    assert len(class_names([str(number) for number in range(1000)], WHERE)) == 1000
    with pytest.raises(DataError, match="clothes has 1,001 classes: expected at most 1,000"):
        class_names([str(number) for number in range(1001)], WHERE)


def test_changed_names_are_told_at_most_five() -> None:
    assert renaming_notes(["cat", "dog"], ["cat", "dog"]) == ()
    names = [f"a {letter}" for letter in "bcdefgh"]
    (note,) = renaming_notes(names, class_names(names, WHERE))
    assert note.endswith("a b became ab, a c became ac, a d became ad, a e became ae, a f became af, and 2 more.")


def test_numbers_are_in_the_order_of_their_values_and_names_in_that_of_the_alphabet() -> None:
    assert in_order(["10", "9", "0"]) == ["0", "9", "10"]
    assert in_order(["10", "9", "cat"]) == ["10", "9", "cat"]


def test_labels_are_places_among_the_names() -> None:
    labels = number_labels(["b", "a", "b"], ["a", "b"])
    assert labels.tolist() == [1, 0, 1]
    assert labels.dtype == np.int64


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My Shoes (2024)", "my-shoes-2024"),
        ("Übung_3", "ubung-3"),
        ("靴", "images"),
        ("", "images"),
        ("mnist", "my-mnist"),
        ("Fashion MNIST", "my-fashion-mnist"),
        ("kmnist", "my-kmnist"),
        ("a" * 39 + "-bc", "a" * 39),
    ],
)
def test_a_data_set_is_named_by_its_folder_but_never_as_a_published_one(text: str, name: str) -> None:
    assert data_set_name(text) == name
    assert name not in KNOWN
