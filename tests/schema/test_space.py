"""The values of a dimension of a search space."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import ConfigError
from src.schema.space import Choice, Dimension, Interval, Scalar
from tests.support.configs import INF, NAN, Make

NOT_A_DIMENSION: list[tuple[Make, dict[str, Any], str]] = [
    (
        Interval,
        {"low": 9, "high": 4},
        r"above the upper one; write int\(interval\(4,9\)\) instead of int\(interval\(9,4\)\)$",
    ),
    (Interval, {"low": 0, "high": INF}, r"the bounds 0 and inf must be finite"),
    (Interval, {"low": NAN, "high": 1}, r"the bounds nan and 1 must be finite"),
    (Interval, {"low": 0, "high": 1.0, "log": True}, r"above 0, not at 0; write .* tag\(log,interval\(0\.001,1\)\)$"),
    (Interval, {"low": -1, "high": 1, "log": True}, r"above 0, not at -1"),
    (Choice, {"names": (), "values": ()}, r"nothing to choose from"),
]


@pytest.mark.parametrize(("make", "wrong", "sentence"), NOT_A_DIMENSION)
def test_what_no_value_can_be_drawn_from_is_refused_by_its_name(
    make: Make, wrong: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^model\.dropout: .*{sentence}"):
        make("model.dropout", **wrong)


OPTIONS: list[tuple[Dimension, Any]] = [
    (Interval("x", 3, 5), (3, 4, 5)),
    (Interval("x", 3, 3), (3,)),
    (Interval("x", -3, 4, step=3), (-3, 0, 3)),
    (Interval("x", 1, 9, step=4), (1, 5, 9)),
    (Interval("x", 0.0, 0.3, step=0.1), pytest.approx((0, 0.1, 0.2, 0.3))),
    (Interval("x", -0.5, 0.5, step=0.25), (-0.5, -0.25, 0.0, 0.25, 0.5)),
    (Interval("x", 0.0, 1.0), None),
    (Interval("x", 1, 9, log=True), None),
    (Choice("x", (3, "[5]", None), (3, [5], None)), (3, "[5]", None)),
]


@pytest.mark.parametrize(("dimension", "options"), OPTIONS)
def test_the_options_are_every_value_or_none_where_they_have_no_end(dimension: Dimension, options: Any) -> None:
    assert dimension.options() == options


@given(low=st.integers(-50, 50), steps=st.integers(0, 20), step=st.integers(1, 30), scale=st.sampled_from([10, 100]))
def test_no_option_lies_outside_of_its_interval(low: int, steps: int, step: int, scale: int) -> None:
    first, last = low / scale, (low + steps * step) / scale
    options: Any = Interval("x", first, last, step=step / scale).options()
    assert len(options) == steps + 1
    assert all(first <= option <= last for option in options)


@pytest.mark.parametrize(("option", "value"), [(3, 3), ("[120,84]", [120, 84]), (None, None)])
def test_an_option_of_a_choice_stands_for_its_value(option: Scalar, value: object) -> None:
    assert Choice("model.dense", (3, "[120,84]", None), (3, [120, 84], None)).value(option) == value


def test_an_option_of_an_interval_is_its_value() -> None:
    assert Interval("model.dropout", 0.0, 0.5).value(0.25) == 0.25


SHOWN: list[tuple[Dimension, str]] = [
    (Interval("x", 4, 32), "4 to 32"),
    (Interval("x", 1e-4, 0.01, log=True), "0.0001 to 0.01 (log)"),
    (Interval("x", 0.0, 0.4, step=0.1), "0 to 0.4 in steps of 0.1"),
    (Choice("x", ("relu", None, True, 0.5), ("relu", None, True, 0.5)), "relu, null, True, 0.5"),
]


@pytest.mark.parametrize(("dimension", "text"), SHOWN)
def test_a_dimension_is_shown_in_the_words_of_the_command_line(dimension: Dimension, text: str) -> None:
    assert str(dimension) == text
