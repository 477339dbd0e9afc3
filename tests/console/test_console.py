"""Output in the terminal."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from src import console
from src.console import EpochLines, SweepView, epochs, lines, trials
from src.results import Counts, RegistrationResult, TrialRow
from tests.support.workplace import ROOT

LOGS = {"loss": 0.07741, "accuracy": 0.9757, "val_loss": 0.2, "val_accuracy": 0.983, "learning_rate": 1e-3}
TIMES = {"epoch_seconds": 3.14, "images_per_second": 17_864.4}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal of 80 columns instead of the one that the tests run in."""
    return use_terminal(monkeypatch, columns=80)


def use_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> io.StringIO:
    screen = io.StringIO()
    terminal = Console(
        file=screen, force_terminal=True, width=columns, highlight=False, soft_wrap=True, color_system=None
    )
    for module in (lines, epochs, trials):
        monkeypatch.setattr(module, "console", terminal)
    return screen


# --- epochs --------------------------------------------------------------------------------------------------------


def test_a_line_has_the_metrics_the_speed_and_the_time_left() -> None:
    line = EpochLines(epochs=10, batches=469, monitor="val_accuracy").line(2, LOGS | TIMES)
    metrics = "loss 0.0774  accuracy 0.9757  val_loss 0.2000  val_accuracy 0.9830 *"
    assert line == f"epoch  2/10  {metrics}  17,864 images/s  3.1 s  25 s left"


def test_a_line_without_validation_has_the_training_metrics_alone() -> None:
    logs = {name: value for name, value in LOGS.items() if not name.startswith("val_")}
    line = EpochLines(epochs=1, batches=469, monitor=None).line(1, logs | TIMES)
    assert line == "epoch 1/1  loss 0.0774  accuracy 0.9757    17,864 images/s  3.1 s  0.0 s left"


@pytest.mark.parametrize(
    ("columns", "monitor", "names"),
    [
        (120, "val_accuracy", ["loss", "accuracy", "val_loss", "val_accuracy", "*", "images/s"]),
        (110, "val_accuracy", ["loss", "accuracy", "val_loss", "val_accuracy", "*"]),
        (80, "val_accuracy", ["loss", "val_loss", "val_accuracy", "*"]),
        (70, "val_accuracy", ["loss", "val_accuracy", "*"]),
        (70, "val_loss", ["loss", "val_loss", "val_accuracy", "*"]),
    ],
)
def test_a_narrow_terminal_shows_what_matters_most_without_wrapping(
    columns: int, monitor: str, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_terminal(monkeypatch, columns)
    shown = []
    for seconds in (0.1, 9.99, 119.0, 100.0):  # with any time, the same columns
        view = EpochLines(epochs=99, batches=4, monitor=monitor)
        shown.append(view.line(98, LOGS | {"epoch_seconds": seconds, "images_per_second": 9e4 / seconds}))
    for line in shown:
        words = line.replace(" left", "").split()
        assert [word for word in words if word in {*LOGS, "*", "images/s"}] == names
        assert line.endswith(" left")
        assert len(line) <= max(columns, 80)


@pytest.mark.parametrize(
    ("monitor", "values", "stars"),
    [
        ("val_accuracy", [0.5, 0.7, 0.7, 0.6, 0.8], [True, True, False, False, True]),
        ("val_loss", [0.5, 0.7, 0.4, 0.4, 0.3], [True, False, True, False, True]),
        (None, [0.5, 0.7], [False, False]),
    ],
)
def test_a_star_marks_an_epoch_that_is_better_than_all_earlier_ones(
    monitor: str | None, values: list[float], stars: list[bool]
) -> None:
    lines = EpochLines(epochs=5, batches=4, monitor=monitor)
    shown = [lines.line(epoch, LOGS | TIMES | {str(monitor): value}) for epoch, value in enumerate(values, start=1)]
    assert ["*" in line for line in shown] == stars
    assert len({line.index("images/s") for line in shown}) == 1  # in columns, with and without


@pytest.mark.parametrize(
    ("seconds", "left"),
    [
        ([1.5], "6.0 s left"),
        ([60.0, 2.0, 4.0, 6.0], "4.0 s left"),  # the mean of the last three
        ([20.0], "80 s left"),
        ([90.0], "6 min left"),
    ],
)
def test_the_time_left_is_the_recent_epochs_mean_for_each_that_remains(
    seconds: list[float], left: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = EpochLines(epochs=5, batches=4, monitor=None)
    for epoch, taken in enumerate(seconds, start=1):
        lines(epoch, LOGS | TIMES | {"epoch_seconds": taken})
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"  {left}")


def watch(epochs: int) -> None:
    with EpochLines(epochs, batches=4, monitor=None) as lines:
        for epoch in range(1, epochs + 1):
            lines.on_batches(3)
            lines.bar.refresh()
            lines(epoch, LOGS | TIMES)


def test_a_file_or_a_pipe_gets_plain_lines_and_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    watch(epochs=2)
    lines = EpochLines(2, batches=4, monitor=None)
    assert capsys.readouterr().out.splitlines() == [lines.line(epoch, LOGS | TIMES) for epoch in (1, 2)]


def test_a_terminal_also_gets_a_bar_with_the_batches_done_of_each_epoch(terminal: io.StringIO) -> None:
    watch(epochs=2)
    for shown in ("epoch 1/2 ━", "epoch 2/2 ━", " 0/4", " 3/4", "loss 0.0774"):
        assert shown in terminal.getvalue()


# --- settings, warnings and lines ----------------------------------------------------------------------------------

LONG = " ".join(f"word{number}" for number in range(100)) + " " + "/folder" * 40


PAIRS = {"network": "lenot, 61,706 parameters", "data": "mnist [x] " + "word " * 30 + "the end"}


def test_pairs_are_aligned_and_whole_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    console.say_pairs(PAIRS)
    assert capsys.readouterr().out.splitlines() == [f"network  {PAIRS['network']}", f"data     {PAIRS['data']}"]


@pytest.mark.parametrize("columns", [80, 120])
def test_pairs_are_wrapped_below_their_text_in_a_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = use_terminal(monkeypatch, columns)
    console.say_pairs(PAIRS)
    shown = screen.getvalue().splitlines()
    assert max(map(len, shown)) <= columns
    assert [line[:9].strip() for line in shown] == ["network", "data", *[""] * (len(shown) - 2)]
    assert " ".join(line[9:] for line in shown[1:]) == PAIRS["data"]


def text_in_box(shown: str) -> str:
    """Return the text between the sides of a box, without the spaces."""
    return "".join(line.strip("│ ") for line in shown.splitlines()[1:-1]).replace(" ", "")


def test_a_warning_shows_every_word_of_any_length_inside_its_box(capsys: pytest.CaptureFixture[str]) -> None:
    console.warn([LONG, "the end"])
    shown = capsys.readouterr().out
    assert "WARNING" in shown.splitlines()[0]
    assert text_in_box(shown) == (LONG + "the end").replace(" ", "")
    assert len({len(line) for line in shown.splitlines()}) == 1


def test_without_a_warning_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    console.warn([])
    assert capsys.readouterr().out == ""


def test_a_line_is_printed_whole_with_its_brackets_at_any_length(capsys: pytest.CaptureFixture[str]) -> None:
    console.say(f"{LONG} model.dense=[120] [red]")
    assert capsys.readouterr().out == f"{LONG} model.dense=[120] [red]\n"


def test_secrets_are_hidden_in_lines_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("kept in postgresql://ada:hunter2@db/runs")
    console.warn(["cannot reach postgresql://ada:hunter2@db/runs"])
    console.say_pairs({"store": "postgresql://ada:hunter2@db/runs"})
    shown = capsys.readouterr().out
    assert "hunter2" not in shown
    assert shown.count("postgresql://***@db/runs") == 3


HIDDEN = "(replace *** with what it hides)"
PAGE = "#/experiments/7/runs/abc?workflowType=machine_learning"


@pytest.fixture
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(ROOT)


@pytest.mark.usefixtures("in_the_project")
@pytest.mark.parametrize(
    ("uri", "command"),
    [
        ("sqlite:///mlflow.db", "`make ui`"),
        ("sqlite:///.debug/mlflow.db", f"`make ui URI=sqlite:///{ROOT}/.debug/mlflow.db`"),
        ("postgresql://db/runs", "`make ui URI=postgresql://db/runs`"),
        ("postgresql://ada:hunter2@db/runs", f"`make ui 'URI=postgresql://***@db/runs'` {HIDDEN}"),
        ("postgresql://ada:it's$2@db/runs", f"`make ui 'URI=postgresql://***@db/runs'` {HIDDEN}"),
    ],
)
def test_a_run_in_a_database_is_printed_with_the_command_that_shows_it(
    uri: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    console.say_where("abc", "7", uri)
    assert capsys.readouterr().out == f"run abc: {command} shows it at http://127.0.0.1:5000/{PAGE}\n"


def test_a_run_on_a_server_is_printed_with_its_page_there_and_no_password(capsys: pytest.CaptureFixture[str]) -> None:
    console.say_where("abc", "7", "https://ada:hunter2@mlflow.example/team/")
    assert capsys.readouterr().out == f"run abc: https://mlflow.example/team/{PAGE}\n"


def test_the_address_of_a_run_is_on_one_line_in_a_narrow_terminal(terminal: io.StringIO) -> None:
    console.say_where("abc", "7", "https://mlflow.example" + "/team" * 30)
    assert f"/team/{PAGE}\n" in terminal.getvalue()


@pytest.mark.usefixtures("in_the_project")
def test_a_registered_version_is_printed_with_its_page(capsys: pytest.CaptureFixture[str]) -> None:
    kept = RegistrationResult(
        name="mnist", version=3, is_new=True, run_id="abc", alias="champion", moved=True, reason="the first"
    )
    console.say_registration(kept, "sqlite:///mlflow.db")
    page = "http://127.0.0.1:5000/#/models/mnist/versions/3?workflowType=machine_learning"
    assert capsys.readouterr().out.splitlines() == [
        "version 3 of mnist: the model of run abc",
        "champion now points to it: the first",
        f"version 3 of mnist: `make ui` shows it at {page}",
    ]


def test_a_table_keeps_every_cell_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console.table("layers of net", ("layer", "parameters"), [("conv_0", "1,560"), ("a" * 150, "9")])
    shown = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in shown if line.strip("─ ")]
    assert rows == [["layers", "of", "net"], ["layer", "parameters"], ["conv_0", "1,560"], ["a" * 150, "9"]]
    assert [line.rstrip()[-1] for line in shown if "conv_0" in line or "aaa" in line] == ["0", "9"]
    assert len({len(line.rstrip()) for line in shown if "conv_0" in line or "aaa" in line}) == 1


# --- any characters in a text -------------------------------------------------------------------------------------

LITERAL = "[data/mnist] [/x] [red] 1:100:1"


@pytest.mark.parametrize(
    "show", [console.say, lambda text: console.warn([text]), lambda text: console.table("t", ("a",), [(text,)])]
)
def test_text_is_shown_literally(show: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    show(LITERAL)
    assert LITERAL in capsys.readouterr().out


def test_a_table_cuts_nothing_off_in_a_narrow_terminal(terminal: io.StringIO) -> None:
    console.table("layers", ("layer", "formula"), [("z" * 100, "9")])
    assert terminal.getvalue().count("z") == 100


# --- sweeps --------------------------------------------------------------------------------------------------------


def trial(number: int, state: str = "COMPLETE", value: float | None = None, **more: Any) -> TrialRow:
    settings: dict[str, Any] = {"params": {"model.dropout": 0.123456, "seed": None}, "seconds": 4.06, "epochs": 3}
    settings |= {"best_epoch": 2, "reported": {}, "run_id": None, "interrupted": False, "reason": ""} | more
    return TrialRow(number=number, state=state, value=value, **settings)


COUNTS = Counts(complete=6, pruned=2, failed=1, running=2, retried=1)


def test_a_trials_line_has_its_state_value_time_and_params_and_a_star_when_it_is_the_best_so_far(
    capsys: pytest.CaptureFixture[str],
) -> None:
    view = SweepView("val_accuracy", "maximize", 20, [])
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
    first, *_ = SweepView("val_accuracy", "maximize", number, []).state_lines(counts)
    assert len(str(first)) <= 80


def test_with_a_loss_the_smaller_value_is_the_better_one() -> None:
    view = SweepView("val_loss", "minimize", 20, [])
    assert [" *" in view.line(trial(0, value=value)) for value in (0.5, 0.6, 0.4)] == [True, False, True]


def test_a_pruned_trial_is_never_the_best() -> None:
    assert " *" not in SweepView("val_accuracy", "maximize", 20, []).line(trial(0, "PRUNED", 0.99))


def test_a_failed_trials_line_says_why_and_an_interrupted_one_that_it_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    view = SweepView("val_accuracy", "maximize", 20, [])
    view.update([trial(3, "FAIL", reason="ConfigError: too large\nmore")], COUNTS)
    assert capsys.readouterr().out.endswith("  ConfigError: too large\n")
    assert "INTERRUPTED" in view.line(trial(3, "FAIL", interrupted=True))


def test_each_trial_is_printed_once_and_those_that_ended_earlier_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = [trial(0, value=0.9), trial(1, "RUNNING")]
    view = SweepView("val_accuracy", "maximize", 3, before)
    after = [trial(0, value=0.9), trial(1, value=0.8), trial(2, "RUNNING")]
    for _ in range(2):
        view.update(after, COUNTS)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "resuming: 1 trial already finished"
    assert [line.split()[:2] for line in lines] == [["trial", "1"]]
    assert " *" not in lines[0]  # the earlier one was better


def test_on_a_terminal_one_sees_how_far_the_sweep_is_the_best_and_the_time_left(terminal: io.StringIO) -> None:
    with SweepView("val_accuracy", "maximize", 20, []) as view:
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


def test_a_trial_as_a_row_of_a_table_has_a_cell_for_each_column() -> None:
    row = trial(7, value=0.5)
    assert console.trial_cells(row) == ("7", "COMPLETE", "0.5000", "3", "4.1 s", "model.dropout=0.1235 seed=null")
    assert len(console.trial_cells(row)) == len(console.TRIAL_COLUMNS)


def test_a_trial_without_a_value_or_an_end_has_a_dash_there() -> None:
    assert console.trial_cells(trial(7, "RUNNING", seconds=None))[2:5] == ("-", "3", "-")
