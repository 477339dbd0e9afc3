"""Tests of two models on the same images: McNemar's, and the paired bootstrap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.certainty import compare_metric, compare_right
from tests.support.probabilities import accuracy, brier, nan_without_class_0, random_model


def answers(only_first: int, only_second: int, both: int = 5):
    first = np.repeat([True, False, True], [only_first, only_second, both])
    second = np.repeat([False, True, True], [only_first, only_second, both])
    return first, second


@pytest.mark.parametrize(
    ("only_first", "only_second", "p_value"),
    [(0, 0, 1.0), (1, 1, 1.0), (5, 0, 2 * 0.5**5), (8, 2, 2 * (1 + 10 + 45) / 2**10)],
)
def test_the_p_value_is_that_of_a_fair_coin_on_the_images_that_tell_them_apart(
    only_first: int, only_second: int, p_value: float
):
    test = compare_right(*answers(only_first, only_second))
    assert (test.first_only, test.second_only) == (only_first, only_second)
    assert test.p_value == pytest.approx(p_value)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_images_that_both_get_right_say_nothing_and_the_order_does_not_matter(first: int, second: int, both: int):
    test = compare_right(*answers(first, second, both))
    assert 0 <= test.p_value <= 1
    assert test.p_value == pytest.approx(compare_right(*answers(second, first, 0)).p_value)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1_000), st.integers(1, 40))
def test_two_models_in_the_other_order_differ_by_the_opposite(seed: int, images: int):
    labels, first = random_model(seed, images)
    _, second = random_model(seed + 1, images)
    there, back = compare_metric(labels, first, second, brier), compare_metric(labels, second, first, brier)
    assert there.difference == -back.difference
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.p_value == back.p_value


def test_the_same_model_twice_does_not_differ():
    labels, model = random_model(1, 50)
    assert compare_metric(labels, model, model, brier) == (0, 0, 0, 1)


def test_a_model_that_is_much_better_is_so_by_more_than_chance():
    labels, better = random_model(1, 500, skill=3.0)
    _, worse = random_model(1, 500, skill=1.0)
    test = compare_metric(labels, better, worse, accuracy)
    assert 0 < test.low < test.difference < test.high
    assert 0 < test.p_value < 0.01


def test_equally_good_models_differ_by_more_than_chance_in_about_one_of_twenty_comparisons(few_resamples: None):
    p_values = []
    for seed in range(100):
        labels, first = random_model(seed, 100, skill=1.5)
        noise = np.random.default_rng(seed).permutation(100)
        order = np.lexsort((noise, labels))  # another image of the same class, so that both models have the same skill
        target = np.empty(100, int)
        target[np.lexsort((np.arange(100), labels))] = order
        p_values.append(compare_metric(labels, first, first[target], brier).p_value)
    assert (np.array(p_values) < 0.05).mean() < 0.15


def test_resamples_in_which_the_metric_is_not_defined_count_as_no_difference():
    labels, first = np.array([0, 1, 1, 1]), np.full((4, 2), 0.5, np.float32)
    test = compare_metric(labels, first, first[::-1], nan_without_class_0)
    assert test == (0, 0, 0, 1)
