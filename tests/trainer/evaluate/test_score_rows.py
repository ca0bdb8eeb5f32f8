"""The rows of the table: which figures there are, and that their numbers are those that were measured."""

from dataclasses import replace

import numpy as np
import pytest
from quick_evaluation import COUNT, quick_evaluation

from pocketgan_trainer.evaluate.evaluation import Evaluation
from pocketgan_trainer.evaluate.table import Row, table_rows


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Of other real digits, of the same blurred, and of a model without classes; two seeds."""
    return quick_evaluation()


def row(evaluation: Evaluation, start: str, by_class: bool = False) -> Row:
    """Return the only row whose name starts so."""
    (found,) = (row for row in table_rows(evaluation, by_class) if row.figure.startswith(start))
    return found


def test_a_cell_is_mean_deviation_and_ratio_of_the_seeds(evaluation: Evaluation) -> None:
    cell = row(evaluation, "Frechet distance, second judge's features (not Inception FID)").sources[1]
    values = [images.against_test.frechet.second_judge for images in evaluation.sources[1].images]
    real = np.mean([images.against_test.frechet.second_judge for images in evaluation.real.images])
    assert cell.mean == pytest.approx(np.mean(values))
    assert cell.deviation == pytest.approx(np.std(values, ddof=1))
    assert cell.ratio == pytest.approx(np.mean(values) / real)
    assert cell.text == f"{np.mean(values):.3g} ± {np.std(values, ddof=1):.2g} ({np.mean(values) / real:.2f}x)"


def test_each_figure_stands_in_its_own_row(evaluation: Evaluation) -> None:
    scores = evaluation.sources[2].images
    against, other = [images.against_test for images in scores], [images.training_frechet for images in scores]
    expected = {
        "Frechet distance, first judge's features (not Inception FID)": [one.frechet.first_judge for one in against],
        "Frechet distance, 128 pixel components": [one.frechet.pixels for one in against],
        "Frechet distance to the 55,000 training digits, first": [one.first_judge for one in other],
        "Frechet distance to the 55,000 training digits, second": [one.second_judge for one in other],
        "Frechet distance to the 55,000 training digits, 128 pixel": [one.pixels for one in other],
        "Kernel distance": [one.kernel_distance for one in against],
        "Precision": [one.neighbourhood.precision for one in against],
        "Recall": [one.neighbourhood.recall for one in against],
        "Density": [one.neighbourhood.density for one in against],
        "Coverage": [one.neighbourhood.coverage for one in against],
        "Told apart by the nearest neighbour, first": [one.nearest_neighbour_accuracy for one in against],
        "Told apart by the nearest neighbour, 128": [one.nearest_neighbour_accuracy_pixels for one in against],
        "Divergence": [images.classes.divergence for images in scores],
        "Distance to the nearest training digit, ratio to validation digits', median": [
            images.memorization.nearest_ratio_median for images in scores
        ],
        "Distance to the nearest training digit, ratio to validation digits', lowest": [
            images.memorization.nearest_ratio_low for images in scores
        ],
        "Data copying": [images.memorization.copying_score for images in scores],
        "Told apart by a network": list(evaluation.sources[2].told_apart or ()),
    }
    for start, values in expected.items():
        assert row(evaluation, start).sources[2].mean == pytest.approx(np.mean(values)), start


def test_figures_about_classes_are_shown_as_missing_without_classes(evaluation: Evaluation) -> None:
    for start in ("Judged as the digit asked for", "CAS"):
        found = [row for row in table_rows(evaluation, False) if row.figure.startswith(start)]
        assert found
        for one in found:
            assert one.sources[2].text == "no classes"
            assert one.sources[2].mean is None
            assert one.sources[0].mean is not None


def test_the_worst_digit_is_the_one_with_the_lowest_accuracy(evaluation: Evaluation) -> None:
    worst = [min(images.classes.accuracy_of_class or ()) for images in evaluation.sources[0].images]
    cell = row(evaluation, "Judged as the digit asked for, worst digit").sources[0]
    assert cell.mean == pytest.approx(np.mean(worst))
    assert cell.text.endswith(" %")


def test_rows_of_each_digit_come_only_if_asked_for(evaluation: Evaluation) -> None:
    assert len(table_rows(evaluation, True)) == len(table_rows(evaluation, False)) + 20
    shares = [row(evaluation, f"Judged as {digit}, of all", by_class=True).sources[2].mean for digit in range(10)]
    expected = np.mean([images.classes.histogram for images in evaluation.sources[2].images], axis=0) / COUNT
    assert shares == pytest.approx(expected)
    accuracies = [row(evaluation, f"Judged as {digit}, of those", by_class=True).sources[1] for digit in range(10)]
    expected = np.mean([images.classes.accuracy_of_class or () for images in evaluation.sources[1].images], axis=0)
    assert [cell.mean for cell in accuracies] == pytest.approx(expected)
    assert row(evaluation, "Judged as 3, of those", by_class=True).sources[2].text == "no classes"


def test_what_is_chance_for_memorization_stands_beside_the_real_digits(evaluation: Evaluation) -> None:
    low, high = evaluation.real.images[0].memorization.band_low
    cell = row(evaluation, "Distance to the nearest training digit, ratio to validation digits', lowest").real
    assert cell.text == f"95 % in {low:.3f} to {high:.3f}"
    # The test digits' own value is not that of the training digits' writers.
    assert cell.mean is None


def test_a_single_seed_has_no_deviation_and_what_was_not_measured_no_row(evaluation: Evaluation) -> None:
    plan = replace(evaluation.plan, seeds=1, told_apart=False, cas=False)
    single = replace(
        evaluation,
        plan=plan,
        real=replace(evaluation.real, images=evaluation.real.images[:1]),
        sources=tuple(replace(source, images=source.images[:1]) for source in evaluation.sources),
    )
    rows = table_rows(single, True)
    assert not any(row.figure.startswith(("Told apart by a network", "CAS")) for row in rows)
    assert all(cell.deviation is None and "±" not in cell.text for row in rows for cell in (row.real, *row.sources))
