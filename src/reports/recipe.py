"""The best trial of a sweep as a recipe: a file that trains its configuration again."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from src.cli.compose import CONF, compose_tree
from src.errors import ConfigError
from src.results import TrialRow
from src.schema import RUN_GROUPS, with_given_name
from src.space import SweepPlan
from src.writing import replacing

if TYPE_CHECKING:
    pass


MADE_HERE = "# The best of the study"  # marks a recipe that a sweep may write over
NOT_IN_RECIPE = {"tracking", "tags", "evaluate_test"}  # what belongs to one machine or to the sweep
PLACES = {"data_dir", "folders", "mirrors", "npz"}


def best_recipe(plan: SweepPlan, study_name: str, best: TrialRow, config: Mapping[str, Any]) -> str:
    """An experiment file that trains a trial's configuration again, with a test score at the end.

    Args:
        plan: of the sweep.
        study_name: of the study.
        best: the trial.
        config: the resolved configuration that it was trained with.
    """
    name = plan.settings.save_best_as or "best"
    choices = plan.space.choices.get(plan.space.options_of(best.params), {})
    options = {group: choices[group] for group in RUN_GROUPS if group in choices and group != "tracking"}
    folders = [line for line in plan.line if line.startswith("hydra.searchpath=")]  # options of the user's own
    standard = compose_tree([*folders, *(f"{group}={option}" for group, option in options.items())])
    body: dict[str, Any] = {"defaults": [{f"override /{group}": option} for group, option in options.items()]}
    body |= difference(standard, with_given_name(config), NOT_IN_RECIPE)
    body["tags"] = {"experiment": name, "best_of": study_name}
    return (
        "# @package _global_\n"
        f"# python -m src.train experiment={name}\n"
        f"{MADE_HERE} {study_name}: trial {best.number}, {plan.metric} {best.value:.4f} at its best epoch.\n"
        + yaml.safe_dump(body, sort_keys=False, allow_unicode=True)
    )


def difference(standard: Mapping[str, Any], wanted: Mapping[str, Any], left_out: set[str]) -> dict[str, Any]:
    """What must be set in `standard` to get `wanted`: nested dicts, lists whole."""
    found: dict[str, Any] = {}
    for key, value in wanted.items():
        if key in left_out or standard.get(key) == value:
            continue
        before = standard.get(key)
        both = isinstance(value, dict) and isinstance(before, dict)
        found[key] = difference(before, value, PLACES) if both else value  # type: ignore[arg-type]
    return {key: value for key, value in found.items() if value != {}}


def check_recipe_name(name: str | None) -> None:
    """Raises ConfigError when a recipe of this name exists that no sweep has made."""
    if name is None:
        return
    path = CONF / "experiment" / f"{name}.yaml"
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(f"hydra.sweeper.save_best_as={name}: {path.parent} cannot be written; leave it out")
    if path.exists() and MADE_HERE not in path.read_text():
        raise ConfigError(
            f"hydra.sweeper.save_best_as={name}: conf/experiment/{name}.yaml was not made by a sweep and is not "
            "written over; choose another name"
        )


def _keep_recipe(name: str, recipe: str) -> None:
    with replacing(CONF / "experiment" / f"{name}.yaml") as part:
        part.write_text(recipe)
