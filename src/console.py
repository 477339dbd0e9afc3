"""What people see in the terminal: warnings, one line an epoch, tables, where to look next."""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from src.redact import redact
from src.results import Counts, RegistrationResult, TrialRow

ENDED = ("COMPLETE", "PRUNED", "FAIL")
console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)


def say(text: str) -> None:
    """One line, secrets hidden."""
    console.print(redact(text), markup=False)


def say_where(run_id: str, uri: str) -> None:
    """Where to look at a run: a link into the tracking server, or into the UI that `make ui` starts over a database."""
    if uri.startswith("http"):
        say(f"run {run_id}: {uri.rstrip('/')}/#/runs/{run_id}")
    else:
        say(f"run {run_id} is kept in {uri}; `make ui` shows it at http://127.0.0.1:5000/#/runs/{run_id}")


def warn(warnings: Sequence[str]) -> None:
    """A box that cannot be missed, nothing when there is nothing to warn of."""
    if warnings:
        panel = Panel(
            redact("\n".join(warnings)), title="WARNING", border_style="bold yellow", width=min(console.width, 100)
        )
        console.print(panel, soft_wrap=False)


class EpochLines:
    """One line an epoch, and on a terminal a bar within the epoch; used as an observer inside `with`.

    Args:
        epochs: how many epochs are planned.
        batches: how many batches an epoch has.
        monitor: the metric whose best epoch is marked with a star, None for none.
    """

    def __init__(self, epochs: int, batches: int, monitor: str | None) -> None:
        self.epochs = epochs
        self.batches = batches
        self.monitor = monitor
        self.best: float | None = None
        self.seconds: list[float] = []
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            console=console,
            transient=True,
        )
        self.task: TaskID | None = None

    def __enter__(self) -> "EpochLines":
        if console.is_terminal:
            self.bar.start()
            self.task = self.bar.add_task(f"epoch 1/{self.epochs}", total=self.batches)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.task is not None:
            self.bar.stop()

    def on_batches(self, done: int) -> None:
        """Moves the bar: this many batches of the epoch are done."""
        if self.task is not None:
            self.bar.update(self.task, completed=done)

    def __call__(self, epoch: int, logs: dict[str, float]) -> None:
        self.seconds.append(logs["epoch_seconds"])
        console.print(self.line(epoch, logs), markup=False)
        if self.task is not None and epoch < self.epochs:
            self.bar.reset(self.task, description=f"epoch {epoch + 1}/{self.epochs}")

    def line(self, epoch: int, logs: Mapping[str, float]) -> str:
        """`epoch  2/10  loss 0.0774  accuracy 0.9757  val_accuracy 0.9830 *  17,864 images/s  3.1 s  25 s left`."""
        width = len(str(self.epochs))
        metrics = [
            f"{name} {logs[name]:.4f}" for name in ("loss", "accuracy", "val_loss", "val_accuracy") if name in logs
        ]
        star = " *" if self._is_best(logs) else "  "
        recent = self.seconds[-3:] or [logs["epoch_seconds"]]
        left = (self.epochs - epoch) * sum(recent) / len(recent)
        return "  ".join(
            [
                f"epoch {epoch:>{width}}/{self.epochs}",
                *metrics[:-1],
                metrics[-1] + star,
                f"{logs['images_per_second']:,.0f} images/s",
                _duration(logs["epoch_seconds"]),
                f"{_duration(left)} left",
            ]
        )

    def _is_best(self, logs: Mapping[str, float]) -> bool:
        if self.monitor is None:
            return False
        value = logs[self.monitor] * (-1 if self.monitor.endswith("loss") else 1)
        if self.best is not None and value <= self.best:
            return False
        self.best = value
        return True


class SweepView:
    """One line for each trial that ends, and on a terminal how the sweep stands; used inside `with`.

    Args:
        metric: what the trials are compared by.
        direction: `maximize` or `minimize`; the best so far is marked with a star.
        n_trials: how many trials the study has in the end.
        rows: the trials that there are; those that have ended are counted, not told.
    """

    def __init__(self, metric: str, direction: str, n_trials: int, rows: Sequence[TrialRow]) -> None:
        self.metric = metric
        self.sign = 1 if direction == "maximize" else -1
        self.n_trials = n_trials
        self.best: TrialRow | None = None
        self.told: set[int] = set()
        self.began = time.monotonic()
        self.live = Live(console=console, refresh_per_second=2, transient=True)
        for row in rows:
            if row.state in ENDED:
                self._is_best(row)
                self.told.add(row.number)
        self.before = len(self.told)
        if self.before:
            say(f"taken up again: {self.before} trials have ended before")

    def __enter__(self) -> "SweepView":
        if console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def update(self, rows: Sequence[TrialRow], counts: Counts) -> bool:
        """Tells of the trials that ended since the last time; returns whether one of them came to its own end."""
        new = [row for row in rows if row.state in ENDED and row.number not in self.told]
        for row in new:
            self.told.add(row.number)
            say(self.line(row))
        self.live.update(Group(*self.standing(counts)))
        return any(not row.interrupted for row in new)

    def line(self, row: TrialRow) -> str:
        """`trial  7  COMPLETE  val_accuracy 0.9830 *  3 epochs  4.1 s  model.dropout=0.1`."""
        parts = [
            f"trial {row.number:>{len(str(self.n_trials))}}",
            "INTERRUPTED" if row.interrupted else f"{row.state:<8}",
        ]
        if row.value is not None:
            parts.append(f"{self.metric} {row.value:.4f}" + (" *" if self._is_best(row) else "  "))
        parts += [
            f"{row.epochs} epoch{'s' * (row.epochs != 1)}",
            _duration(row.seconds or 0.0),
            params_line(row.params),
        ]
        if row.reason:
            parts.append(row.reason.splitlines()[0])
        return "  ".join(parts)

    def standing(self, counts: Counts) -> list[Text]:
        """How the sweep stands, in up to three lines: how far, the best so far, how fast."""
        width = 30
        filled = min(width, round(width * counts.counted / self.n_trials))
        others = (("running", counts.running), ("pruned", counts.pruned), ("failed", counts.failed))
        told = "  ".join(f"{number} {kind}" for kind, number in others if number)
        lines = [f"{counts.counted}/{self.n_trials} trials  {'━' * filled}{'╌' * (width - filled)}  {told}"]
        if self.best is not None:
            lines.append(
                f"best  trial {self.best.number}  {self.metric} {self.best.value:.4f}  {params_line(self.best.params)}"
            )
        ended, seconds = len(self.told) - self.before, time.monotonic() - self.began
        if ended:
            left = (self.n_trials - counts.counted) * seconds / ended
            lines.append(f"{60 * ended / seconds:.1f} trials/min  {_duration(left)} left")
        return [Text(redact(line), overflow="ellipsis", no_wrap=True) for line in lines]

    def _is_best(self, row: TrialRow) -> bool:
        if row.state != "COMPLETE" or row.value is None:
            return False
        if self.best is not None and self.sign * row.value <= self.sign * (self.best.value or 0.0):
            return False
        self.best = row
        return True


TRIAL_COLUMNS = ("trial", "state", "value", "epochs", "time", "parameters")


def trial_cells(row: TrialRow) -> tuple[str, ...]:
    """A trial as a row of a table."""
    return (
        str(row.number),
        "INTERRUPTED" if row.interrupted else row.state,
        "" if row.value is None else f"{row.value:.4f}",
        str(row.epochs),
        "" if row.seconds is None else _duration(row.seconds),
        row.reason.splitlines()[0] if row.reason else params_line(row.params),
    )


def params_line(params: Mapping[str, object]) -> str:
    """`model.dropout=0.123 model.conv.0.filters=8`, numbers shortened."""
    return " ".join(f"{name}={short(value)}" for name, value in params.items())


def short(value: object) -> str:
    """A parameter's value as one would type it, with four digits at most."""
    if value is None:
        return "null"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def count_words(counts: Counts) -> str:
    """`20 trials: 14 complete, 5 pruned, 1 failed; 2 interrupted`."""
    kinds = (("complete", counts.complete), ("pruned", counts.pruned), ("failed", counts.failed))
    told = ", ".join(f"{number} {kind}" for kind, number in kinds if number)
    again = f"; {counts.retried} interrupted" if counts.retried else ""
    return f"{counts.counted} trials: {told or 'none ended'}{again}"


def say_registration(result: RegistrationResult) -> None:
    """Which version a run's model is, and whether the alias points to it."""
    known = "" if result.is_new else ", as before"
    say(f"version {result.version} of {result.name}: the model of run {result.run_id}{known}")
    if result.alias:
        say(f"{result.alias} {'points to it' if result.moved else 'stays where it is'}: {result.reason}")


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal for as long as the block lasts, and a function that moves it by so many."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table, its first column to the left, the others to the right."""
    drawn = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for index, column in enumerate(columns):
        drawn.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    # A file or a pipe has no width to keep to.
    wide = console if console.is_terminal else Console(width=200, markup=False, emoji=False)
    wide.print(drawn)


@contextlib.contextmanager
def native_messages_hidden() -> Iterator[None]:
    """Keeps what native libraries write to the error stream during an import; shows it only when that fails.

    TensorFlow greets with a page of notes before its own log level is in force. TF_CPP_MIN_LOG_LEVEL=0 shows them.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except Exception:
            messages.seek(0)
            os.write(kept, messages.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"
