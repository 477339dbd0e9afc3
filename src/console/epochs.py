"""One line for each epoch, and a progress bar within it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from src.console.lines import console, duration
from src.schema import VALIDATION, direction_of, is_better, metric_names, monitors

SEPARATOR = "  "
ALWAYS_SHOWN = ("loss", "val_accuracy")  # and the monitor, however narrow the terminal is
WIDEST = {"speed": "999,999 images/s", "seconds": "10.0 s", "left": "10.0 s left"}  # of parts whose width changes


class EpochLines:
    """One line for each epoch, and on a terminal a progress bar; used as an observer inside `with`.

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
        self.first = 1  # epoch that is shown
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            console=console,
            transient=True,
        )
        self.task: TaskID | None = None

    def __enter__(self) -> EpochLines:
        if console.is_terminal:
            self.bar.start()
            self.task = self.bar.add_task(f"epoch 1/{self.epochs}", total=self.batches)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.task is not None:
            self.bar.stop()

    def note_earlier(self, history: Mapping[str, Sequence[float]]) -> None:
        """Note the epochs that an earlier process trained and showed: metric name -> one value per epoch."""
        for value in history[self.monitor] if self.monitor else ():
            self._note_if_best({str(self.monitor): value})
        self.seconds += history["epoch_seconds"]
        self.first = len(self.seconds) + 1
        if self.task is not None and self.first <= self.epochs:
            self.bar.reset(self.task, description=f"epoch {self.first}/{self.epochs}")

    def on_batches(self, done: int) -> None:
        """Move the bar: this many batches of the epoch are done."""
        if self.task is not None:
            self.bar.update(self.task, completed=done)

    def __call__(self, epoch: int, logs: dict[str, float]) -> None:
        if epoch < self.first:
            return
        self.seconds.append(logs["epoch_seconds"])
        console.print(self.line(epoch, logs), markup=False)
        if self.task is not None and epoch < self.epochs:
            self.bar.reset(self.task, description=f"epoch {epoch + 1}/{self.epochs}")

    def line(self, epoch: int, logs: Mapping[str, float]) -> str:
        """Return the epoch's line; on a narrow terminal only as much of it as fits.

        `epoch  2/10  loss 0.0774  accuracy 0.9757  val_loss 0.2000  val_accuracy 0.9830 *  17,864 images/s  3.1 s
        25 s left`
        """
        recent = self.seconds[-3:] or [logs["epoch_seconds"]]
        left = (self.epochs - epoch) * sum(recent) / len(recent)
        parts = {"epoch": f"epoch {epoch:>{len(str(self.epochs))}}/{self.epochs}"}
        parts |= {name: f"{name} {logs[name]:.4f}" for name in monitors() if name in logs}
        parts[next(reversed(parts))] += " *" if self._note_if_best(logs) else "  "
        parts["speed"] = f"{logs['images_per_second']:,.0f} images/s"
        parts["seconds"] = duration(logs["epoch_seconds"])
        parts["left"] = f"{duration(left)} left" if left else ""  # the last epoch has all other parts
        return SEPARATOR.join(self._fitting(parts).values()).rstrip()

    def _note_if_best(self, logs: Mapping[str, float]) -> bool:
        """Remember the monitored value if it is the best so far, and return whether it is."""
        if self.monitor is None:
            return False
        if not is_better(logs[self.monitor], self.best, direction_of(self.monitor)):
            return False
        self.best = logs[self.monitor]
        return True

    def _fitting(self, parts: dict[str, str]) -> dict[str, str]:
        """Return the parts that fit into the width of the terminal; all of them for a file or a pipe.

        Each part counts with its widest text, so that every line of a training has the same parts.
        """
        if not console.is_terminal:
            return parts
        widths = {name: max(len(text), len(WIDEST.get(name, ""))) for name, text in parts.items()}
        for name in ("speed", *metric_names(), "seconds", *reversed(metric_names(VALIDATION))):
            if sum(widths.values()) + len(SEPARATOR) * (len(widths) - 1) <= console.width:
                break
            if name not in (*ALWAYS_SHOWN, self.monitor):
                widths.pop(name, None)
        return {name: parts[name] for name in widths}
