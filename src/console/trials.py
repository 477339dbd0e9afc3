"""How a sweep stands: a line for each trial that ends, and a live view above it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Group
from rich.live import Live
from rich.text import Text

from src.console.lines import console, duration, say
from src.redact import redact
from src.results import Counts, TrialRow, format_metric

ENDED = ("COMPLETE", "PRUNED", "FAIL")


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

    def __enter__(self) -> SweepView:
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
            duration(row.seconds or 0.0),
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
            lines.append(f"{60 * ended / seconds:.1f} trials/min  {duration(left)} left")
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
        format_metric(row.value),
        str(row.epochs),
        "-" if row.seconds is None else duration(row.seconds),
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
