"""Axes of parameters: where the values are, what the ticks are called, and what is shortened."""

from typing import Any

import pytest

from src.figures.axes import ParameterAxis, choice_label, fit_ticks, parameter_axis, shorten, wrap_name
from src.redact import hide
from src.results import Parameter

PLAIN, LOG = Parameter("x"), Parameter("x", is_log=True)
CHOICE = Parameter("x", choices=(None, "b", "a", True))
AXES: dict[str, tuple[Parameter, list[Any], ParameterAxis]] = {
    "floating-point numbers": (
        PLAIN,
        [0.1, 0.5],
        ParameterAxis("x", [0.1, 0.5], [0.1, 0.2, 0.3, 0.4, 0.5], ["0.1", "0.2", "0.3", "0.4", "0.5"]),
    ),
    "integers": (PLAIN, [4, 6], ParameterAxis("x", [4.0, 6.0], [4.0, 5.0, 6.0], ["4", "5", "6"])),
    "a logarithm": (
        LOG,
        [0.0001, 0.01],
        ParameterAxis("x", [-4.0, -2.0], [-4.0, -3.0, -2.0], ["0.0001", "0.001", "0.01"]),
    ),
    "a single value": (PLAIN, [3, 3], ParameterAxis("x", [3.0, 3.0], [3.0], ["3"])),
    "a single value on a logarithm": (LOG, [0.01], ParameterAxis("x", [-2.0], [-2.0], ["0.01"])),
    "choices in the order of the space": (
        CHOICE,
        ["a", None, True],
        ParameterAxis("x", [1.0, 0.0, 2.0], [0.0, 1.0, 2.0], ["null", "a", "True"], True),
    ),
    "choices that the space has lost": (
        PLAIN,
        ["b", "a"],
        ParameterAxis("x", [1.0, 0.0], [0.0, 1.0], ["a", "b"], True),
    ),
}


@pytest.mark.parametrize(("parameter", "values", "expected"), AXES.values(), ids=AXES)
def test_an_axis_has_a_position_for_each_value_and_labels_that_fit_its_kind(
    parameter: Parameter, values: list[Any], expected: ParameterAxis
) -> None:
    assert parameter_axis(parameter, values) == expected


@pytest.mark.parametrize("low", [0.002, 0.02, 3.0])
def test_a_logarithm_within_one_power_of_ten_still_has_ticks(low: float) -> None:
    axis = parameter_axis(LOG, [low, 3 * low])
    assert len(axis.ticks) > 1
    assert all(min(axis.positions) <= tick <= max(axis.positions) for tick in axis.ticks)


@pytest.mark.parametrize("low", [1e-300, 1e-12, 1e-5])
def test_a_wide_logarithm_has_few_ticks(low: float) -> None:
    assert 1 < len(parameter_axis(LOG, [low, 1.0]).ticks) <= 7


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("model.dropout", ["model.dropout"]),
        ("model.conv.0.filters", ["model.conv.0.", "filters"]),
        ("optimizer.learning_rate", ["optimizer.", "learning_rate"]),
        ("averyveryverylongname", ["averyveryver", "ylongname"]),
        ("data folder", ["data folder"]),
        ("model..x", ["model..x"]),
    ],
)
def test_a_long_name_is_broken_after_its_dots_and_loses_nothing(name: str, lines: list[str]) -> None:
    wrapped = wrap_name(name, 13)
    assert wrapped.split("\n") == lines
    assert wrapped.replace("\n", "") == name


def test_a_long_choice_keeps_its_beginning_and_its_end() -> None:
    assert shorten("abcdefghij", 6) == "abc\N{HORIZONTAL ELLIPSIS}ij"
    assert len(choice_label("a" * 30 + "b" * 30)) == 24


def test_long_choices_that_differ_in_the_middle_are_apart() -> None:
    choices = ("a" * 20 + "x" + "b" * 20, "a" * 20 + "y" + "b" * 20)
    assert parameter_axis(Parameter("x", choices=choices), choices).positions == [0, 1]


def test_choices_are_labeled_without_secrets() -> None:
    hide("hunter2!")
    assert "hunter2!" not in choice_label("s3://hunter2!/x") + wrap_name("hunter2!.x", 20)


@pytest.mark.parametrize(
    ("labels", "is_choice", "shown", "is_upright"),
    [
        (["a", "b", "c"], True, 3, False),
        (["a long choice", "another choice", "and a third one"], True, 3, True),
        ([f"choice {number}" for number in range(40)], True, 14, True),
        (["0.0001", "0.0002", "0.0005", "0.001", "0.002"], False, 3, False),
    ],
)
def test_labels_that_do_not_fit_are_upright_or_fewer(
    labels: list[str], is_choice: bool, shown: int, is_upright: bool
) -> None:
    axis = ParameterAxis("x", [0.0], [float(place) for place in range(len(labels))], labels, is_choice)
    ticks, names, upright = fit_ticks(axis, 2.2)
    assert (len(ticks), len(names), upright) == (shown, shown, is_upright)
