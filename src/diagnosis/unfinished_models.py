"""MLflow models that were being logged when their process was killed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from src import tracking
from src.diagnosis.case import Case, described
from src.diagnosis.finding import Finding, Repair


def find_unfinished_models(case: Case) -> Iterator[Finding]:
    """Yield MLflow models that stay PENDING although their run has ended."""
    for model in case.store.models():
        if not model.is_pending or model.run_id is None:  # a model without a run is not one of this program
            continue
        run = case.store.run(model.run_id)
        if run is None or not case.may_run(run):
            repair = Repair(
                "mark the model FAILED, and remove its files",
                "the model is FAILED now, and its files were removed",
                partial(case.store.abandon_model, model.model_id),
            )
            yield Finding(
                f"model {model.model_id} ({model.name})", f"is still PENDING, but {_end_of(run)}", repair=repair
            )


def _end_of(run: tracking.RunRecord | None) -> str:
    if run is None:
        return "its run is gone"
    return f"the process of {described(run)} has ended" if run.status == "RUNNING" else f"{described(run)} has ended"
