"""Kept models that are not what was saved."""

from __future__ import annotations

from collections.abc import Iterator

from src import saving
from src.diagnosis.case import Case, described
from src.diagnosis.finding import Finding
from src.errors import ModelFileError


def find_altered_models(case: Case) -> Iterator[Finding]:
    """Yield runs whose model files do not match their manifest. Those on a server are checked when they are used."""
    for run in case.store.runs():
        if run.folder is None or run.is_foreign or case.may_run(run) or not (run.folder / "model").is_dir():
            continue
        try:
            saving.check_manifest(run.folder / "model")
        except (ModelFileError, OSError) as error:
            yield Finding(described(run), f"keeps a damaged model: {error}")
