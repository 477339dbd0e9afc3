"""Files that should exist: configurations and models of runs, logged models, registered versions."""

from __future__ import annotations

from collections.abc import Iterator

from src.diagnosis.case import Case, described
from src.diagnosis.finding import Finding

RESTORE = "restore it from a copy, or train the run again"


def find_missing_artifacts(case: Case) -> Iterator[Finding]:
    """Yield finished trainings without their configuration or the model that they kept.

    A trial keeps its model only if it was the best so far, and then it has a fingerprint like any training that kept
    all that it was asked to keep.
    """
    for run in case.store.runs("attributes.status = 'FINISHED'"):
        if not run.is_training:
            continue
        names = case.store.names_in(run)
        if "config" not in names or "config.yaml" not in case.store.names_in(run, "config"):
            yield Finding(described(run), "is FINISHED, but its config/config.yaml is missing", RESTORE)
        if run.keeps_model and "model" not in names:
            yield Finding(described(run), "is FINISHED and kept its model, but its folder model/ is missing", RESTORE)


def find_missing_models(case: Case) -> Iterator[Finding]:
    """Yield MLflow models and registered versions whose files are gone."""
    for model in case.store.models():
        if model.is_ready and not case.store.has_model_files(model):
            run = f" of run {model.run_id}" if model.run_id else ""
            yield Finding(f"model {model.model_id} ({model.name}){run}", "has no files", RESTORE)
    for version in case.store.versions():
        if not case.store.has_version_files(version):
            advice = "restore them from a copy, or register another run: python -m src.register run_id=RUN"
            yield Finding(
                f"version {version.number} of {version.name}", "is registered, but its files are gone", advice
            )
