"""McNemar's test of a candidate and a champion on the same images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.reports.champion import mcnemar


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
    test = mcnemar(*answers(only_first, only_second))
    assert (test.first_only, test.second_only) == (only_first, only_second)
    assert test.p_value == pytest.approx(p_value)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_images_that_both_get_right_say_nothing_and_the_order_does_not_matter(first: int, second: int, both: int):
    test = mcnemar(*answers(first, second, both))
    assert 0 <= test.p_value <= 1
    assert test.p_value == pytest.approx(mcnemar(*answers(second, first, 0)).p_value)
