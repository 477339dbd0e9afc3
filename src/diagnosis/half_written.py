"""Files and folders that a killed process was writing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from src.diagnosis.case import Case, described, is_idle, size_of
from src.diagnosis.finding import Finding, Repair
from src.writing import PART, remove

NEXT_TO_STORE = (".", ".weights", "mlartifacts")  # folders in which commands write


def find_half_written_files(case: Case) -> Iterator[Finding]:
    """Yield unfinished files of runs that have ended and of folders next to the store. No process is writing them."""
    for run in case.store.runs():
        if run.folder is not None and not case.may_run(run):
            for part in unfinished_below(run.folder):
                yield leftover(part, f"an artifact of {described(run)}")
    for name in NEXT_TO_STORE:
        for part in sorted((case.store.folder / name).glob(f"{PART}*")):
            if is_idle(part):
                yield leftover(part, "a file or folder next to the store")


def unfinished_below(folder: Path) -> list[Path]:
    """Return the unfinished files and folders at any depth that no process is writing, without those inside them."""
    found = sorted(folder.rglob(f"{PART}*"))
    return [
        part
        for part in found
        if not any(parent.name.startswith(PART) for parent in part.relative_to(folder).parents) and is_idle(part)
    ]


def leftover(path: Path, kind: str) -> Finding:
    """Return the finding about something that is unfinished."""
    return Finding(
        str(path),
        f"is {kind} that a killed process did not finish",
        repair=Repair("remove it", partial(remove, path)),
        size=size_of(path),
    )
