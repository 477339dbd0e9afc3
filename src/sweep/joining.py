"""Joining a sweep: its plan comes from the study, and paths and addresses from the environment of this machine."""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from src import study, tracking
from src.errors import ConfigError
from src.extensions import extension_param
from src.space import SweepPlan, own_places, read_definition

PACKAGES = ("tensorflow", "keras", "numpy", "pillow")  # compute the results


def origin() -> dict[str, str]:
    """Return what must be equal on all machines that work on a study: the code and the packages that decide results."""
    return {"code": tracking.result_code_digest(), **{name: version(name) for name in PACKAGES}, **extension_param()}


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
    _check_origin(name, then)
    plan = read_definition(definition, own_places(definition, storage_url, overrides))
    settings = dataclasses.replace(
        plan.settings,
        study_name=name,
        n_trials=order.n_trials,
        n_jobs=n_jobs,
        timeout=None if order.deadline is None else max(1.0, order.deadline - time.time()),
    )
    return dataclasses.replace(plan, settings=settings)


def _check_origin(name: str, then: Mapping[str, str]) -> None:
    """Raise ConfigError if this machine has other code or packages than those that train the study's trials."""
    now = origin()
    differing = [key for key in sorted(then.keys() | now.keys()) if then.get(key) != now.get(key)]
    if differing:
        changes = [f"{key} {_short(now.get(key))} instead of {_short(then.get(key))}" for key in differing]
        raise ConfigError(
            f"{platform.node()} cannot work on the study {name!r}, because it has {'; '.join(changes)}. Install what "
            "the other machines have"
        )


def _short(value: str | None) -> str:
    return "none" if value is None else value[:12]
