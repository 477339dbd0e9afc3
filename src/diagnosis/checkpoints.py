"""Checkpoints: damaged ones, those that are not needed anymore, and the space that the others take.

`checkpoints/KEY/` is next to the store unless `training.checkpoint_dir` names another folder. KEY is the id of a run,
or `trial-ID-NUMBER` for a trial and those that tried it again. See `src.checkpointing` for what is in it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from src import console, study
from src.checkpointing import TRIAL, leftovers, manifests
from src.diagnosis.case import Case, described, is_idle, size_of
from src.diagnosis.finding import CLEAN, FIX, Finding, Repair
from src.diagnosis.half_written import leftover, removal
from src.errors import CheckpointError, StoreError, first_line
from src.writing import PART, remove

RUN = re.compile(r"[0-9a-f]{32}")
WAIT = "a process may be writing the folder; repeat the command when nothing in it has changed for ten minutes"
CHAIN = re.compile(rf"{TRIAL}(?P<study>[0-9a-f]+)-(?P<number>\d+)")


def find_checkpoints(case: Case) -> Iterator[Finding]:
    """Yield checkpoints that are damaged or not needed, and as information those of interrupted trainings."""
    root = case.checkpoints
    try:
        folders = sorted(root.iterdir()) if root.is_dir() else []
    except OSError as error:
        yield _hidden(case, root, first_line(error))
        return
    studies: dict[str, study.StudyRecord] = {}
    if any(folder.name.startswith(TRIAL) for folder in folders):
        studies = {record.unique: record for record in case.studies()}
    for folder in folders:
        try:
            yield from list(_of_folder(case, folder, studies))
        except (CheckpointError, PermissionError) as error:
            yield _hidden(case, folder, first_line(error))


def _of_folder(case: Case, folder: Path, studies: Mapping[str, study.StudyRecord]) -> Iterator[Finding]:
    if folder.name.startswith(PART) and is_idle(folder):
        yield leftover(folder, "checkpoint")
    elif folder.is_dir() and RUN.fullmatch(folder.name):
        yield from _of_run(case, folder)
    elif folder.is_dir() and (found := CHAIN.fullmatch(folder.name)):
        yield from _of_chain(case, folder, found["study"], studies.get(found["study"]), int(found["number"]))


def _hidden(case: Case, folder: Path, reason: str) -> Finding:
    """Return the finding about a folder that this user cannot read. It is a fault if its removal was requested."""
    advice = "the owner of the folder can examine it"
    return Finding(str(folder), f"was not examined: {reason}", advice, is_fault=folder.name == case.config.discard)


def _of_run(case: Case, folder: Path) -> Iterator[Finding]:
    def is_used() -> bool:
        found = case.store.run(folder.name)
        return found is not None and (case.may_run(found) or case.is_alive(found))

    run = case.store.run(folder.name)
    if run is None:
        yield _foreign(case, folder, f"run {folder.name}")
    elif case.may_run(run) or case.is_alive(run):  # a process that is stopped writes a checkpoint after it ends the run
        yield from _used(case, folder)
    elif run.is_deleted or run.status == "FINISHED":
        yield _unneeded(case, folder, f"its run {'was deleted' if run.is_deleted else 'is FINISHED'}")
    else:
        yield from _interrupted(case, folder, described(run), is_used)


def _of_chain(
    case: Case, folder: Path, unique: str, record: study.StudyRecord | None, number: int
) -> Iterator[Finding]:
    def is_used() -> bool:
        return any(run.trial is not None and case.may_run(run) for run in case.store.runs_of_study(unique))

    last = None if record is None else next(reversed(_repetitions(record, number)), None)
    trial = f"trial {number} of study {record.name if record is not None else unique}"
    if is_used() if last is None else last.is_alive:  # without a record its study is in another storage
        yield from _used(case, folder)
    elif record is None and next(case.store.runs_of_study(unique), None) is None:
        yield _foreign(case, folder, trial)
    elif last is not None and last.state in ("COMPLETE", "PRUNED", "FAIL") and not last.is_interrupted:
        yield _unneeded(case, folder, f"{trial} has ended")
    else:
        yield from _interrupted(case, folder, trial, is_used)


def _repetitions(record: study.StudyRecord, number: int) -> list[study.TrialRecord]:
    """Return a trial and the trials that repeat it, in their order; empty if the study has no such trial."""
    chain = [trial for trial in record.trials if trial.number == number]
    for trial in record.trials:
        if chain and trial.retry_of == chain[-1].number:
            chain.append(trial)
    return chain


def _used(case: Case, folder: Path) -> Iterator[Finding]:
    """Yield a finding about checkpoints that a training uses now, if their removal was requested."""
    if folder.name == case.config.discard:
        advice = "repeat the command when the training has ended"
        yield Finding(str(folder), "was not removed, because a training uses its checkpoints now", advice)


def _foreign(case: Case, folder: Path, owner: str) -> Finding:
    """Return the finding about checkpoints of another store that shares the folder. They are not removed."""
    return Finding(
        str(folder),
        f"contains checkpoints of {owner}, which is not in this store",
        "if another store has it, examine that store; if none has it, remove the folder yourself",
        is_fault=folder.name == case.config.discard,
        size=size_of(folder),
    )


def _unneeded(case: Case, folder: Path, reason: str) -> Finding:
    setting = f"discard={folder.name}" if folder.name == case.config.discard else FIX
    repair = removal(folder, partial(remove, folder))._replace(setting=setting)
    problem = f"contains checkpoints that are not needed, because {reason}"
    return Finding(str(folder), problem, repair=repair, size=size_of(folder))


def _interrupted(case: Case, folder: Path, owner: str, is_used: Callable[[], bool]) -> Iterator[Finding]:
    """Yield what is damaged or half-written in a folder, and its space; `is_used` is asked again before a repair."""
    whole: dict[int, Path] = {}
    remove_unused = partial(_remove_unused, is_used)
    if folder.name == case.config.discard:
        yield _space(case, folder, owner, whole, remove_unused)
        return
    can_remove = is_idle(folder)  # a process of another machine may be writing in it
    is_readable = True
    for epoch, manifest in sorted(manifests(folder).items()):
        damage = case.damage_of(manifest)
        if damage and not case.can_read(manifest):
            is_readable = False
            problem = f"belongs to a checkpoint of {owner} that cannot be read now: {damage}"
            yield Finding(str(manifest), problem, "repeat the command when the file can be read")
        elif damage:
            problem = f"belongs to a damaged checkpoint of {owner}: {damage}"
            repair = removal(manifest, partial(remove_unused, [manifest])) if can_remove else None
            yield Finding(str(manifest), problem, "" if can_remove else WAIT, repair)
        else:
            whole[epoch] = manifest
    if not is_readable:  # the other files may belong to the checkpoint that cannot be read
        return
    for path in leftovers(folder, whole.values()) if can_remove else []:
        problem = f"does not belong to a complete checkpoint of {owner}"
        repair = removal(path, partial(remove_unused, [path]))
        yield Finding(str(path), problem, repair=repair, size=size_of(path))
    if whole:
        yield _space(case, folder, owner, whole, remove_unused)


def _space(
    case: Case, folder: Path, owner: str, whole: dict[int, Path], remove_unused: Callable[[Iterable[Path]], None]
) -> Finding:
    """Return the finding about the space that complete checkpoints take.

    Only the newest one is needed to resume the training, so `clean=true` removes the others. The newest one is removed
    only if the user names the folder.
    """
    newest = max(whole, default=0)
    problem = f"contains {console.size(size_of(folder))} of checkpoints of {owner}"
    if folder.name == case.config.discard:
        repair = removal(folder, partial(remove_unused, [folder]))._replace(setting=f"discard={folder.name}")
        return Finding(str(folder), problem, repair=repair, is_fault=False, size=size_of(folder))
    command = case.doctor_command(f"discard={folder.name}")
    advice = f"to give up the training and remove them all:\n{command}"
    older = [manifest for epoch, manifest in whole.items() if epoch < newest]
    if not older:
        return Finding(str(folder), problem, advice, is_fault=False)
    older += set(leftovers(folder, [whole[newest]])) - set(leftovers(folder, whole.values()))
    what = f"the checkpoints before epoch {newest}"
    repair = Repair(f"remove {what}", f"{what} were removed", partial(remove_unused, older), CLEAN)
    return Finding(str(folder), problem, advice, repair, is_fault=False, size=size_of(*older))


def _remove_unused(is_used: Callable[[], bool], paths: Iterable[Path]) -> None:
    if is_used():
        raise StoreError("a training uses the checkpoints again; wait for its end")
    for path in paths:
        remove(path)
    for folder in {path.parent for path in paths}:
        with contextlib.suppress(OSError):  # it is not empty
            folder.rmdir()
