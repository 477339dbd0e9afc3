"""The lines of a sweep: its trials and its state."""

import io
from typing import Any

import pytest

from src import console
from src.console import SweepView
from src.results import Counts, FrontPoint, TrialRow
from src.schema import Objective
from tests.support.trials import ACCURACY, SIZE


def trial(number: int, state: str = "COMPLETE", value: float | None = None, **more: Any) -> TrialRow:
    settings: dict[str, Any] = {"params": {"model.dropout": 0.123456, "seed": None}, "seconds": 4.06, "epochs": 3}
    settings |= {"best_epoch": 2, "reported": {}, "run_id": None, "interrupted": False, "reason": ""} | more
    return TrialRow(number=number, state=state, value=value, **settings)


COUNTS = Counts(complete=6, pruned=2, failed=1, running=2, retried=1)


def test_a_trials_line_has_its_state_value_time_and_params_and_a_star_when_it_is_the_best_so_far(
    capsys: pytest.CaptureFixture[str],
) -> None:
    view = SweepView([ACCURACY], 20, [])
    view.update([trial(number, value=value) for number, value in ((0, 0.9), (1, 0.8), (12, 0.95))], COUNTS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "trial  0  COMPLETE  val_accuracy 0.9000 *  3 epochs  4.1 s  model.dropout=0.1235 seed=null"
    assert [" *" in line for line in lines] == [True, False, True]


def test_on_a_narrow_terminal_params_are_below_the_trial_and_broken_between_two_of_them(
    terminal: io.StringIO,
) -> None:
    params = {"optimizer.learning_rate": 0.001, "model.conv.0.filters": 8, "seed": 1, "training.batch_size": 128}
    console.say_with_params("trial 0  COMPLETE", params, "ConfigError: too large")
    assert terminal.getvalue().splitlines() == [
        "trial 0  COMPLETE",
        "    optimizer.learning_rate=0.001 model.conv.0.filters=8 seed=1",
        "    training.batch_size=128",
        "    ConfigError: too large",
    ]


@pytest.mark.parametrize("digits", [1, 4])
def test_the_state_of_a_sweep_fits_into_80_columns(digits: int) -> None:
    number = 10**digits - 1
    counts = Counts(complete=0, pruned=number // 2, failed=number // 2, running=16, retried=0)
    first, *_ = SweepView([ACCURACY], number, []).state_lines(counts)
    assert len(str(first)) <= 80


def test_with_a_loss_the_smaller_value_is_the_better_one() -> None:
    view = SweepView([Objective("val_loss", "minimize")], 20, [])
    assert [" *" in view.line(trial(0, value=value)) for value in (0.5, 0.6, 0.4)] == [True, False, True]


def test_a_trial_over_a_limit_is_never_the_best() -> None:
    view = SweepView([ACCURACY], 20, [])
    assert " *" not in view.line(trial(0, value=0.99, excess="parameters 2 > 1"))
    assert " *" in view.line(trial(1, value=0.5))


def test_a_pruned_trial_is_never_the_best() -> None:
    assert " *" not in SweepView([ACCURACY], 20, []).line(trial(0, "PRUNED", 0.99))


def test_a_failed_trials_line_says_why_and_an_interrupted_one_that_it_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    view = SweepView([ACCURACY], 20, [])
    view.update([trial(3, "FAIL", reason="ConfigError: too large\nmore")], COUNTS)
    assert capsys.readouterr().out.endswith("  ConfigError: too large\n")
    assert "INTERRUPTED" in view.line(trial(3, "FAIL", interrupted=True))


def test_each_trial_is_printed_once_and_those_that_ended_earlier_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = [trial(0, value=0.9), trial(1, "RUNNING")]
    view = SweepView([ACCURACY], 3, before)
    after = [trial(0, value=0.9), trial(1, value=0.8), trial(2, "RUNNING")]
    for _ in range(2):
        view.update(after, COUNTS)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "resuming: 1 trial already finished"
    assert [line.split()[:2] for line in lines] == [["trial", "1"]]
    assert " *" not in lines[0]  # the earlier one was better


def test_an_interrupted_trial_is_not_counted_as_finished_when_a_sweep_is_resumed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    SweepView([ACCURACY], 3, [trial(0, "FAIL", interrupted=True)])
    assert capsys.readouterr().out == ""
    SweepView([ACCURACY], 3, [trial(0, "FAIL", interrupted=True), trial(1, value=0.8)])
    assert capsys.readouterr().out == "resuming: 1 trial already finished\n"


def test_on_a_terminal_one_sees_how_far_the_sweep_is_the_best_and_the_time_left(terminal: io.StringIO) -> None:
    with SweepView([ACCURACY], 20, []) as view:
        view.update([trial(4, value=0.9)], COUNTS)
        far, best, left = (str(line) for line in view.state_lines(COUNTS))
    assert far.startswith("9/20 trials  ━")
    assert far.endswith("2 running  2 pruned  1 failed")
    assert best == "best: trial 4, val_accuracy 0.9000  model.dropout=0.1235 seed=null"
    assert "trials/min" in left
    assert "9/20 trials" in terminal.getvalue()


def test_trials_are_counted_in_words() -> None:
    assert console.count_words(COUNTS) == "9 trials: 6 complete, 2 pruned, 1 failed; 1 interrupted"
    assert (
        console.count_words(Counts(complete=0, pruned=0, failed=0, running=0, retried=0)) == "0 trials: none finished"
    )
    over = Counts(complete=1, pruned=3, failed=0, running=0, retried=0, skipped=2)
    assert console.count_words(over) == "4 trials: 1 complete, 3 pruned (2 over a limit)"


@pytest.mark.parametrize(
    ("given_up", "words"),
    [
        ({6: 1}, "trial 6 is not tried again after 1 attempt;"),
        ({9: 3, 6: 5}, "trials 6, 9 are not tried again after up to 5 attempts;"),
        (dict.fromkeys(range(12), 3), "trials 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... are not tried again after up to 3"),
    ],
)
def test_trials_that_are_not_tried_again_are_named_with_the_setting_that_allows_more(
    given_up: dict[int, int], words: str
) -> None:
    line = console.given_up_words(given_up)
    assert line.startswith(words)
    assert line.endswith("a larger hydra.sweeper.max_retries allows more")


def test_a_trial_as_a_row_of_a_table_has_a_cell_for_each_column() -> None:
    row = trial(7, value=0.5)
    assert console.trial_cells(row) == ("7", "COMPLETE", "0.5000", "3", "4.1 s", "model.dropout=0.1235 seed=null")
    assert len(console.trial_cells(row)) == len(console.trial_columns())


def test_a_trial_without_a_value_or_an_end_has_a_dash_there() -> None:
    assert console.trial_cells(trial(7, "RUNNING", seconds=None))[2:5] == ("-", "3", "-")


# --- several objectives --------------------------------------------------------------------------------------------

NAMES = ("val_accuracy", "parameters")


def test_with_several_objectives_a_line_has_all_values_and_a_star_if_the_trial_is_on_the_front_when_it_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    view = SweepView([ACCURACY, SIZE], 20, [])
    values = [(0.9, 61706.0), (0.8, 70000.0), (0.7, 1234.0), (0.95, 1000.0)]
    view.update([trial(number, value=one, others=(two,)) for number, (one, two) in enumerate(values)], COUNTS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("trial  0  COMPLETE  val_accuracy 0.9000  parameters 61,706 *  3 epochs  4.1 s  model")
    assert [" *" in line for line in lines] == [True, False, True, True]
    assert view.state_lines(COUNTS)[1].plain == "front: trials 3"


def test_with_several_objectives_the_view_names_the_trials_on_the_front_of_a_resumed_sweep() -> None:
    view = SweepView([ACCURACY, SIZE], 20, [trial(0, value=0.8, others=(10.0,)), trial(1, value=0.9, others=(20.0,))])
    assert view.state_lines(COUNTS)[1].plain == "front: trials 1, 0"


def test_with_several_objectives_a_table_of_trials_has_a_column_for_each() -> None:
    assert console.trial_columns(NAMES) == ("trial", "state", *NAMES, "epochs", "time", "settings")
    assert console.trial_cells(trial(7, value=0.5, others=(1234.0,)), NAMES)[2:4] == ("0.5000", "1,234")
    assert console.trial_cells(trial(7, "FAIL"), NAMES)[2:5] == ("-", "-", "3")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("val_accuracy", 0.98765, "0.9877"),
        ("parameters", 61706.0, "61,706"),
        ("latency_ms", 1.23456, "1.235"),
        ("model_mb", 0.23534, "0.2353"),
        ("parameters", None, "-"),
    ],
)
def test_a_cost_has_four_digits_or_is_an_integer(name: str, value: float | None, shown: str) -> None:
    assert console.format_value(name, value) == shown


def test_the_front_is_printed_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    console.say_front([FrontPoint(7, {"val_accuracy": 0.9, "parameters": 1234.0}, {"seed": None})], 20)
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == ["front:", "1", "of", "20", "complete", "trials"]
    assert lines[1] == ["trial", *NAMES, "settings"]
    assert lines[-1] == ["7", "0.9000", "1,234", "seed=null"]
