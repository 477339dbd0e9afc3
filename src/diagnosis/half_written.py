"""Files and folders that a killed process was writing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
                yield leftover(part, f"artifact of {described(run)}")
    for name in NEXT_TO_STORE:
        for part in sorted((case.store.folder / name).glob(f"{PART}*")):
            if is_idle(part):
                yield leftover(part, f"{file_or_folder(part)} next to the store")


def unfinished_below(folder: Path) -> list[Path]:
    """Return the unfinished files and folders at any depth that no process is writing, without those inside them."""
    found = sorted(folder.rglob(f"{PART}*"))
    return [
        part
        for part in found
        if not any(parent.name.startswith(PART) for parent in part.relative_to(folder).parents) and is_idle(part)
    ]


def leftover(path: Path, kind: str) -> Finding:
    """Return the finding about a file or a folder that a process began to write and did not finish."""
    problem = f"is a half-written {kind}; its process was killed"
    return Finding(str(path), problem, repair=removal(path, partial(remove, path)), size=size_of(path))


def removal(path: Path, apply: Callable[[], object]) -> Repair:
    """Return the repair that removes a file or a folder."""
    kind = file_or_folder(path)
    return Repair(f"remove the {kind}", f"the {kind} was removed", apply)


def file_or_folder(path: Path) -> str:
    """Return the word for what is at a path."""
    return "folder" if path.is_dir() else "file"
