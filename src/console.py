"""What people see in the terminal: warnings, one line an epoch, tables, where to look next."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from src.redact import redact
from src.results import TrialRow

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


class TrialLines:
    """One line for each trial that ends.

    Args:
        metric: what the trials are compared by.
        direction: `maximize` or `minimize`; the best so far is marked with a star.
        n_trials: how many trials the study has in the end.
    """

    def __init__(self, metric: str, direction: str, n_trials: int) -> None:
        self.metric = metric
        self.sign = 1 if direction == "maximize" else -1
        self.n_trials = n_trials
        self.best: float | None = None
        self.told: set[int] = set()

    def known(self, rows: Sequence[TrialRow]) -> None:
        """Trials that ended before this command began: counted, not told."""
        ended = [row for row in rows if row.state in ENDED]
        if ended:
            say(f"taken up again: {len(ended)} trials have ended before")
        for row in ended:
            self._is_best(row)
            self.told.add(row.number)

    def update(self, rows: Sequence[TrialRow]) -> bool:
        """Tells of the trials that ended since the last time; returns whether there were any."""
        new = [row for row in rows if row.state in ENDED and row.number not in self.told]
        for row in new:
            self.told.add(row.number)
            say(self.line(row))
        return bool(new)

    def line(self, row: TrialRow) -> str:
        """`trial   7  COMPLETE     val_accuracy 0.9830 *  3 epochs  4.1 s  model.dropout=0.1`."""
        state = "INTERRUPTED" if row.interrupted else row.state
        parts = [f"trial {row.number:>{len(str(self.n_trials))}}", f"{state:<8}"]
        if row.value is not None:
            parts.append(f"{self.metric} {row.value:.4f}" + (" *" if self._is_best(row) else "  "))
        parts += [f"{row.epochs} epochs", _duration(row.seconds or 0.0)]
        shown = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.params.values())
        parts.append(" ".join(f"{name}={value}" for name, value in zip(row.params, shown, strict=True)))
        if row.reason:
            parts.append(row.reason.splitlines()[0])
        return "  ".join(parts)

    def _is_best(self, row: TrialRow) -> bool:
        if row.state != "COMPLETE" or row.value is None:
            return False
        if self.best is not None and self.sign * row.value <= self.sign * self.best:
            return False
        self.best = row.value
        return True


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
