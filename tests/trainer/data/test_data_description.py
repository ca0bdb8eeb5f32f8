"""Data sets in one line."""

import numpy as np
from image_data import different_images

from pocketgan_trainer.data.images import TrainingImages, describe


def labelled(classes: tuple[str, ...], count: int) -> TrainingImages:
    labels = np.arange(count) % len(classes)
    return TrainingImages("own", classes, different_images(count), labels, ())


def test_every_class_is_told_with_its_number() -> None:
    assert describe(labelled(("cat", "dog"), 2401)) == "own: 2,401 images of 28x28 in 2 classes: cat 1,201, dog 1,200"
    assert describe(labelled(("cat",), 200)) == "own: 200 images of 28x28 in 1 class: cat 200"


def test_beyond_12_classes_some_are_left_out() -> None:
    twelve = describe(labelled(tuple("abcdefghijkl"), 240))
    assert "..." not in twelve
    assert twelve.count(" 20") == 12
    many = describe(labelled(tuple("abcdefghijklmnopq"), 340))
    assert many.startswith("own: 340 images of 28x28 in 17 classes: a 20, b 20,")
    assert many.endswith("i 20, j 20, ..., q 20")


def test_without_labels_that_is_told() -> None:
    assert describe(TrainingImages("own", (), different_images(200, 32), None, ())) == "own: 200 images of 32x32 without labels"
