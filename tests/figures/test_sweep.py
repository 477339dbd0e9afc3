"""Every figure of a sweep, small and large: which there are, and that each can be read."""

import pytest
from matplotlib.figure import Figure

from src import figures
from src.results import TrialRow
from src.schema import Objective
from tests.support.figures import overlapping_texts, visible
from tests.support.trials import ACCURACY, METRIC, SIZE, SPACES, row, rows_of

ALL = {"intermediate_values", "history", "importances", "parallel_coordinates", "slices", "contour", "timeline"}


def drawn_figures(space: str, rows: list[TrialRow], objective: Objective = ACCURACY) -> dict[str, Figure]:
    return dict(figures.sweep_figures(figures.sweep_numbers(rows, SPACES[space], [objective], METRIC)))


@pytest.mark.parametrize("count", [3, 200])
@pytest.mark.parametrize("space", SPACES)
def test_no_label_covers_another_or_leaves_a_figure(space: str, count: int) -> None:
    for name, figure in drawn_figures(space, rows_of(SPACES[space], count)).items():
        assert overlapping_texts(figure) == [], name
        assert figure.get_facecolor() == (1, 1, 1, 1)
        assert all(axes.get_facecolor() == (1, 1, 1, 1) for axes in visible(figure))


@pytest.mark.parametrize("count", [1, 2, 3, 20, 200])
def test_numbers_of_trials_are_integers(count: int) -> None:
    drawn = drawn_figures("one parameter", rows_of(SPACES["one parameter"], count))
    for axis in (drawn["history"].axes[0].xaxis, drawn["timeline"].axes[0].yaxis):
        low, high = sorted(axis.get_view_interval())
        shown = [tick for tick in axis.get_majorticklocs() if low <= tick <= high]
        assert shown
        assert all(tick == int(tick) for tick in shown)


def test_a_study_with_trials_has_every_figure() -> None:
    assert set(drawn_figures("six parameters", rows_of(SPACES["six parameters"], 6))) == ALL


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        ([], set()),
        ([row(0, None, "FAIL")], set()),
        (rows_of(SPACES["six parameters"], 1), {"intermediate_values", "history", "timeline"}),
    ],
    ids=["no trial", "a trial that failed at once", "one trial"],
)
def test_what_needs_more_trials_is_not_drawn(rows: list[TrialRow], names: set[str]) -> None:
    assert set(drawn_figures("six parameters", rows)) == names


def test_several_objectives_have_their_front_and_the_other_figures_show_the_first_one() -> None:
    parameters = SPACES["six parameters"]
    rows = [
        one._replace(others=(float(1000 + one.number),) if one.state == "COMPLETE" else ())
        for one in rows_of(parameters, 30)
    ]
    numbers = figures.sweep_numbers(rows, parameters, [ACCURACY, SIZE], "val_loss")
    drawn = dict(figures.sweep_figures(numbers))
    assert set(drawn) == ALL | {"pareto", "hypervolume"}
    assert drawn["history"].axes[0].get_ylabel() == METRIC
    assert drawn["intermediate_values"].axes[0].get_ylabel() == "val_loss"


def test_one_parameter_has_no_contour() -> None:
    assert set(drawn_figures("one parameter", rows_of(SPACES["one parameter"], 6))) == ALL - {"contour"}


def test_a_name_is_not_read_as_a_formula() -> None:
    name = "$\\b$ a\nb $x"
    parameters = [SPACES["one parameter"][0]._replace(name=name, choices=(name, "b"), is_log=False)] * 2
    rows = [one._replace(params={name: (name, "b")[one.number % 2]}) for one in rows_of([], 4)]
    for figure in dict(
        figures.sweep_figures(figures.sweep_numbers(rows, parameters, [Objective(name, "minimize")], name))
    ).values():
        figure.draw_without_rendering()
