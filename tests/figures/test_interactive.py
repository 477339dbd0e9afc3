"""The figures of a sweep as parts of a page: which there are, and that they show names as they are."""

import json
import re
from typing import Any

import pytest

from src import figures
from src.redact import hide
from src.results import Parameter, TrialRow
from src.schema import Objective
from tests.figures.test_sweep import ALL
from tests.figures.test_timeline import NOON
from tests.support.trials import ACCURACY, METRIC, SIZE, SPACES, row, rows_of, two_objectives


def plots(rows: list[TrialRow], parameters: list[Parameter]) -> dict[str, str]:
    return dict(figures.interactive_plots(figures.sweep_numbers(rows, parameters, [ACCURACY], METRIC)))


def traces(part: str) -> list[dict[str, Any]]:
    """What plotly is given to draw."""
    found = re.search(r"Plotly\.newPlot\(\s*\"[^\"]+\",\s*(\[.*?\]),\s*\{", part, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


@pytest.mark.parametrize("space", SPACES)
def test_the_page_has_the_plots_of_the_figures(space: str) -> None:
    rows = rows_of(SPACES[space], 6)
    numbers = figures.sweep_numbers(rows, SPACES[space], [ACCURACY], METRIC)
    assert [name for name, _ in figures.interactive_plots(numbers)] == [
        name for name, _ in figures.sweep_figures(numbers)
    ]


def test_a_study_with_trials_has_every_plot() -> None:
    assert set(plots(rows_of(SPACES["six parameters"], 6), SPACES["six parameters"])) == ALL


def test_the_best_so_far_is_drawn_as_steps() -> None:
    parts = plots([row(0, 0.5), row(1, 0.4), row(2, 0.7)], [])
    (best,) = [trace for trace in traces(parts["history"]) if trace["name"] == "best so far"]
    assert best["line"]["shape"] == "hv"
    assert best["y"] == [0.5, 0.5, 0.7]


def test_trials_that_are_not_complete_end_with_a_cross() -> None:
    rows = [row(0, 0.5), row(1, 0.1, "PRUNED"), row(2, 0.2, "FAIL"), row(3, 0.3, "FAIL", interrupted=True)]
    crosses = {
        trace["name"]: trace["y"]
        for trace in traces(plots(rows, [])["intermediate_values"])
        if trace.get("marker", {}).get("symbol") == "x"
    }
    assert crosses == {"pruned": [0.1], "failed": [0.2], "interrupted": [0.3]}


def test_each_trial_has_a_line_over_its_epochs_and_one_through_its_parameters() -> None:
    space = SPACES["six parameters"]
    rows = [one for one in rows_of(space, 6) if one.state == "COMPLETE"]
    parts = plots(rows, space)
    curves = [trace for trace in traces(parts["intermediate_values"]) if trace["mode"] == "lines+markers"]
    assert {curve["name"]: dict(zip(curve["x"], curve["y"], strict=True)) for curve in curves} == {
        f"trial {one.number}": one.reported for one in rows
    }
    lines = [trace for trace in traces(parts["parallel_coordinates"]) if trace["mode"] == "lines"]
    assert [line["name"] for line in lines] == [f"trial {one.number}" for one in rows]
    assert {len(line["x"]) for line in lines} == {len(line["y"]) for line in lines} == {1 + len(space)}


def test_the_bars_of_all_trials_are_equally_thick() -> None:
    rows = rows_of([], 40)
    bars = traces(plots(rows, [])["timeline"])
    assert {bar["name"] for bar in bars} == {"complete", "pruned", "failed", "interrupted"}
    assert {bar["width"] for bar in bars} == {0.8}


@pytest.mark.parametrize(("last", "has_all"), [(2, True), (5000, False)])
def test_only_numbers_of_trials_that_are_near_each_other_have_a_tick_each(last: int, has_all: bool) -> None:
    parts = plots([row(0, 0.5, started=NOON), row(last, 0.6, started=NOON)], [])
    for name in ("history", "timeline"):
        assert ('"dtick":1' in parts[name].replace(" ", "")) == has_all


def test_names_and_choices_are_neither_tags_nor_secrets() -> None:
    hide("hunter2!")
    names = ["<b>name</b>", "x.hunter2!"]
    choices = ("<img src=x>", "s3://user:pass@host/x")
    rows = [one._replace(params=dict.fromkeys(names, choices[one.number % 2])) for one in rows_of([], 4)]
    page = "".join(plots(rows, [Parameter(name, 0.5, choices=choices) for name in names]).values())
    shown = page.encode().decode("unicode_escape")
    assert "&lt;b>name" in shown
    assert not re.findall(r"<b>|<img|hunter2|user:pass", shown)


@pytest.mark.parametrize("objectives", [[ACCURACY, SIZE], [ACCURACY, SIZE, SIZE]])
def test_the_front_is_joined_by_steps_with_two_objectives_and_each_trial_has_its_values(
    objectives: list[Objective],
) -> None:
    more = len(objectives) - 1
    rows = [one._replace(others=one.others * more) for one in two_objectives(12)]
    numbers = figures.sweep_numbers(rows, [], objectives, METRIC)
    assert numbers.pareto is not None
    parts = dict(figures.interactive_plots(numbers))
    shown = traces(parts["pareto"])
    assert [trace["line"]["shape"] for trace in shown if trace["mode"] == "lines"] == ["hv"] * (more == 1)
    front = [trace for trace in shown if trace.get("name") == "front"]
    assert len(front) == (1 if more == 1 else 3)
    first = rows[numbers.pareto.front[0]]
    assert front[0]["text"][0].startswith(f"trial {first.number}<br>val_accuracy {first.value:.4f}<br>parameters ")
    assert "reference point, the worst value of each objective" in parts["hypervolume"]
