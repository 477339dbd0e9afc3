"""What a sweep searches: dimensions, and one base configuration per combination of config groups.

A `Space` is plain data that a worker process can be handed. Its configurations stay typed and unresolved, so that what
is tied by interpolation stays tied in every trial. `src.space.planning` makes one from what was typed.
"""

import contextlib
import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.cli.compose import to_dataclass
from src.cli.mistakes import explain
from src.errors import ConfigError
from src.schema import Choice, Config, Dimension, Scalar, SweeperConfig

MOST_TRIALS = 10_000  # of a grid
Pick = Callable[[Dimension], Scalar]


@dataclass(frozen=True)
class Space:
    """Which configurations there are to try.

    Attributes:
        groups: config groups that are chosen from, such as `model`.
        keys: dimensions of single keys, parents before what lies in them.
        bases: the options of the groups, in their order -> the configuration that they compose to.
        default: the options that are chosen where nothing is searched.
        choices: the options of the groups -> the chosen option of every group there is.
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

    def draw(self, pick: Pick) -> DictConfig:
        """One configuration: `pick` is asked for each group, then for each key that exists with what was chosen."""
        config = copy.deepcopy(self.bases[tuple(pick(group) for group in self.groups)])
        for key in self.keys:
            if has_key(config, key.name):
                OmegaConf.update(config, key.name, key.value(pick(key)))
        return config

    def draw_from(self, params: Mapping[str, Scalar]) -> DictConfig:
        """The configuration with these parameters, as a trial keeps them.

        Raises:
            ConfigError: they are not parameters of this space.
        """
        drawn = set()

        def pick(dimension: Dimension) -> Scalar:
            if dimension.name not in params:
                raise ConfigError(f"{dimension.name}: the trial was drawn from another space, which lacks it")
            drawn.add(dimension.name)
            return params[dimension.name]

        config = self.draw(pick)
        if others := params.keys() - drawn:
            raise ConfigError(f"{', '.join(sorted(others))}: the trial was drawn from another space")
        return config

    def grid(self) -> list[dict[str, Scalar]]:
        """The parameters of every combination, in the order in which they were typed, the last name changing fastest.

        Raises:
            ConfigError: an interval has no end of values, or there are too many combinations.
        """
        for key in self.keys:
            if key.count() is None:
                raise ConfigError(
                    f"{key.name}: a grid cannot go through {key}; give range(START,STOP,STEP) or choice(...), "
                    "or search with hydra/sweeper=optuna"
                )
            if (key.count() or 0) > MOST_TRIALS:
                raise self._too_many
        found: list[dict[str, Scalar]] = [{}]
        for group in self.groups:
            found = [params | {group.name: name} for params in found for name in group.names]
        for key in self.keys:
            found = [more for params in found for more in self._with_key(params, key)]
            if len(found) > MOST_TRIALS:
                raise self._too_many
        places = {dimension.name: dimension.options() or () for dimension in self.dimensions}
        return sorted(
            found,
            key=lambda params: [places[name].index(params[name]) if name in params else -1 for name in self.typed],
        )

    @property
    def _too_many(self) -> ConfigError:
        return ConfigError(f"the grid has more than {MOST_TRIALS:,} combinations; search with hydra/sweeper=optuna")

    def _with_key(self, params: dict[str, Scalar], key: Dimension) -> list[dict[str, Scalar]]:
        config = copy.deepcopy(self.bases[tuple(params[group.name] for group in self.groups)])
        for earlier in self.keys:
            if earlier.name in params and key.name.startswith(f"{earlier.name}."):
                OmegaConf.update(config, earlier.name, earlier.value(params[earlier.name]))
        if not has_key(config, key.name):
            return [params]
        return [params | {key.name: option} for option in key.options() or ()]

    def defaults(self) -> dict[str, Scalar]:
        """The parameters that the configuration itself has, where they lie in the space."""
        config = self.bases[self.default]
        found = dict(zip((group.name for group in self.groups), self.default, strict=True))
        for key in self.keys:
            if has_key(config, key.name):
                value = OmegaConf.select(config, key.name)
                name = _option_of(key, OmegaConf.to_container(value) if OmegaConf.is_config(value) else value)
                if name is not None:
                    found[key.name] = name[0]
        return found

    def options_of(self, params: Mapping[str, Scalar]) -> tuple[Scalar, ...]:
        """The options of the groups that these parameters have, the key of `bases` and `choices`."""
        return tuple(params[group.name] for group in self.groups if group.name in params)

    def configs(self) -> list[Config]:
        """The configurations as composed, those left out that cannot be run as they are."""
        found = []
        for config in self.bases.values():
            with contextlib.suppress(ConfigError):
                found.append(config_of(config))
        return found

    def trees(self, resolve: bool = True) -> dict[str, Any]:
        """The label of each combination of groups -> what it composes to, as nested dicts and lists."""
        return {
            self.label(options): OmegaConf.to_container(config, resolve=resolve, throw_on_missing=False)
            for options, config in self.bases.items()
        }

    def label(self, options: Sequence[Scalar]) -> str:
        """`model=lenot,optimizer=adam`, empty where no group is searched."""
        return ",".join(sorted(f"{group.name}={option}" for group, option in zip(self.groups, options, strict=True)))


def _option_of(key: Dimension, value: Any) -> tuple[Scalar] | None:
    if isinstance(key, Choice):
        return (key.names[key.values.index(value)],) if value in key.values else None
    return (value,) if key.holds(value) else None


def has_key(config: DictConfig, name: str) -> bool:
    """Whether the dotted name leads to a value, null and values that are still missing included, or to a new tag."""
    path, _, last = name.rpartition(".")
    parent = OmegaConf.select(config, path) if path else config
    if isinstance(parent, ListConfig):
        return last.isdigit() and int(last) < len(parent)
    if not isinstance(parent, DictConfig):
        return False
    return last in parent.keys() or not OmegaConf.is_struct(parent)  # noqa: SIM118 - `in parent` leaves out missing values


@dataclass(frozen=True)
class SweepPlan:
    """A sweep that was found to make sense.

    Attributes:
        space: which configurations there are to try.
        settings: `hydra.sweeper`.
        name: the search's, or the sweeper's for a space that was typed.
        metric: what the trials are compared by, at the best epoch of each.
        direction: `maximize` or `minimize`.
        line: what was typed.
        example: a configuration of the space that can be run; what all of them have in common can be read from it.
    """

    space: Space
    settings: SweeperConfig
    name: str
    metric: str
    direction: Literal["maximize", "minimize"]
    line: tuple[str, ...]
    example: Config


def config_of(drawn: DictConfig) -> Config:
    """The dataclass of a drawn configuration.

    Raises:
        ConfigError: it cannot be built, such as a kernel that is larger than its map.
    """
    try:
        config = to_dataclass(drawn)
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error)) from error
    assert isinstance(config, Config)
    return config
