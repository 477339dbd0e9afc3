"""Points and files that the store did not get because it did not answer, and weights that no run could keep."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from src import tracking
from src.diagnosis.case import Case, is_idle, size_of
from src.diagnosis.finding import Finding
from src.diagnosis.half_written import leftover
from src.links import deliver_command

WEIGHTS = ".weights"  # see `src.keeping`


def find_undelivered(case: Case) -> Iterator[Finding]:
    """Yield folders of points and files that the store did not get, unless their training still sends them.

    The working folder may contain those of other stores, which are not reported.
    """
    for folder in filter(Path.is_dir, _entries(case, tracking.UNDELIVERED)):
        run = case.store.run(folder.name)
        is_sent = run is not None and (case.may_run(run) or case.is_alive(run))
        if not is_sent and (run is not None or tracking.names_store(folder, case.store.uri)):
            yield from _undelivered(folder)


def _undelivered(folder: Path) -> Iterator[Finding]:
    counts = {"point": tracking.count_kept_points(folder), "file": len(tracking.kept_files(folder))}
    texts = [f"{count:,} {unit}{'s' * (count > 1)}" for unit, count in counts.items() if count]
    if texts:
        problem = f"keeps {' and '.join(texts)} that the store did not get"
        yield Finding(str(folder), problem, f"to deliver them:\n{deliver_command(folder)}")
    elif is_idle(folder):
        yield leftover(folder, "folder for points that the store did not get")


def find_rescued_weights(case: Case) -> Iterator[Finding]:
    """Yield trained weights that were saved outside of a run, as information."""
    for file in _entries(case, WEIGHTS):
        if file.is_file() and not file.name.startswith("."):
            advice = f"to start a training from them:\ntraining.initial_weights={shlex.quote(str(file))}"
            problem = "contains trained weights that no run could keep"
            yield Finding(str(file), problem, advice, is_fault=False, size=size_of(file))


def _entries(case: Case, name: str) -> list[Path]:
    """Return what folders of this name contain, next to the store and in the working folder."""
    folders = dict.fromkeys((case.store.folder.resolve(), Path.cwd()))
    return [entry for folder in folders if (folder / name).is_dir() for entry in sorted((folder / name).iterdir())]
