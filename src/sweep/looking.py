"""The state of sweeps, read from their studies, and the request to stop one. Any machine can do both."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from src import console, study
from src.places import read_variable
from src.redact import redact
from src.schema import Objective

if TYPE_CHECKING:
    import optuna

TICK = 2.0  # seconds between two looks at a study
LONG = 60.0  # seconds without a running trial, after which a line says so
MAX_ABSENCE = 20.0  # seconds for which nobody works on a study before `watch` ends; a server may be restarted meanwhile
TAIL = 4096  # bytes at the end of a log in which its last line is looked for


def show_studies(storage_url: str) -> None:
    """Print how many trials each study has."""
    with study.refusals_explained(storage_url), closing(study.open_existing(storage_url)) as storage:
        cells = []
        for name in study.study_names(storage.optuna):
            rows = study.trial_rows(study.find_study(name, storage.optuna).get_trials(deepcopy=False))
            outcomes = [row.outcome for row in rows]
            kinds = ("COMPLETE", "PRUNED", "FAIL", "INTERRUPTED", "RUNNING")
            cells.append((name, *(str(outcomes.count(kind)) for kind in kinds)))
        console.table("studies", ("study", "complete", "pruned", "failed", "interrupted", "running"), cells)


def show_trials(study_name: str, storage_url: str) -> None:
    """Print the trials of a study, and its workers with the last lines of their logs."""
    with opened_study(study_name, storage_url) as (_, opened):
        rows = study.trial_rows(opened.get_trials(deepcopy=False), limits=study.limits_of(opened))
        names = opened.metric_names or ()
        cells = [console.trial_cells(row, names) for row in rows]
        console.table(study_name, console.trial_columns(names), cells)
        if rows and all(row.state != "RUNNING" for row in rows) and not study.has_report(opened):
            console.say(f"the report lacks trials; write it with: {command_of('resume', study_name, storage_url)}")
        if records := study.worker_records(opened):
            logs = [Path(record.log) for record in records]
            cells = [
                (record.host, str(record.pid), _shown(log), last_line(log))
                for record, log in zip(records, logs, strict=True)
            ]
            console.table("workers", ("machine", "process", "log", "last line"), cells)


def _shown(log: Path) -> str:
    """Return the path of a log, relative if it is in the working folder, so that it fits into a table."""
    return str(log.relative_to(Path.cwd()) if log.is_relative_to(Path.cwd()) else log)


def stop(study_name: str, storage_url: str) -> None:
    """Ask every worker of the study to stop: running trials end with their epoch, and no other begins."""
    with opened_study(study_name, storage_url) as (storage, opened):
        running = [row for row in study.trial_rows(opened.get_trials(deepcopy=False)) if row.state == "RUNNING"]
        storage.patience.call(lambda: study.ask_to_stop(opened))
        console.say(
            f"asked {study_name} to stop; running trials: {len(running)}. To resume, repeat the sweep's command, or: "
            f"{command_of('resume', study_name, storage_url)}"
        )


def watch(study_name: str, storage_url: str) -> None:
    """Print each trial that ends, until the study has all its trials, or nobody works on it and nobody will.

    Raises:
        ConfigError: the study does not exist, or has no definition.
    """
    with opened_study(study_name, storage_url) as (storage, opened):
        definition, _ = study.kept_definition(opened)
        retries, limits = int(definition["settings"]["max_retries"]), study.limits_of(opened)
        names = definition["settings"].get("objectives") or [definition["metric"]]
        objectives = [Objective(*pair) for pair in zip(names, study.directions_of(opened), strict=True)]

        def trials() -> list[optuna.trial.FrozenTrial]:
            return storage.patience.call(lambda: opened.get_trials(deepcopy=False))

        idle, absent = 0.0, 0.0

        def has_ended() -> bool:
            return study.is_stopped(opened) or study.order_of(opened).is_over

        def is_attended() -> bool:
            return study.is_attended(opened, storage.locks, found)

        def ordered() -> int:
            return study.order_of(opened).n_trials

        with console.SweepView(
            objectives, storage.patience.call(ordered), study.trial_rows(trials(), retries, limits)
        ) as view:
            while True:
                found = trials()
                counts = study.count_trials(found, retries)
                view.n_trials = storage.patience.call(ordered)  # somebody may have raised it
                view.update(study.trial_rows(found, retries, limits), counts)
                if not counts.running and (counts.counted >= view.n_trials or storage.patience.call(has_ended)):
                    break
                idle = 0.0 if counts.running else idle + TICK
                if idle == LONG:
                    shown = command_of("status", study_name, storage_url)
                    console.say(f"no trial has run for a minute; to see the workers: {shown}")
                absent = 0.0 if storage.patience.call(is_attended) else absent + TICK
                if absent > MAX_ABSENCE:
                    resumed = command_of("resume", study_name, storage_url)
                    console.say(f"nobody works on {study_name}; to continue it: {resumed}")
                    break
                time.sleep(TICK)
        console.say(console.count_words(counts))


def command_of(action: str, study_name: str, storage_url: str) -> str:
    """Return a command of this module for a study, ready to be typed, with the storage unless that is the default."""
    words = ["python", "-m", "src.sweep", action, study_name]
    if storage_url != default_storage():
        words += ["--storage", redact(storage_url)]
    return shlex.join(words)


def default_storage() -> str:
    """Return the address of the storage for a command that names none."""
    return read_variable("OPTUNA_STORAGE") or "sqlite:///optuna.db"


def last_line(log: Path) -> str:
    """Return the last line of a log, "" if this machine cannot read the file."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


@contextmanager
def opened_study(study_name: str, storage_url: str) -> Iterator[tuple[study.Storage, optuna.Study]]:
    """Yield the storage and a study, which must exist."""
    with study.refusals_explained(storage_url), closing(study.open_existing(storage_url)) as storage:
        yield storage, study.find_study(study_name, storage.optuna)
