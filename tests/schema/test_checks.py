"""Single values, and the size of what comes out of a window."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import ConfigError
from src.schema.checks import at_least, one_of, output_size, require
from tests.support.configs import INF, NAN


def test_what_is_required_and_holds_passes() -> None:
    require(True, "model.name", "net", "a name")


@pytest.mark.parametrize(("received", "shown"), [("", "''"), (None, "None"), (0.5, "0.5"), ([1, 2], "[1, 2]")])
def test_a_refusal_names_what_came_and_what_was_expected(received: object, shown: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(f'model.name: got {shown}, expected a name')}$"):
        require(False, "model.name", received, "a name")


@pytest.mark.parametrize("value", [None, 1, 1.0, 1.5, 2**40])
def test_null_the_least_and_more_are_at_least_the_least(value: float | None) -> None:
    at_least(1, "training.epochs", value)


@pytest.mark.parametrize("value", [0, 0.999, -1, NAN, INF, -INF])
def test_less_than_the_least_and_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ConfigError, match=f"^training\\.epochs: got {value!r}, expected at least 1$"):
        at_least(1, "training.epochs", value)


@pytest.mark.parametrize("value", ["max", "average"])
def test_every_choice_is_taken(value: str) -> None:
    one_of(("max", "average"), "pool", value)


@pytest.mark.parametrize("value", ["", "Max", "ma", "max, average"])
def test_a_value_that_is_not_a_choice_is_refused_with_the_choices(value: str) -> None:
    with pytest.raises(ConfigError, match=f"^pool: got '{value}', expected one of max, average$"):
        one_of(("max", "average"), "pool", value)


SIDES, STEPS, PADDINGS = st.integers(1, 40), st.integers(1, 8), st.sampled_from(["valid", "same"])


@given(size=SIDES, window=SIDES, strides=STEPS, padding=PADDINGS)
def test_an_output_has_one_pixel_for_each_position_of_the_window(
    size: int, window: int, strides: int, padding: str
) -> None:
    window = min(window, size)
    last = size - window if padding == "valid" else size - 1  # with `same` a window may hang over the edge
    positions = [start for start in range(size) if start <= last and start % strides == 0]
    assert output_size(size, window, strides, padding) == len(positions)
