"""Checkpoints: the damaged ones, those that nothing needs anymore, and the space that the others take.

`checkpoints/KEY/` is next to the store unless `training.checkpoint_dir` names another folder. KEY is the id of a run,
or `trial-STUDY-NUMBER` for a trial and those that tried it again. See `src.checkpoints` for what is in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from src import study
from src.checkpoints import TRIAL, check, leftovers, manifests
from src.diagnosis.case import Case, described, how_to_resume, is_idle, size_of
from src.diagnosis.finding import Finding, Repair
from src.diagnosis.half_written import leftover
from src.errors import CheckpointError, StoreError
from src.writing import PART, remove

RUN = re.compile(r"[0-9a-f]{32}")
CHAIN = re.compile(rf"{TRIAL}(?P<study>[0-9a-f]+)-(?P<number>\d+)")


def find_checkpoints(case: Case) -> Iterator[Finding]:
    """Yield checkpoints that are damaged or that nothing needs, and as information those of interrupted trainings."""
    root = case.checkpoints
    studies: dict[str, study.StudyRecord] = {}
    if any(root.glob(f"{TRIAL}*")):
        studies = {record.unique: record for record in case.studies()}
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if folder.name.startswith(PART) and is_idle(folder):
            yield leftover(folder, "a checkpoint")
        elif folder.is_dir() and RUN.fullmatch(folder.name):
            yield from _of_run(case, folder)
        elif folder.is_dir() and (found := CHAIN.fullmatch(folder.name)):
            yield from _of_chain(case, folder, found["study"], studies.get(found["study"]), int(found["number"]))


def _of_run(case: Case, folder: Path) -> Iterator[Finding]:
    def is_used() -> bool:
        found = case.store.run(folder.name)
        return found is not None and case.may_run(found)

    run = case.store.run(folder.name)
    if is_used():
        return
    if run is None:
        yield _foreign(folder, f"run {folder.name}")
    elif run.is_deleted or run.status == "FINISHED":
        yield _unneeded(folder, f"run {folder.name} {'was deleted' if run.is_deleted else f'is {run.status}'}")
    else:
        yield from _interrupted(folder, described(run), how_to_resume(run, case.store.uri), is_used)


def _of_chain(
    case: Case, folder: Path, unique: str, record: study.StudyRecord | None, number: int
) -> Iterator[Finding]:
    def is_used() -> bool:
        return any(run.trial is not None and case.may_run(run) for run in case.store.runs_of_study(unique))

    last = None if record is None else next(reversed(_repetitions(record, number)), None)
    if is_used() if last is None else last.is_alive:  # without a record its study is in another storage
        return
    trial = f"trial {number} of study {record.name if record is not None else unique}"
    if record is None and next(case.store.runs_of_study(unique), None) is None:
        yield _foreign(folder, trial)
    elif last is not None and last.state in ("COMPLETE", "PRUNED", "FAIL") and not last.is_interrupted:
        yield _unneeded(folder, f"{trial} has ended")
    else:
        advice = "run the command of the sweep again, which continues the trial"
        yield from _interrupted(folder, trial, advice, is_used)


def _repetitions(record: study.StudyRecord, number: int) -> list[study.TrialRecord]:
    """Return a trial and the trials that repeat it, in their order; empty if the study has no such trial."""
    chain = [trial for trial in record.trials if trial.number == number]
    for trial in record.trials:
        if chain and trial.retry_of == chain[-1].number:
            chain.append(trial)
    return chain


def _foreign(folder: Path, owner: str) -> Finding:
    """Return the finding about checkpoints of another store, which may share the folder. They are not removed."""
    return Finding(
        str(folder),
        f"has checkpoints of {owner}, which is not in this store",
        "check the store that has it; if there is none, remove the folder",
        is_fault=False,
        size=size_of(folder),
    )


def _unneeded(folder: Path, reason: str) -> Finding:
    repair = Repair("remove it", partial(remove, folder))
    return Finding(str(folder), f"has checkpoints that nothing needs: {reason}", repair=repair, size=size_of(folder))


def _interrupted(folder: Path, owner: str, advice: str, is_used: Callable[[], bool]) -> Iterator[Finding]:
    """Yield what is damaged or unfinished in a folder, and its space; `is_used` is asked again before a repair."""
    remove_from = partial(_remove_unused, is_used)
    whole = []
    for manifest in manifests(folder).values():
        try:
            check(manifest)
            whole.append(manifest)
        except CheckpointError as error:
            repair = Repair("remove its manifest, so that it is not used", partial(remove_from, manifest))
            yield Finding(str(manifest), f"is the manifest of a damaged checkpoint of {owner}: {error}", advice, repair)
    for path in leftovers(folder, whole):
        found = leftover(path, f"a part of a checkpoint of {owner}")
        yield found._replace(repair=Repair("remove it", partial(remove_from, path)))
    repair = Repair("remove it; the training then cannot be resumed", partial(remove_from, folder), is_cleaning=True)
    yield Finding(str(folder), f"has checkpoints of {owner}", advice, repair, is_fault=False, size=size_of(folder))


def _remove_unused(is_used: Callable[[], bool], path: Path) -> None:
    if is_used():
        raise StoreError("a training uses the checkpoint again; wait for its end")
    remove(path)
