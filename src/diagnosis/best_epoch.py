"""Finished trainings that do not say which epoch was the best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from src import tracking
from src.diagnosis.case import Case, described
from src.diagnosis.finding import Finding, Repair
from src.schema import BEST, VALIDATION, best_metrics, direction_of, is_better, metric_names

PARAM = "resolved.best_epoch"


def find_missing_best_epochs(case: Case) -> Iterator[Finding]:
    """Yield finished trainings without `resolved.best_epoch` or metrics of the best epoch."""
    for run in case.store.runs("attributes.status = 'FINISHED'"):
        missing = _missing(run)
        if not run.is_training or not missing:
            continue
        problem = f"is FINISHED, but lacks {', '.join(missing)}"
        found = _best(case.store, run)
        if found is None:
            problem += ", and the recorded epochs do not give these values"
            yield Finding(described(run), problem, "train the run again")
        else:
            apply = partial(case.store.add_best, run, *found)
            action = "compute these values from the recorded epochs"
            outcome = "these values were computed from the recorded epochs"
            yield Finding(described(run), problem, repair=Repair(action, outcome, apply))


def _missing(run: tracking.RunRecord) -> list[str]:
    expected = [BEST + name for name in metric_names(VALIDATION) if name in run.metrics] + ["best_epoch"]
    return [PARAM] * (PARAM not in run.params) + [name for name in expected if name not in run.metrics]


def _best(store: tracking.Survey, run: tracking.RunRecord) -> tuple[Mapping[str, float], int] | None:
    """Return the metrics of the best epoch and its number, None if the recorded epochs do not give them.

    It is the first epoch with the best value of the recorded monitor. Without a validation split it is the last one.
    """
    epochs = store.history(run.run_id, "loss")
    validation = {name: store.history(run.run_id, name) for name in metric_names(VALIDATION) if name in run.metrics}
    monitor = run.params.get("training.monitor", "")
    if known := run.params.get(PARAM):
        best_epoch = int(known) if known.isdecimal() else None
    elif not validation:
        best_epoch = max(epochs, default=None)
    else:
        best_epoch = _first_best(monitor, store.history(run.run_id, monitor) if monitor in run.metrics else {})
    if best_epoch not in epochs or any(best_epoch not in values for values in validation.values()):
        return None
    assert best_epoch is not None
    return best_metrics({name: values[best_epoch] for name, values in validation.items()}, best_epoch), best_epoch


def _first_best(monitor: str, values: Mapping[int, float]) -> int | None:
    best = None
    for epoch in sorted(values):
        if is_better(values[epoch], None if best is None else values[best], direction_of(monitor)):
            best = epoch
    return best
