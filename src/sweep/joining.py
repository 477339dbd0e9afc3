"""Joining a sweep: its plan comes from the study, and paths and addresses from the environment of this machine."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from src import console, study
from src.cli.extensions import take_extensions
from src.places import check_output_folder
from src.process.gpus import installed_gpus, visible_gpus
from src.space import SweepPlan, own_places, read_definition
from src.sweep.origin import check_origin
from src.sweep.running import run_study


def resume(name: str, storage_url: str, n_trials: int | None) -> None:
    """Withdraw a request to stop and a deadline, and order more trials if the study shall have more.

    Args:
        name: of the study.
        storage_url: the address of its storage.
        n_trials: how many trials the study has in the end; None for as many as before.
    """
    with closing(study.open_existing(storage_url)) as storage:
        opened = study.find_study(name, storage.optuna)
        study.kept_definition(opened)
        study.place_order(opened, study.Order(n_trials or study.order_of(opened).n_trials, None))
        study.ask_to_stop(opened, False)


def join(name: str, storage_url: str, typed: Sequence[str], n_jobs: int, log: Path | None) -> None:
    """Train trials of a study that exists until it has all of them, then write its report.

    Nothing is trained for a study that was asked to stop.

    Args:
        name: of the study.
        storage_url: the address of its storage.
        typed: paths and addresses, such as `dataset.data_dir=/mnt/data`, and `extensions=[...]`.
        n_jobs: how many worker processes this command starts.
        log: the file for the output of this command, None for the terminal.
    """
    if log is not None:
        _write_into(log)
    with closing(study.open_existing(storage_url)) as storage:
        opened = study.find_study(name, storage.optuna)
        study.kept_definition(opened)
        if log is not None:
            study.note_worker(opened, study.WorkerRecord(platform.node(), os.getpid(), time.time(), str(log)))
        if study.is_stopped(opened):
            console.say(f"{name} was asked to stop; to continue it: python -m src.sweep resume {name}")
            return
    run_study(plan_of_study(name, storage_url, take_extensions(typed), n_jobs), joins=True)


def _gpus_of_each(n_jobs: int) -> float | None:
    """Return how many of the GPUs that this command may use each of its workers gets: a cluster has chosen them."""
    count = len(visible_gpus(os.environ, installed_gpus())) // n_jobs
    return count if count > 1 else None


def _write_into(log: Path) -> None:
    """Append all further output of this process, and of those that it starts, to a file."""
    check_output_folder(log.parent, "--log")
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def plan_of_study(name: str, storage_url: str, overrides: Sequence[str], n_jobs: int) -> SweepPlan:
    """Return the plan of a study that exists, for this machine.

    Args:
        name: of the study.
        storage_url: the address of its storage.
        overrides: paths and addresses that were typed, such as `dataset.data_dir=/mnt/data`.
        n_jobs: how many worker processes there will be on this machine.

    Raises:
        ConfigError: the study does not exist or has no definition, or this machine has other code or packages.
        StoreError: the storage cannot be used.
    """
    storage = study.open_existing(storage_url)
    try:
        opened = study.find_study(name, storage.optuna)
        definition, then = study.kept_definition(opened)
        order = study.order_of(opened)
    finally:
        storage.close()
    check_origin(name, then)
    plan = read_definition(definition, own_places(definition, storage_url, overrides))
    settings = dataclasses.replace(
        plan.settings,
        study_name=name,
        n_trials=order.n_trials,
        n_jobs=n_jobs,
        gpus_per_worker=_gpus_of_each(n_jobs),
        timeout=None if order.deadline is None else max(1.0, order.deadline - time.time()),
    )
    return dataclasses.replace(plan, settings=settings)
