"""Joining a sweep: its plan comes from the study, paths and addresses come from the environment of this machine."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from src import console, study
from src.cli.extensions import take_extensions
from src.errors import ConfigError
from src.places import check_output_folder
from src.process.gpus import installed_gpus, visible_gpus
from src.space import SweepPlan, check_jobs, own_places, read_definition
from src.sweep.looking import command_of, opened_study
from src.sweep.origin import check_origin
from src.sweep.running import run_study

if TYPE_CHECKING:
    import optuna


def resume(
    name: str, storage_url: str, typed: Sequence[str], n_jobs: int, log: Path | None, n_trials: int | None
) -> None:
    """Continue a study that was stopped or whose deadline has passed, perhaps with more trials.

    Nothing is changed if this machine cannot work on the study.

    Args:
        name, storage_url, typed, n_jobs, log: see `work`.
        n_trials: how many trials the study has in the end; None for as many as before.

    Raises:
        ConfigError: a grid does not have this many trials; see `plan_of_study` for others.
    """
    with _joined(name, storage_url, log) as opened:
        before = study.order_of(opened)
        if n_trials is not None and n_trials < before.n_trials:
            raise ConfigError(
                f"--n-trials {n_trials}: {before.n_trials} trials were ordered; an order can only be raised"
            )
        order = study.Order(n_trials or before.n_trials, None)
        plan = plan_of_study(opened, order, storage_url, take_extensions(typed), n_jobs)
        if n_trials is not None and n_trials > (most := plan.count_trials(plan.first_trials())):
            raise ConfigError(f"--n-trials {n_trials}: the grid has {most} combinations; order no more than that")
    run_study(plan, joins=True, has_log=log is not None, order=order)


def work(name: str, storage_url: str, typed: Sequence[str], n_jobs: int, log: Path | None) -> None:
    """Train trials of a study that exists until it has all of them, then write its report.

    Nothing is trained for a study that was asked to stop, or whose deadline has passed.

    Args:
        name: of the study.
        storage_url: the address of its storage.
        typed: paths and addresses, such as `dataset.data_dir=/mnt/data`, and `extensions=[...]`.
        n_jobs: how many worker processes this command starts.
        log: the file for the output of this command, None for the terminal.
    """
    with _joined(name, storage_url, log) as opened:
        order = study.order_of(opened)
        reason = "was asked to stop" if study.is_stopped(opened) else "has passed its deadline"
        if study.is_stopped(opened) or order.is_over:
            console.say(f"study {name} {reason}; resume it with: {command_of('resume', name, storage_url)}")
            return
        plan = plan_of_study(opened, order, storage_url, take_extensions(typed), n_jobs)
    run_study(plan, joins=True, has_log=log is not None)


@contextmanager
def _joined(name: str, storage_url: str, log: Path | None) -> Iterator[optuna.Study]:
    """Yield a study that has a definition, and note in it where the log of this process is."""
    if log is not None:
        _write_into(log)
    with opened_study(name, storage_url) as (_, opened):
        study.kept_definition(opened)
        if log is not None:
            study.note_worker(opened, study.WorkerRecord(platform.node(), os.getpid(), time.time(), str(log)))
        yield opened


def _gpus_of_each(n_jobs: int) -> float | None:
    """Return the setting that divides all GPUs of this command among its workers: a cluster has chosen them for it."""
    count = len(visible_gpus(os.environ, installed_gpus())) // n_jobs
    return count if count > 1 else None


def _write_into(log: Path) -> None:
    """Append all further output of this process, and of those that it starts, to a file."""
    check_output_folder(log.parent, "--log")
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = log.open("ab")
    except OSError as error:
        raise ConfigError(
            f"--log: {log} cannot be written ({error.strerror}); name a file in a folder of yours"
        ) from error
    with file:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def plan_of_study(
    opened: optuna.Study, order: study.Order, storage_url: str, overrides: Sequence[str], n_jobs: int
) -> SweepPlan:
    """Return the plan of a study that exists, for this machine.

    Args:
        opened: the study, which has a definition.
        order: how many trials it shall have, and until when.
        storage_url: the address of its storage.
        overrides: paths and addresses that were typed, such as `dataset.data_dir=/mnt/data`.
        n_jobs: how many worker processes there will be on this machine.

    Raises:
        ConfigError: this machine has other code or packages, or something was typed that is not a path or an address.
    """
    check_jobs("--n-jobs", n_jobs)
    definition, then = study.kept_definition(opened)
    check_origin(opened.study_name, then)
    plan = read_definition(definition, own_places(definition, storage_url, overrides))
    settings = dataclasses.replace(
        plan.settings,
        study_name=opened.study_name,
        n_trials=order.n_trials,
        n_jobs=n_jobs,
        gpus_per_worker=_gpus_of_each(n_jobs),
        timeout=None if order.deadline is None else max(1.0, order.deadline - time.time()),
    )
    return dataclasses.replace(plan, settings=settings)
