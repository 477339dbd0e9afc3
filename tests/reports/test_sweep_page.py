"""The page of a sweep: its result, its table, and that it needs nothing from outside."""

import re
from dataclasses import replace

import pytest

from src.redact import hide
from src.reports.sweep_page import Cell, result_line, sweep_page, trial_table
from src.results import Counts, Parameter, TrialRow
from tests.support.trials import ACCURACY, METRIC, SIZE, row

COUNTS = Counts(complete=2, pruned=1, failed=1, running=0, retried=0)
X, KIND = Parameter("model.x"), Parameter("kind", choices=(None, "<i>"))
ROWS = [
    row(0, 0.5, params={"model.x": 1e-4, "kind": None}),
    row(1, 0.9, params={"model.x": 2, "kind": "<i>"}, best_epoch=3, epochs=5, seconds=12.34),
    row(2, 0.1, "PRUNED", params={"model.x": 0.5}),
    row(3, None, "FAIL", best_epoch=None, seconds=None, reason="out of memory\nmore", interrupted=True),
]


def page(rows: list[TrialRow], best: TrialRow | None, name: str = "study") -> str:
    front = [] if best is None else [best]
    return sweep_page(name, rows, front, COUNTS, [X, KIND], [ACCURACY], [("history", "<div>plot</div>")], "var plotly")


def test_the_table_has_a_row_for_each_trial_and_a_column_for_each_parameter() -> None:
    headings, cells = trial_table(ROWS, [X, KIND], [METRIC])
    assert headings == [
        *("trial", "state", METRIC, "best epoch", "epochs", "seconds"),
        *("model.x", "kind", "reason"),
    ]
    assert cells[1] == [
        *(Cell("1", 1), Cell("complete"), Cell("0.9000", 0.9), Cell("3", 3), Cell("5", 5), Cell("12.3", 12.34)),
        *(Cell("2", 2), Cell("<i>"), Cell("")),
    ]
    assert [cell.text for cell in cells[3]] == ["3", "interrupted", "", "", "0", "", "", "", "out of memory"]
    assert [line[6].text for line in cells] == ["0.0001", "2", "0.5", ""]
    assert [line[7].text for line in cells] == ["null", "<i>", "", ""]


@pytest.mark.parametrize(
    ("state", "word"), [("COMPLETE", "complete"), ("PRUNED", "pruned"), ("FAIL", "failed"), ("RUNNING", "running")]
)
def test_the_state_of_a_trial_is_a_word(state: str, word: str) -> None:
    _, ((_, cell, *_),) = trial_table([row(0, None, state)], [], [METRIC])
    assert cell == Cell(word)


def test_the_table_has_a_column_for_each_cost_that_was_measured() -> None:
    costly = [
        ROWS[0]._replace(costs={"parameters": 12_345}),
        ROWS[1]._replace(costs={"parameters": 5, "model_mb": 0.5}),
    ]
    headings, cells = trial_table(costly, [X], [METRIC])
    assert headings[6:] == ["parameters", "weights (MB)", "model.x"]
    assert trial_table(costly, [X], [METRIC, "parameters"])[0][7:] == ["weights (MB)", "model.x"]
    assert [line[6:8] for line in cells] == [
        [Cell("12,345", 12_345), Cell("")],
        [Cell("5", 5), Cell("0.5", 0.5)],
    ]


def test_a_table_without_failures_has_no_column_for_reasons() -> None:
    headings, cells = trial_table(ROWS[:3], [X], [METRIC])
    assert headings[-1] == "model.x"
    assert {len(line) for line in cells} == {len(headings)}


@pytest.mark.parametrize(
    ("best", "line"),
    [
        (ROWS[1], "best: trial 1, val_accuracy 0.9000 after epoch 3"),
        (row(7, 0.5, best_epoch=None), "best: trial 7, val_accuracy 0.5000"),
        (None, "no complete trial is within the limits"),
    ],
)
def test_the_page_begins_with_its_result(best: TrialRow | None, line: str) -> None:
    assert result_line([] if best is None else [best], COUNTS, [ACCURACY]) == line
    assert page(ROWS, best).index(line) < page(ROWS, best).index("<table>")


def test_a_page_without_a_complete_trial_says_so() -> None:
    assert result_line([], replace(COUNTS, complete=0), [ACCURACY]) == "no trial is complete"


def test_the_page_has_the_counts_the_best_parameters_and_one_marked_row() -> None:
    text = page(ROWS, ROWS[1])
    assert "4 trials: 2 complete, 1 pruned, 1 failed" in text
    assert "<code>model.x=2 kind=&lt;i&gt;</code>" in text
    assert re.findall(r'<tr class="best"><td class="number" data-sort="(\d+)"', text) == ["1"]


def test_the_page_refers_to_nothing_outside() -> None:
    assert not re.findall(r"(?:src|href)=|@import|url\(|https?:", page(ROWS, ROWS[1]))


def test_names_and_reasons_are_escaped_and_redacted() -> None:
    hide("hunter2!")
    text = page([row(0, 0.5, "FAIL", reason="<script>hunter2!")], None, "<b>study hunter2!")
    assert "&lt;script&gt;***" in text
    assert text.count("&lt;b&gt;study ***") == 2
    assert "hunter2" not in text


def test_with_several_objectives_the_page_names_the_front_and_marks_its_rows() -> None:
    rows = [row(0, 0.5, others=(10.0,)), row(1, 0.9, others=(61706.0,)), row(2, 0.4, others=(20.0,)), row(3)]
    text = sweep_page("study", rows, [rows[1], rows[0]], COUNTS, [], [ACCURACY, SIZE], [], "")
    line = "2 of 2 complete trials are on the front of val_accuracy (maximize) and parameters (minimize)"
    assert f"<b>{line}</b>" in text
    assert re.findall(r'<tr class="best"><td class="number" data-sort="(\d+)"', text) == ["0", "1"]
    headings, cells = trial_table(rows, [], [METRIC, "parameters"])
    assert headings[:4] == ["trial", "state", METRIC, "parameters"]
    assert cells[1][2:4] == [Cell("0.9000", 0.9), Cell("61,706", 61706.0)]
    assert cells[3][2:4] == [Cell(""), Cell("")]
