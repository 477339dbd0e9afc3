"""The paths and addresses of a sweep. Its definition has those that are searched; each worker has its own others."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.cli.compose import compose
from src.cli.mistakes import explain
from src.errors import ConfigError
from src.schema import PLACE, REQUEST, RUN_GROUPS, Config, kind_of
from src.space.plan import SweepPlan

Tree = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Places:
    """The paths and addresses of a worker.

    Attributes:
        storage: the address of the study's storage.
        bases: for each base configuration of the definition, the paths and addresses of each of its sections.
    """

    storage: str
    bases: Sequence[Mapping[str, Tree]]


def places_of(plan: SweepPlan) -> Places:
    """Return the paths and addresses of a sweep."""
    return Places(plan.settings.storage, [_places_in(base) for base in plan.space.bases.values()])


def typed_places(plan: SweepPlan) -> list[str]:
    """Return the paths that were typed for a sweep, such as `dataset.data_dir=/mnt/data`; no addresses of stores."""
    keys = {key for key in _place_names(plan) if not key.startswith("tracking.")}
    return [typed for typed in plan.line if typed.lstrip("+").partition("=")[0] in keys]


def searched_places(plan: SweepPlan) -> list[str]:
    """Return the keys of paths and addresses that are searched, so that the definition contains them."""
    return sorted({dimension.name for dimension in plan.space.dimensions} & _place_names(plan))


def _place_names(plan: SweepPlan) -> set[str]:
    """Return the dotted names of all paths and addresses of a sweep's configurations."""
    parts = [(name, base[name]) for base in plan.space.bases.values() for name in RUN_GROUPS]
    return {f"{name}.{key}" for name, part in parts for key in place_keys(name, part)}


def own_places(definition: Any, storage: str, overrides: Sequence[str]) -> Places:
    """Return the paths and addresses that this machine has for a sweep: those of conf/, of conf/local, and typed ones.

    Args:
        definition: of the sweep.
        storage: the address of the study's storage.
        overrides: what was typed, such as `dataset.data_dir=/mnt/data`.

    Raises:
        ConfigError: it is not a definition, an option of the sweep is not in conf/, or something was typed that is
            neither a path nor an address.
    """
    try:
        chosen = [[f"{group}={base['choices'][group]}" for group in RUN_GROUPS] for base in definition["bases"]]
        composed = [compose("train", [*options, *overrides]) for options in chosen]
    except (KeyError, TypeError) as error:
        raise ConfigError(f"the definition of the study is damaged ({type(error).__name__}: {error})") from error
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error
    for typed in overrides:
        group, _, key = typed.lstrip("+").partition("=")[0].partition(".")
        if not any(key in place_keys(group, base[group]) for base in composed if group in RUN_GROUPS):
            raise ConfigError(
                f"{typed}: the study decides this setting; remove `{typed}`. Only paths and addresses can be typed here"
            )
    return Places(storage, [_places_in(base) for base in composed])


def parts_of(base: DictConfig) -> Tree:
    """Return the sections of a base configuration as they were written, without requests."""
    requests = {field.name for field in dataclasses.fields(Config) if REQUEST.items() <= field.metadata.items()}
    tree = OmegaConf.to_container(base, resolve=False, throw_on_missing=False)
    assert isinstance(tree, dict)
    return {str(name): part for name, part in tree.items() if name not in requests}


def _places_in(base: DictConfig) -> dict[str, Tree]:
    return {name: split_section(name, part)[1] for name, part in parts_of(base).items() if name in RUN_GROUPS}


def split_section(name: str, part: Any) -> tuple[Any, Tree]:
    """Return a section in two parts: without its paths and addresses, and only those."""
    if name not in RUN_GROUPS:
        return part, {}
    places = place_keys(name, part)
    return (
        {key: value for key, value in part.items() if key not in places},
        {key: value for key, value in part.items() if key in places},
    )


def place_keys(name: str, part: Mapping[str, Any]) -> set[str]:
    """Return the keys of a section that are paths or addresses."""
    fields = dataclasses.fields(kind_of(name, part))
    return {field.name for field in fields if PLACE.items() <= field.metadata.items()}
