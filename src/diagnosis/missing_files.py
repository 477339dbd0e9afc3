"""Missing parts: configurations and models of runs, files of logged models, files and runs of versions."""

from __future__ import annotations

from collections.abc import Iterator

from src import tracking
from src.diagnosis.case import Case, described
from src.diagnosis.finding import Finding
from src.links import restore_command

REPLACE = "delete the version in the MLflow UI and register another run:\npython -m src.register run_id=RUN"
RESTORE = "restore the files from a copy, or train the run again"


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
            yield Finding(f"model {model.model_id} ({model.name}){run}", "is READY, but its files are missing", RESTORE)
    for version in case.store.versions():
        if not case.store.has_version_files(version):
            problem = "is registered, but its files are missing"
            yield Finding(_name(version), problem, f"restore the files from a copy, or {REPLACE}")


def find_versions_without_runs(case: Case) -> Iterator[Finding]:
    """Yield registered versions whose run was deleted: the commands that take a model need its run."""
    for version in case.store.versions():
        if version.run_id is None:  # not registered by this program
            continue
        run = case.store.run(version.run_id)
        if run is None:
            yield Finding(_name(version), f"is registered, but its run {version.run_id} is gone", REPLACE)
        elif run.is_deleted:
            restore = restore_command(case.store.uri, run.run_id)
            problem = f"is registered, but its run {version.run_id} was deleted"
            yield Finding(
                _name(version), problem, f"delete the version in the MLflow UI, or restore its run:\n{restore}"
            )


def _name(version: tracking.VersionRecord) -> str:
    return f"version {version.number} of {version.name}"
