"""The space of a sweep: its dimensions, and one base configuration for each combination of config groups.

A `Space` is plain data, which can be sent to a worker process. Its configurations stay typed and unresolved, so that
values that are tied by interpolation stay tied in every trial. `src.space.planning` reads a space from the command
line.
"""

import contextlib
import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.cli.conversion import to_dataclass
from src.cli.mistakes import explain
from src.errors import ConfigError
from src.schema import Choice, Config, Dimension, Scalar

MAX_TRIALS = 10_000  # of a grid
Pick = Callable[[Dimension], Scalar]


@dataclass(frozen=True)
class Space:
    """The configurations that a sweep may try.

    Attributes:
        groups: the dimensions that are config groups, such as `model`.
        keys: the dimensions that are single keys; a key comes before the keys inside it.
        bases: the options of the groups, in their order -> the configuration that they compose to.
        default: the options of the groups in the configuration that is not swept.
        choices: the options of the groups -> the chosen option of every config group.
        typed: the names of all dimensions, in the order in which they were typed.
    """

    groups: tuple[Choice, ...]
    keys: tuple[Dimension, ...]
    bases: dict[tuple[Scalar, ...], DictConfig]
    default: tuple[Scalar, ...]
    choices: dict[tuple[Scalar, ...], dict[str, str]]
    typed: tuple[str, ...]

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        return (*self.groups, *self.keys)

    def draw(self, pick: Pick) -> Config:
        """Return a checked configuration. `pick` chooses each group, then each key that exists with those options.

        Raises:
            ConfigError: the configuration cannot be built, such as a kernel that is larger than its map.
        """
        composed = copy.deepcopy(self.bases[tuple(pick(group) for group in self.groups)])
        for key in self.keys:
            if has_key(composed, key.name):
                OmegaConf.update(composed, key.name, key.value(pick(key)))
        return build_config(composed)

    def draw_from(self, params: Mapping[str, Scalar]) -> Config:
        """Return the configuration with the parameters of a trial.

        Raises:
            ConfigError: the parameters are not from this space, or their configuration cannot be built.
        """
        used = set()

        def pick(dimension: Dimension) -> Scalar:
            if dimension.name not in params:
                raise ConfigError(f"{dimension.name}: the trial is from another search space, which does not have it")
            used.add(dimension.name)
            return params[dimension.name]

        config = self.draw(pick)
        if others := params.keys() - used:
            raise ConfigError(f"{', '.join(sorted(others))}: the trial is from another search space")
        return config

    def grid(self) -> list[dict[str, Scalar]]:
        """Return the parameters of every combination, in the order of the command line; the last name changes fastest.

        Raises:
            ConfigError: an interval has infinitely many values, or there are too many combinations.
        """
        for key in self.keys:
            if key.count() is None:
                raise ConfigError(
                    f"{key.name}: a grid cannot list all values of {key}; give range(START,STOP,STEP) or choice(...), "
                    "or search with hydra/sweeper=optuna"
                )
            if (key.count() or 0) > MAX_TRIALS:
                raise self._too_many
        combinations: list[dict[str, Scalar]] = [{}]
        for group in self.groups:
            combinations = [params | {group.name: name} for params in combinations for name in group.names]
        for key in self.keys:
            combinations = [longer for params in combinations for longer in self._with_key(params, key)]
            if len(combinations) > MAX_TRIALS:
                raise self._too_many
        options = {dimension.name: dimension.options() or () for dimension in self.dimensions}
        return sorted(
            combinations,
            key=lambda params: [options[name].index(params[name]) if name in params else -1 for name in self.typed],
        )

    @property
    def _too_many(self) -> ConfigError:
        return ConfigError(f"the grid has more than {MAX_TRIALS:,} combinations; search with hydra/sweeper=optuna")

    def _with_key(self, params: dict[str, Scalar], key: Dimension) -> list[dict[str, Scalar]]:
        config = copy.deepcopy(self.bases[tuple(params[group.name] for group in self.groups)])
        for earlier in self.keys:
            if earlier.name in params and key.name.startswith(f"{earlier.name}."):
                OmegaConf.update(config, earlier.name, earlier.value(params[earlier.name]))
        if not has_key(config, key.name):
            return [params]
        return [params | {key.name: option} for option in key.options() or ()]

    def defaults(self) -> dict[str, Scalar]:
        """Return the parameters that the configuration has without a sweep, as far as they are in the space."""
        composed = self.bases[self.default]
        params = dict(zip((group.name for group in self.groups), self.default, strict=True))
        for key in self.keys:
            if has_key(composed, key.name):
                value = OmegaConf.select(composed, key.name)
                option = _option_of(key, OmegaConf.to_container(value) if OmegaConf.is_config(value) else value)
                if option is not None:
                    params[key.name] = option[0]
        return params

    def options_of(self, params: Mapping[str, Scalar]) -> tuple[Scalar, ...]:
        """Return the options of the groups in these parameters: a key of `bases` and of `choices`."""
        return tuple(params[group.name] for group in self.groups if group.name in params)

    def configs(self) -> list[Config]:
        """Return the base configurations, except those that only a value of the space makes possible to run."""
        configs = []
        for composed in self.bases.values():
            with contextlib.suppress(ConfigError):
                configs.append(build_config(composed))
        return configs

    def trees(self, resolve: bool = True) -> dict[str, Any]:
        """Return the base configurations as nested dicts and lists, each by its label."""
        return {
            self.label(options): OmegaConf.to_container(config, resolve=resolve, throw_on_missing=False)
            for options, config in self.bases.items()
        }

    def is_swept(self, name: str) -> bool:
        """Return whether a key is a dimension, or is inside a key that is one."""
        return any(name == key.name or name.startswith(f"{key.name}.") for key in self.keys)

    def label(self, options: Sequence[Scalar]) -> str:
        """Return `model=lenot,optimizer=adam`; an empty string if no group is searched."""
        return ",".join(sorted(f"{group.name}={option}" for group, option in zip(self.groups, options, strict=True)))


def _option_of(key: Dimension, value: Any) -> tuple[Scalar] | None:
    if isinstance(key, Choice):
        return (key.names[key.values.index(value)],) if value in key.values else None
    return (value,) if key.holds(value) else None


def has_key(config: DictConfig, name: str) -> bool:
    """Return whether a configuration has this dotted key, even if its value is null or missing; any tag is a key."""
    path, _, last = name.rpartition(".")
    parent = OmegaConf.select(config, path) if path else config
    if isinstance(parent, ListConfig):
        return last.isdigit() and int(last) < len(parent)
    if not isinstance(parent, DictConfig):
        return False
    return last in parent.keys() or not OmegaConf.is_struct(parent)  # noqa: SIM118 - `in parent` is False for missing values


def build_config(composed: DictConfig) -> Config:
    """Return the dataclass of a composed configuration.

    Raises:
        ConfigError: it cannot be built, such as a kernel that is larger than its map.
    """
    try:
        config = to_dataclass(composed)
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error)) from error
    assert isinstance(config, Config)
    return config
