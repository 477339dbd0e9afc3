"""Points that the store did not get because it did not answer, and weights that no run could keep."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from src import tracking
from src.diagnosis.case import Case, size_of
from src.diagnosis.finding import Finding
from src.links import deliver_command

WEIGHTS = ".weights"  # see `src.keeping`


def find_undelivered(case: Case) -> Iterator[Finding]:
    """Yield folders of points that the store did not get, unless their training still sends them.

    The working folder may contain those of other stores, which are not reported.
    """
    for folder in filter(Path.is_dir, _entries(case, tracking.UNDELIVERED)):
        run = case.store.run(folder.name)
        is_sent = run is not None and (case.may_run(run) or case.is_alive(run))
        if not is_sent and (run is not None or tracking.names_store(folder, case.store.uri)):
            advice = f"{deliver_command(folder)} delivers them"
            yield Finding(f"folder {folder}", "has points that the store did not get", advice)


def find_rescued_weights(case: Case) -> Iterator[Finding]:
    """Yield trained weights that were saved outside of a run, as information."""
    for file in _entries(case, WEIGHTS):
        if file.is_file() and not file.name.startswith("."):
            advice = f"training.initial_weights={shlex.quote(str(file))} starts from them"
            yield Finding(
                f"file {file}", "has trained weights that no run could keep", advice, is_fault=False, size=size_of(file)
            )


def _entries(case: Case, name: str) -> list[Path]:
    """Return what folders of this name contain, next to the store and in the working folder."""
    folders = dict.fromkeys((case.store.folder.resolve(), Path.cwd()))
    return [entry for folder in folders if (folder / name).is_dir() for entry in sorted((folder / name).iterdir())]
