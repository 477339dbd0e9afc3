"""The best trial of a sweep, or each trial of its front, as a recipe: a file that trains its configuration again."""

import os
from collections.abc import Mapping
from typing import Any

import yaml

from src.cli.compose import CONF, compose_tree
from src.console import format_value
from src.errors import ConfigError
from src.extensions import PARAM, recorded_extensions
from src.results import TrialRow, trial_name
from src.schema import RUN_GROUPS, is_place, with_given_name
from src.space import SweepPlan
from src.writing import replacing

MADE_HERE = "# The best of the study"  # marks a recipe that a sweep may write over
ON_FRONT = "# On the front of the study"
DATA = ("dataset.folder", "dataset.file")  # the only places that are part of a recipe: they say which images


def trial_recipe(
    plan: SweepPlan, study_name: str, row: TrialRow, config: Mapping[str, Any], made_with: str = ""
) -> str:
    """Returns an experiment file that trains a trial's configuration again, with a test score at the end.

    Args:
        plan: the checked settings of the sweep.
        study_name: the name of the study.
        row: the trial.
        config: the resolved configuration of the trial.
        made_with: the extensions that the trial was trained with, as the param of its run names them.
    """
    name = trial_name(row.number) if plan.has_front else plan.settings.save_best_as or "best"
    made_here = ON_FRONT if plan.has_front else MADE_HERE
    reached = ", ".join(
        f"{objective.name} {format_value(objective.name, value)}"
        for objective, value in zip(plan.objectives, row.values, strict=True)
    )
    choices = plan.space.choices.get(plan.space.options_of(row.params), {})
    options = {group: choices[group] for group in RUN_GROUPS if group in choices and group != "tracking"}
    folders = [line for line in plan.line if line.startswith("hydra.searchpath=")]  # with the user's own options
    standard = compose_tree([*folders, *(f"{group}={option}" for group, option in options.items())])
    body: dict[str, Any] = {"defaults": [{f"override /{group}": option} for group, option in options.items()]}
    body |= difference(standard, {**with_given_name(config), "evaluate_test": standard["evaluate_test"]})
    body["tags"] = {"experiment": name, "best_of": study_name}
    extensions = recorded_extensions({PARAM: made_with})
    named = f" 'extensions=[{','.join(extensions)}]'" if extensions else ""
    digests = [f"# Made with the extension {name}, SHA-256 {digest}.\n" for name, digest in extensions.items()]
    return (
        "# @package _global_\n"
        f"# python -m src.train experiment={name}{named}\n"
        f"{made_here} {study_name}: trial {row.number}, {reached} at its best epoch.\n"
        + "".join(digests)
        + yaml.safe_dump(body, sort_keys=False, allow_unicode=True)
    )


def difference(standard: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns what must be set in `standard` to get `wanted`, as nested dicts; a list is set as a whole.

    Places are not set, because they belong to one machine; `DATA` are the exceptions.

    Args:
        standard: nested dicts.
        wanted: nested dicts.
        prefix: the dotted name of both with a trailing dot, empty for a whole configuration.
    """
    changes: dict[str, Any] = {}
    for key, value in wanted.items():
        name, default = f"{prefix}{key}", standard.get(key)
        if isinstance(value, dict) and isinstance(default, dict):
            value = difference(default, value, f"{name}.")
            if not value:
                continue
        elif default == value or (is_place(name) and name not in DATA):
            continue
        changes[key] = value
    return changes


def check_recipe_name(name: str | None) -> None:
    """Raises ConfigError if a recipe of this name exists that was not made by a sweep, or cannot be written."""
    if name is None:
        return
    path = CONF / "experiment" / f"{name}.yaml"
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(
            f"hydra.sweeper.save_best_as={name}: {path.parent} cannot be written; make it writable, or remove "
            f"`hydra.sweeper.save_best_as={name}`"
        )
    if path.exists() and MADE_HERE not in path.read_text():
        raise ConfigError(
            f"hydra.sweeper.save_best_as={name}: conf/experiment/{name}.yaml was not made by a sweep, so it is "
            "not replaced; choose another name"
        )


def save_recipe(name: str, recipe: str) -> None:
    """Write a recipe to `conf/experiment/`."""
    with replacing(CONF / "experiment" / f"{name}.yaml") as part:
        part.write_text(recipe)
