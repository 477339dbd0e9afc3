"""One line an epoch, and a bar within it."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from src.console.lines import console, duration


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
                duration(logs["epoch_seconds"]),
                f"{duration(left)} left",
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
