"""The line and the bar of each epoch."""

import io

import pytest

from src.console import EpochLines
from tests.support.terminal import use_terminal

LOGS = {"loss": 0.07741, "accuracy": 0.9757, "val_loss": 0.2, "val_accuracy": 0.983, "learning_rate": 1e-3}
TIMES = {"epoch_seconds": 3.14, "images_per_second": 17_864.4}


def test_a_line_has_the_metrics_the_speed_and_the_time_left() -> None:
    line = EpochLines(epochs=10, batches=469, monitor="val_accuracy").line(2, LOGS | TIMES)
    metrics = "loss 0.0774  accuracy 0.9757  val_loss 0.2000  val_accuracy 0.9830 *"
    assert line == f"epoch  2/10  {metrics}  17,864 images/s  3.1 s  25 s left"


def test_a_line_without_validation_has_the_training_metrics_alone() -> None:
    logs = {name: value for name, value in LOGS.items() if not name.startswith("val_")}
    line = EpochLines(epochs=2, batches=469, monitor=None).line(1, logs | TIMES)
    assert line == "epoch 1/2  loss 0.0774  accuracy 0.9757    17,864 images/s  3.1 s  3.1 s left"


@pytest.mark.parametrize("columns", [70, 110, 200])
def test_the_last_line_has_the_parts_of_the_others_and_no_time_left(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_terminal(monkeypatch, columns)
    view = EpochLines(epochs=9, batches=4, monitor="val_accuracy")
    earlier, last = (view.line(epoch, LOGS | TIMES).replace("*", " ") for epoch in (8, 9))
    assert last.replace("9/9", "8/9") == earlier.removesuffix("  3.1 s left").rstrip()


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


def test_of_many_metrics_a_narrow_terminal_keeps_that_of_the_monitor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    more = {f"val_{name}": 0.5 for name in ("macro_f1", "auc", "brier", "calibration_error")}
    shown = {}
    for columns in (80, 120, 200):
        use_terminal(monkeypatch, columns)
        line = EpochLines(epochs=99, batches=4, monitor="val_brier").line(98, LOGS | more | TIMES)
        assert len(line) <= columns
        shown[columns] = [word for word in line.split() if word in LOGS | more]
    assert shown[80] == ["loss", "val_accuracy", "val_brier"]
    assert shown[120] == ["loss", "val_loss", "val_accuracy", "val_macro_f1", "val_brier"]
    assert shown[200] == [name for name in LOGS | more if name != "learning_rate"]


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


def test_epochs_of_an_earlier_process_are_not_shown_again_and_count_as_the_best(
    capsys: pytest.CaptureFixture[str],
) -> None:
    history = {name: [value, value] for name, value in (LOGS | TIMES).items()}
    with EpochLines(epochs=4, batches=4, monitor="val_accuracy") as lines:
        lines.note_earlier(history)
        for epoch, accuracy in ((2, 0.983), (3, 0.98), (4, 0.99)):
            lines(epoch, LOGS | TIMES | {"val_accuracy": accuracy})
    third, fourth = capsys.readouterr().out.splitlines()
    assert third.startswith("epoch 3/4")
    assert ("*" in third, "*" in fourth) == (False, True)
