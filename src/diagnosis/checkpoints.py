"""Checkpoints: the damaged ones, those that nothing needs any more, and the space that the others take.

`checkpoints/KEY/` is next to the store. KEY is the id of a run, or `trial-STUDY-NUMBER` for a trial and its
repetitions. In it `00005.json` lists the files of the checkpoint after epoch 5, with their sizes and SHA-256. It is
written last.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from src import study
from src.diagnosis.case import Case, described, how_to_resume, is_idle, size_of
from src.diagnosis.finding import Finding, Repair
from src.diagnosis.half_written import leftover
from src.errors import StoreError
from src.writing import PART, remove

FOLDER = "checkpoints"
CHUNK_BYTES = 2**20
MANIFEST = re.compile(r"\d+\.json")
RUN = re.compile(r"[0-9a-f]{32}")
CHAIN = re.compile(r"trial-(?P<study>[0-9a-f]+)-(?P<number>\d+)")


def find_checkpoints(case: Case) -> Iterator[Finding]:
    """Yield checkpoints that are damaged or that nothing needs, and as information those of interrupted trainings."""
    root = case.store.folder / FOLDER
    studies: dict[str, study.StudyRecord] = {}
    if any(root.glob("trial-*")):
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
    if run is None or run.is_deleted or run.status in ("FINISHED", "FAILED"):
        end = "is gone" if run is None else "was deleted" if run.is_deleted else f"is {run.status}"
        yield _unneeded(folder, f"run {folder.name} {end}")
    else:
        yield from _interrupted(folder, described(run), how_to_resume(run), is_used)


def _of_chain(
    case: Case, folder: Path, unique: str, record: study.StudyRecord | None, number: int
) -> Iterator[Finding]:
    def is_used() -> bool:
        return any(run.trial is not None and case.may_run(run) for run in case.store.runs_of_study(unique))

    last = None if record is None else next(reversed(_repetitions(record, number)), None)
    if is_used() if last is None else last.is_alive:  # without a record its study is in another storage
        return
    trial = f"trial {number} of study {record.name if record is not None else unique}"
    if last is not None and last.state in ("COMPLETE", "PRUNED", "FAIL") and not last.is_interrupted:
        yield _unneeded(folder, f"{trial} has ended")
    else:
        advice = "type the command of the sweep again, which continues the trial"
        yield from _interrupted(folder, trial, advice, is_used)


def _repetitions(record: study.StudyRecord, number: int) -> list[study.TrialRecord]:
    """Return a trial and the trials that repeat it, in their order; empty if the study has no such trial."""
    chain = [trial for trial in record.trials if trial.number == number]
    for trial in record.trials:
        if chain and trial.retry_of == chain[-1].number:
            chain.append(trial)
    return chain


def _unneeded(folder: Path, reason: str) -> Finding:
    repair = Repair("remove it", partial(remove, folder))
    return Finding(str(folder), f"has checkpoints that nothing needs: {reason}", repair=repair, size=size_of(folder))


def _interrupted(folder: Path, owner: str, advice: str, is_used: Callable[[], bool]) -> Iterator[Finding]:
    """Yield what is damaged or unfinished in a folder, and its space; `is_used` is asked again before a repair."""
    remove_from = partial(_remove_unused, is_used)
    manifests = [path for path in sorted(folder.iterdir()) if MANIFEST.fullmatch(path.name)]
    named = {path.name for path in manifests}
    for manifest in manifests:
        files = _files_in(manifest)
        if files is not None and all(_is_whole(folder / name, *listed) for name, listed in files.items()):
            named |= files.keys()
        else:
            repair = Repair("remove its manifest, so that it is not used", partial(remove_from, manifest))
            yield Finding(str(manifest), f"is the manifest of a damaged checkpoint of {owner}", advice, repair)
    for path in sorted(folder.iterdir()):
        if path.name not in named:
            found = leftover(path, f"a part of a checkpoint of {owner}")
            yield found._replace(repair=Repair("remove it", partial(remove_from, path)))
    repair = Repair("remove it; the training then cannot be resumed", partial(remove_from, folder), is_cleaning=True)
    yield Finding(str(folder), f"has checkpoints of {owner}", advice, repair, is_fault=False, size=size_of(folder))


def _remove_unused(is_used: Callable[[], bool], path: Path) -> None:
    if is_used():
        raise StoreError("a training uses the checkpoint again; wait for its end")
    remove(path)


def _files_in(manifest: Path) -> dict[str, tuple[int, str]] | None:
    """Return the size and the SHA-256 of each file that a manifest names, None if it cannot be read."""
    try:
        files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        listed = {str(name): (int(entry["size"]), str(entry["sha256"])) for name, entry in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return listed if all(Path(name).name == name for name in listed) else None


def _is_whole(file: Path, size: int, sha256: str) -> bool:
    try:
        if file.stat().st_size != size:
            return False
        digest = hashlib.sha256()
        with file.open("rb") as opened:
            while chunk := opened.read(CHUNK_BYTES):
                digest.update(chunk)
    except OSError:
        return False
    return digest.hexdigest() == sha256
