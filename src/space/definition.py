"""The definition of a sweep, which its study keeps as JSON: everything that workers on all machines must agree on.

It contains no path, no address and no secret. Paths and addresses are `Places`: each worker takes them from its own
environment. A definition cannot call anything: an interpolation may refer to other keys of a configuration but not to
a resolver such as `oc.env`, and only registered kinds are built from it.

    {
      "format": 1,
      "name": "lenot",
      "metric": "val_accuracy",                                  compares the trials
      "settings": {"sampler": {...}, "pruner": {...}, ...},      of `hydra.sweeper`
      "groups": [{"name": "model", "names": [...], ...}],        dimensions
      "keys": [{"name": "model.dropout", "low": 0, ...}],        dimensions
      "sections": {"model": [{...}, {...}], "seed": [1], ...},   the variants of each part of a configuration
      "bases": [{"options": ["lenot"], "sections": {"model": 0, "seed": 0, ...}, "choices": {...}}, ...],
      "default": ["lenot"],
      "typed": ["model", "model.dropout"]
    }
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.cli.conversion import typed_config
from src.cli.mistakes import explain
from src.errors import ConfigError
from src.redact import is_secret_name, redact, redact_forms, redact_tree
from src.schema import RUN_GROUPS, Choice, Interval, SweeperConfig, as_tree, kind_of
from src.space.places import Places, Tree, parts_of, place_keys, split_section
from src.space.plan import SweepPlan, make_plan
from src.space.space import Space

FORMAT = 1
# Settings that belong to a command and not to the study: how many trials it orders, where they run, what it reports.
COMMAND_SETTINGS = (
    "_target_",
    "storage",
    "study_name",
    "n_trials",
    "n_jobs",
    "timeout",
    "params",
    "save_best_as",
    "on_change",
    "engine",
    "gpus_per_worker",
    "detach",
)
_REFERENCE = re.compile(r"(?<!\\)\$\{\s*\.*[\w-]+(\.[\w-]+|\[[\w-]+\])*\s*\}")  # to another key, such as ${.epochs}
_INTERPOLATION = re.compile(r"(?<!\\)\$\{")


def define(plan: SweepPlan) -> Tree:
    """Return the definition of a sweep.

    Raises:
        ConfigError: the definition would contain a secret.
    """
    _check_searched(plan)
    sections: dict[str, list[Any]] = {}
    bases = []
    for options, base in plan.space.bases.items():
        parts = {name: split_section(name, part)[0] for name, part in parts_of(base).items()}
        numbers = {name: _add(part, sections.setdefault(name, [])) for name, part in _public(parts, plan, base).items()}
        bases.append({"options": options, "sections": numbers, "choices": plan.space.choices[options]})
    definition = {
        "format": FORMAT,
        "name": plan.name,
        "metric": plan.metric,
        "settings": {name: value for name, value in as_tree(plan.settings).items() if name not in COMMAND_SETTINGS},
        "groups": [dataclasses.asdict(group) for group in plan.space.groups],
        "keys": [dataclasses.asdict(key) for key in plan.space.keys],
        "sections": sections,
        "bases": bases,
        "default": plan.space.default,
        "typed": plan.space.typed,
    }
    return dict(json.loads(json.dumps(definition)))


def read_definition(definition: Any, places: Places) -> SweepPlan:
    """Return the plan that has this definition, with the paths and addresses of a worker.

    Args:
        definition: from `define`, read back from the study.
        places: the worker's own.

    Raises:
        ConfigError: it is not a definition of this version, or something in it is not allowed.
    """
    try:
        if definition["format"] != FORMAT:
            raise ConfigError("the study was defined by another version of convlab; use that version")
        space = _read_space(definition, places)
        settings = _read_settings(definition["settings"], places.storage)
        return make_plan(space, settings, name=str(definition["name"]))
    except ConfigError:
        raise
    except OmegaConfBaseException as error:
        raise ConfigError(f"the definition of the study: {explain(error)}") from error
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(f"the definition of the study is damaged ({type(error).__name__}: {error})") from error


def _read_space(definition: Tree, places: Places) -> Space:
    bases, choices = {}, {}
    for base, own in zip(definition["bases"], places.bases, strict=True):
        options = tuple(base["options"])
        parts = {name: definition["sections"][name][number] for name, number in base["sections"].items()}
        for name, part in parts.items():
            _check_section(name, part)
        merged = {name: part | own.get(name, {}) if isinstance(part, dict) else part for name, part in parts.items()}
        bases[options] = typed_config(merged | {"tags": _tags_with_values(merged)})
        OmegaConf.set_struct(bases[options], True)  # as in a composed configuration
        OmegaConf.set_struct(bases[options].tags, False)
        choices[options] = dict(base["choices"])
    return Space(
        groups=tuple(Choice(**_tupled(group)) for group in definition["groups"]),
        keys=tuple(Choice(**_tupled(key)) if "values" in key else Interval(**key) for key in definition["keys"]),
        bases=bases,
        default=tuple(definition["default"]),
        choices=choices,
        typed=tuple(definition["typed"]),
    )


def _tags_with_values(parts: Tree) -> Tree:
    """Return the tags without those that are tied to a path or an address that this machine does not have.

    A tag may be `${training.checkpoint_dir}`, which a worker without `training.checkpoint_dir` cannot resolve.
    """
    resolved = OmegaConf.create(parts).get("tags") or {}
    return {name: value for name, value in (parts.get("tags") or {}).items() if resolved.get(name) is not None}


def _read_settings(settings: Tree, storage: str) -> SweeperConfig:
    if unwanted := sorted(settings.keys() & set(COMMAND_SETTINGS)):
        raise ConfigError(
            f"the definition of the study contains hydra.sweeper.{unwanted[0]}, a setting of a command. It was changed "
            "by another program: begin a new study"
        )
    _check_interpolations("hydra.sweeper", settings)
    kinds = {"sampler": kind_of("sampler", settings["sampler"]), "pruner": kind_of("pruner", settings["pruner"])}
    built = {name: kind(**settings[name]) for name, kind in kinds.items()}
    # The order of the study has the number of trials. A plan needs one that is allowed.
    return SweeperConfig(**(settings | built | {"storage": storage, "n_trials": 1}))


def _tupled(choice: Tree) -> Tree:
    """Return the arguments of a `Choice` with tuples instead of lists."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in choice.items()}


def _add(part: Any, variants: list[Any]) -> int:
    """Return the position of a section among its variants, to which it is added if it is new."""
    if part not in variants:
        variants.append(part)
    return variants.index(part)


def _public(parts: Tree, plan: SweepPlan, base: DictConfig) -> Tree:
    """Return the sections with values instead of resolvers. Secrets in tags are hidden.

    Raises:
        ConfigError: another value is a secret, or may be one, such as a typed value that equals a variable's.
    """
    resolved = {name: _without_resolvers(part, base, name) for name, part in parts.items()}
    called = {name for name, leaf in _leaves(parts) if _calls_resolver(leaf)}
    for name, leaf in _leaves(resolved | {"tags": {}}):
        if not isinstance(leaf, str):
            continue
        is_given = name in called or name in plan.space.typed  # other values are those of conf/ and of a kind
        hidden = (redact if is_given else redact_forms)(leaf)
        if hidden != leaf or (is_given and is_secret_name(name)):
            raise ConfigError(_explain_secret(name, is_called=name in called, is_named=hidden == leaf))
    return resolved | {"tags": redact_tree(resolved.get("tags", {}))}


def _explain_secret(name: str, is_called: bool, is_named: bool) -> str:
    """Return the message for a value that a study must not contain.

    Args:
        name: of the setting.
        is_called: True if the value comes from a resolver, such as one that reads a variable.
        is_named: True if only the name of the setting shows that the value is a secret.
    """
    if is_called:
        return (
            f"{name}: the value comes from an environment variable and may be secret, and a sweep would store it in "
            f"its study; if it is not secret, type the value itself: {name}=VALUE"
        )
    if is_named:
        return (
            f"{name}: a setting with this name is taken for a secret, and a sweep would store its value in its study; "
            "if the value is not secret, set it in a file of conf/ instead of typing it"
        )
    return (
        f"{name}: the value contains a password or a token, and a sweep would store it in its study, where everybody "
        "with access to the study can read it; remove the secret from the value"
    )


def _check_searched(plan: SweepPlan) -> None:
    """Raise ConfigError if a secret is searched: Optuna stores all values of a space."""
    for dimension in plan.space.dimensions:
        values = list(dimension.options()) if isinstance(dimension, Choice) else []
        if redact_tree(values, dimension.name) != values:
            raise ConfigError(
                f"{dimension.name}: a secret cannot be searched, because the study stores all its values; give one "
                "value, from an environment variable"
            )


def _without_resolvers(value: Any, base: DictConfig, name: str) -> Any:
    """Return a tree in which all interpolations refer to other keys."""
    if isinstance(value, dict):
        return {key: _without_resolvers(item, base, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [_without_resolvers(item, base, f"{name}.{index}") for index, item in enumerate(value)]
    if _calls_resolver(value):
        found = OmegaConf.select(base, name)
        return OmegaConf.to_container(found, resolve=True) if OmegaConf.is_config(found) else found
    return value


def _calls_resolver(value: Any) -> bool:
    """Return True for a string with an interpolation that is more than the name of another key."""
    return isinstance(value, str) and bool(_INTERPOLATION.search(_REFERENCE.sub("", value)))


def _check_section(name: str, part: Any) -> None:
    """Raise ConfigError if a section of a stored definition contains a path, an address or a resolver."""
    if name in RUN_GROUPS and (found := sorted(place_keys(name, part) & part.keys())):
        raise ConfigError(
            f"the definition of the study contains {name}.{found[0]}, a path or an address; these come from the "
            "environment of each worker. It was changed by another program: begin a new study"
        )
    _check_interpolations(name, part)


def _check_interpolations(name: str, part: Any) -> None:
    for key, leaf in _leaves({name: part}):
        if _calls_resolver(leaf):
            raise ConfigError(
                f"the definition of the study contains {key}={leaf}, which calls a resolver. It was changed by another "
                "program: begin a new study"
            )


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every leaf of dicts and lists with its dotted name."""
    items: Sequence[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        yield name, value
    for key, item in items:
        yield from _leaves(item, f"{name}.{key}" if name else str(key))
