"""The trials of a sweep in the terminal: a line for each one that ends, and the state of the sweep in a live view."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Group
from rich.live import Live
from rich.text import Text

from src.console.lines import console, duration, say, table
from src.redact import redact
from src.results import Counts, FrontPoint, TrialRow, format_metric
from src.schema import COSTS, Objective, format_cost, front_of, improves

ENDED = ("COMPLETE", "PRUNED", "FAIL")
MAX_LISTED = 10  # trials that are not tried again
BAR_WIDTH = 24  # characters: with the counts of a thousand trials, the line fits into 80


class SweepView:
    """Prints a line for each trial that ends, and shows the state of the sweep on a terminal; used inside `with`.

    Args:
        objectives: what compares the trials. A trial is marked with a star if it was the best so far when it ended, or
            on the front if there are several objectives.
        n_trials: how many trials the study has in the end.
        rows: the trials so far; no line is printed for those that have already ended.
    """

    def __init__(self, objectives: Sequence[Objective], n_trials: int, rows: Sequence[TrialRow]) -> None:
        self.objectives = objectives
        self.n_trials = n_trials
        self.best: list[TrialRow] = []  # several with several objectives
        self.printed: set[int] = set()  # numbers of the trials that have ended
        self.started = time.monotonic()
        self.live = Live(console=console, refresh_per_second=2, transient=True)
        for row in rows:
            if row.state in ENDED:
                self._note_if_best(row)
                self.printed.add(row.number)
        self.earlier = len(self.printed)
        if finished := sum(row.state in ENDED and not row.interrupted for row in rows):
            say(f"resuming: {finished} trial{'s' * (finished != 1)} already finished")

    def __enter__(self) -> SweepView:
        if console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def update(self, rows: Sequence[TrialRow], counts: Counts) -> None:
        """Print the trials that have ended since the last call, and show the state of the sweep."""
        for row in rows:
            if row.state in ENDED and row.number not in self.printed:
                self.printed.add(row.number)
                say_with_params(self.line(row), row.params, row.reason.partition("\n")[0])
        self.live.update(Group(*self.state_lines(counts)))

    def line(self, row: TrialRow) -> str:
        """Return `trial  7  COMPLETE  val_accuracy 0.9830 *  3 epochs  4.1 s`."""
        parts = [
            f"trial {row.number:>{len(str(self.n_trials))}}",
            "INTERRUPTED" if row.interrupted else f"{row.state:<8}",
        ]
        if row.value is not None:
            star = " *" if self._note_if_best(row) else "  "
            parts.append(f"{self._values(row)}{star}")
        parts += [f"{row.epochs} epoch{'s' * (row.epochs != 1)}", duration(row.seconds or 0.0)]
        return "  ".join(parts)

    def state_lines(self, counts: Counts) -> list[Text]:
        """Return up to three lines: the number of trials, the best trial so far, the speed."""
        filled = min(BAR_WIDTH, round(BAR_WIDTH * counts.counted / self.n_trials))
        kinds = (("running", counts.running), ("pruned", counts.pruned), ("failed", counts.failed))
        numbers = "  ".join(f"{number} {kind}" for kind, number in kinds if number)
        lines = [f"{counts.counted}/{self.n_trials} trials  {'━' * filled}{'╌' * (BAR_WIDTH - filled)}  {numbers}"]
        if self.best and len(self.objectives) > 1:
            lines.append(f"front: trials {', '.join(str(row.number) for row in self.best)}")
        elif self.best:
            (best,) = self.best
            lines.append(f"best: trial {best.number}, {self._values(best)}  {params_line(best.params)}")
        ended, seconds = len(self.printed) - self.earlier, time.monotonic() - self.started
        if ended:
            left = (self.n_trials - counts.counted) * seconds / ended
            lines.append(f"{60 * ended / seconds:.1f} trials/min  {duration(left)} left")
        return [Text(redact(line), overflow="ellipsis", no_wrap=True) for line in lines]

    def _note_if_best(self, row: TrialRow) -> bool:
        """Remember a trial if it is the best so far, or on the front; return whether it is."""
        if not row.is_comparable or not improves(row.values, (best.values for best in self.best), self.objectives):
            return False
        known = [*self.best, row]
        self.best = [known[index] for index in front_of([each.values for each in known], self.objectives)]
        return True

    def _values(self, row: TrialRow) -> str:
        """Return `val_accuracy 0.9830`, or the values of all objectives. A pruned trial has the first one only."""
        pairs = zip(self.objectives, row.values, strict=False)
        return "  ".join(f"{objective.name} {format_value(objective.name, value)}" for objective, value in pairs)


def format_value(name: str, value: float | None) -> str:
    """Return the value of an objective, a metric or a cost; `-` when there is none."""
    return format_cost(value) if name in COSTS and value is not None else format_metric(value)


def trial_columns(names: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the columns of a table of trials.

    Args:
        names: the objectives if there are several. One of them may be called `parameters`, so the last column is
            called `settings` then.
    """
    return ("trial", "state", *(names or ("value",)), "epochs", "time", "settings" if names else "parameters")


def trial_cells(row: TrialRow, names: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the cells of a trial, in the order of `trial_columns`."""
    values = [*row.values, *[None] * len(names)]
    return (
        str(row.number),
        "INTERRUPTED" if row.interrupted else row.state,
        *(format_value(name, value) for name, value in zip(names or ("value",), values or [None], strict=False)),
        str(row.epochs),
        "-" if row.seconds is None else duration(row.seconds),
        row.reason.splitlines()[0] if row.reason else params_line(row.params),
    )


def say_front(front: Sequence[FrontPoint], complete: int) -> None:
    """Print the front of a sweep as a table.

    Args:
        front: at least one trial.
        complete: the number of complete trials.
    """
    names = list(front[0].values)
    cells = [
        (
            str(point.trial),
            *(format_value(name, point.values[name]) for name in names),
            params_line(point.params),
        )
        for point in front
    ]
    table(f"front: {len(front)} of {complete} complete trials", ("trial", *names, "settings"), cells)


def say_with_params(text: str, params: Mapping[str, object], reason: str = "") -> None:
    """Print a text, parameters and a reason: on one line, or indented below where a terminal is too narrow for it.

    A file or a pipe has no width to keep to.
    """
    details = [part for part in (params_line(params), reason) if part]
    line = "  ".join([text, *details])
    if not console.is_terminal or len(line) <= console.width:
        say(line)
        return
    say(text)
    for part in details:
        for wrapped in textwrap.wrap(
            part, console.width, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
        ):
            say(wrapped)


def params_line(params: Mapping[str, object]) -> str:
    """Return `model.dropout=0.123 model.conv.0.filters=8`, with shortened numbers."""
    return " ".join(f"{name}={short(value)}" for name, value in params.items())


def short(value: object) -> str:
    """Return a parameter's value as it would be typed, with at most four digits."""
    if value is None:
        return "null"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def count_words(counts: Counts) -> str:
    """Return `20 trials: 14 complete, 5 pruned, 1 failed; 2 interrupted`.

    If some of the pruned trials were not trained, it says how many: `5 pruned (3 over a limit)`.
    """
    kinds = (("complete", counts.complete), ("pruned", counts.pruned), ("failed", counts.failed))
    over = f" ({counts.skipped} over a limit)" if counts.skipped else ""
    numbers = ", ".join(f"{number} {kind}{over * (kind == 'pruned')}" for kind, number in kinds if number)
    retried = f"; {counts.retried} interrupted" if counts.retried else ""
    return f"{counts.counted} trial{'s' * (counts.counted != 1)}: {numbers or 'none finished'}{retried}"


def given_up_words(given_up: Mapping[int, int]) -> str:
    """Return `trial 6 is not tried again after 3 attempts; a larger hydra.sweeper.max_retries allows more`.

    Args:
        given_up: the numbers of the trials -> their attempts; at least one.
    """
    numbers, most = sorted(given_up), max(given_up.values())
    listed = ", ".join(map(str, numbers[:MAX_LISTED])) + ", ..." * (len(numbers) > MAX_LISTED)
    trials = f"trials {listed} are" if len(numbers) > 1 else f"trial {listed} is"
    attempts = f"{'up to ' * (len(numbers) > 1)}{most} attempt{'s' * (most > 1)}"
    return f"{trials} not tried again after {attempts}; a larger hydra.sweeper.max_retries allows more"
