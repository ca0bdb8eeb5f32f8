"""Error feedback: later weights make up for the errors of earlier ones, within the limits."""

from itertools import product

import numpy as np
import pytest

from pocketgan_trainer.export import weights
from pocketgan_trainer.export.layers import Array
from pocketgan_trainer.export.weights import feedback_factors, round_with_feedback

NO_LIMIT = 10**6


@pytest.fixture
def random() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(0)


def correlated_inputs(random: np.random.Generator, products: int) -> Array:
    """Return the covariance of strongly correlated inputs."""
    mixing = random.normal(size=(products, products)) + 2
    covariance: Array = mixing @ mixing.T / products + np.eye(products) / 10
    return covariance


def variance(errors: Array, covariance: Array) -> Array:
    """Return the variance of the sums of products that errors [out, products] cause."""
    spread: Array = np.einsum("ok,kl,ol->o", errors, covariance, errors)
    return spread


@pytest.mark.parametrize("products", [1, 63, 64, 65, 200])
def test_the_cost_is_the_variance_of_the_outputs_errors(random: np.random.Generator, products: int) -> None:
    covariance, rows = correlated_inputs(random, products), random.normal(size=(7, products)) * 30
    before = rows.copy()
    values, cost = round_with_feedback(rows, feedback_factors(covariance), 127, 128)
    np.testing.assert_allclose(cost, variance(values - rows, covariance), rtol=1e-6)
    np.testing.assert_array_equal(rows, before)


def test_few_weights_are_rounded_nearly_as_well_as_by_trying_everything(random: np.random.Generator) -> None:
    covariance, rows = correlated_inputs(random, 6), random.normal(size=(30, 6)) * 10
    _, cost = round_with_feedback(rows, feedback_factors(covariance), NO_LIMIT, NO_LIMIT)
    steps = np.array(list(product((-1, 0, 1, 2), repeat=6)))
    best = [variance(np.floor(row) + steps - row, covariance).min() for row in rows]
    nearest = variance(np.rint(rows) - rows, covariance)
    assert (cost >= np.array(best) - 1e-12).all()
    assert cost.sum() - np.sum(best) < (nearest.sum() - np.sum(best)) / 4


def test_uncorrelated_inputs_round_to_the_nearest(random: np.random.Generator) -> None:
    rows = random.normal(size=(5, 150)) * 30
    values, cost = round_with_feedback(rows, feedback_factors(np.eye(150)), NO_LIMIT, NO_LIMIT)
    np.testing.assert_array_equal(values, np.rint(rows))
    np.testing.assert_allclose(cost, np.square(values - rows).sum(axis=1))


@pytest.mark.parametrize("size", [30, 100, 1000])
def test_neither_a_number_nor_two_neighbours_are_above_the_limits(random: np.random.Generator, size: int) -> None:
    covariance = correlated_inputs(random, 130)
    for rows in (random.normal(size=(20, 130)) * size, np.full((1, 130), size), np.full((1, 130), -size)):
        values, _ = round_with_feedback(rows.astype(np.float64), feedback_factors(covariance), 127, 128)
        assert np.abs(values).max() <= 127
        assert np.abs(values[:, 1:] + values[:, :-1]).max() <= 128
        np.testing.assert_array_equal(values, np.rint(values))


def test_later_weights_make_up_for_the_limit_for_neighbours() -> None:
    # All inputs go up and down together, so only the sum of a row's weights counts.
    covariance = np.ones((6, 6)) + np.eye(6) * 1e-3
    rows = np.array([[127.0, 100.0, 0.0, 0.0, 0.0, 0.0]])
    values, cost = round_with_feedback(rows, feedback_factors(covariance), 127, 128)
    assert values[0, :2].tolist() == [78, 50]
    assert values.sum() == rows.sum()
    assert cost.item() < 0.01 * 99**2


@pytest.mark.parametrize("block", [1, 7, 200])
def test_weights_that_are_updated_in_blocks_come_out_as_one_by_one(
    monkeypatch: pytest.MonkeyPatch, random: np.random.Generator, block: int
) -> None:
    rows, factors = random.normal(size=(50, 200)) * 80, feedback_factors(correlated_inputs(random, 200))
    values, cost = round_with_feedback(rows, factors, 127, 128)
    monkeypatch.setattr(weights, "_BLOCK", block)
    again, cost_again = round_with_feedback(rows, factors, 127, 128)
    np.testing.assert_array_equal(again, values)
    np.testing.assert_allclose(cost_again, cost, rtol=1e-6)
