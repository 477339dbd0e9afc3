"""The plan of a sweep: its space and its settings, checked, and what follows from them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from src.errors import ConfigError
from src.process.machine import cores
from src.schema import (
    COSTS,
    VALIDATION,
    Config,
    DatasetConfig,
    Dimension,
    Direction,
    Objective,
    Scalar,
    SweeperConfig,
    TrackingConfig,
    check_shared,
    direction_of,
    objective_of,
    recorded_metrics,
    require,
)
from src.space.space import Space, build_config

MAX_JOBS_PER_CORE = 4  # more worker processes would only wait for each other


@dataclass(frozen=True)
class SweepPlan:
    """A checked sweep.

    Attributes:
        space: the configurations to try.
        settings: `hydra.sweeper`.
        name: the name of the search, or of the sweeper if the space was typed.
        metric: the metric that selects the best epoch of each trial; it also compares the trials if nothing else does.
        objectives: what compares the trials: the metric, or those of `hydra.sweeper.objectives`.
        line: the overrides of the command line.
        example: a configuration of the space that can be run.
    """

    space: Space
    settings: SweeperConfig
    name: str
    metric: str
    objectives: tuple[Objective, ...]
    line: tuple[str, ...]
    example: Config

    @property
    def direction(self) -> Direction:
        """The direction of the first objective, `maximize` or `minimize`."""
        return self.objectives[0].direction

    @property
    def has_front(self) -> bool:
        """True with several objectives, so that there is a front instead of a best trial."""
        return len(self.objectives) > 1

    @property
    def tracking(self) -> TrackingConfig:
        """The tracking settings, which all trials have in common."""
        return self.example.tracking

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags that all trials have in common."""
        swept = {dimension.name for dimension in self.space.dimensions}
        return {name: value for name, value in self.example.tags.items() if f"tags.{name}" not in swept}

    @functools.cached_property
    def datasets(self) -> tuple[DatasetConfig, ...]:
        """The data sets of the space, each once."""
        configs = (self.example, *self.space.configs())
        return tuple({repr(config.dataset): config.dataset for config in configs}.values())

    @property
    def is_grid(self) -> bool:
        """True if every combination is tried, and the sampler is never asked."""
        return self.settings.sampler.is_exhaustive

    def first_trials(self) -> list[dict[str, Scalar]]:
        """Return the parameters that are tried before the sampler is asked: a grid, or the configuration's own."""
        if self.is_grid:
            return self.space.grid()
        return [self.space.defaults()] if self.settings.enqueue_default else []

    def count_trials(self, queue: Sequence[Mapping[str, Scalar]]) -> int:
        """Return how many trials the study has in the end: the number that was set, but no more than a grid has.

        Args:
            queue: the first trials.
        """
        limit = len(queue) if self.is_grid else sys.maxsize
        return min(self.settings.n_trials or limit, limit)


def check_jobs(name: str, n_jobs: int) -> None:
    """Raise ConfigError if this machine has too few cores for this many workers.

    Args:
        name: of the setting or the flag.
        n_jobs: how many workers were ordered.
    """
    limit = MAX_JOBS_PER_CORE * cores()
    require(n_jobs <= limit, name, n_jobs, f"at most {limit} on the {cores()} cores here")


def make_plan(space: Space, settings: SweeperConfig, name: str, line: Sequence[str] = ()) -> SweepPlan:
    """Return the checked plan of a sweep.

    Args:
        space: the configurations to try.
        settings: `hydra.sweeper`.
        name: the name of the search, or of the sweeper if the space was typed.
        line: the overrides of the command line.

    Raises:
        ConfigError: no configuration of the space can be run, or its trials cannot be compared.
    """
    example = _find_runnable(space)
    if settings.engine.is_remote and example.tracking.enabled:
        check_shared("tracking.uri", example.tracking.uri, settings.engine.name)
    metric = _metric(space, settings)
    return SweepPlan(
        space=space,
        settings=settings,
        name=name,
        metric=metric,
        objectives=_objectives(space, settings, metric),
        line=tuple(line),
        example=example,
    )


def _metric(space: Space, settings: SweeperConfig) -> str:
    """Return the metric that compares the trials."""
    if any(key.name in ("training.monitor", "dataset.validation_size") for key in space.keys):
        raise ConfigError("training.monitor and dataset.validation_size cannot be swept: trials must be comparable")
    if swept := [key.name for key in space.keys if key.name in ("dataset.folds", "dataset.fold", "dataset.fold_seed")]:
        raise ConfigError(
            f"{swept[0]} cannot be swept: trials must be comparable; train every fold with "
            "python -m pipelines.cross_validate"
        )
    monitors = {str(base.training.monitor) for base in space.bases.values()}
    if len(monitors) > 1:
        raise ConfigError(f"training.monitor differs between the options: {', '.join(sorted(monitors))}; set one")
    without = [space.label(options) for options, base in space.bases.items() if base.dataset.validation_size == 0]
    if not without:
        return monitors.pop()
    if len(without) < len(space.bases):
        raise ConfigError(
            f"{', '.join(without)}: no validation split, so these cannot be compared with the others; "
            "set dataset.validation_size for all"
        )
    if settings.sampler.is_exhaustive:
        return "accuracy"  # of the training images: the only metric that all runs have
    raise ConfigError(
        "dataset.validation_size=0: a search compares trials by their validation split; "
        "set dataset.validation_size above 0, or run a plain grid"
    )


def _objectives(space: Space, settings: SweeperConfig, metric: str) -> tuple[Objective, ...]:
    """Return what compares the trials: the metric alone, or several objectives, all of which they record."""
    if not settings.objectives:
        return (Objective(metric, _direction(settings, metric)),)
    if any(key.name.partition(".metrics")[0] == "training" for key in space.keys):
        raise ConfigError("training.metrics cannot be swept with hydra.sweeper.objectives; set it to one list")
    for base in space.trees().values():
        _check_recorded(settings.objectives, base)
    return tuple(objective_of(name) for name in settings.objectives)


def _check_recorded(names: Sequence[str], base: Mapping[str, Any]) -> None:
    """Raise ConfigError unless a trial with this configuration has a value of each objective."""
    for name in names:
        if name in COSTS:
            continue
        metric, chosen = name.removeprefix(VALIDATION), base["training"]["metrics"]
        if name.startswith(VALIDATION) and base["dataset"]["validation_size"] == 0:
            raise ConfigError(
                f"hydra.sweeper.objectives: dataset.validation_size=0 leaves no images for {name}; set "
                "dataset.validation_size above 0"
            )
        if metric not in recorded_metrics(chosen, base["training"]["monitor"]):
            raise ConfigError(
                f"hydra.sweeper.objectives: the trials do not record {name}; set "
                f"'training.metrics=[{','.join([*chosen, metric])}]'"
            )


def _direction(settings: SweeperConfig, metric: str) -> Direction:
    natural = direction_of(metric)
    if settings.direction not in (None, natural):
        raise ConfigError(
            f"hydra.sweeper.direction={settings.direction} contradicts training.monitor={metric}, "
            f"which a sweep must {natural}; remove `hydra.sweeper.direction={settings.direction}`"
        )
    return natural


def _find_runnable(space: Space) -> Config:
    """Return a configuration that can be run: a base configuration, or one from the space.

    Raises:
        ConfigError: there is none; the error is that of the first base configuration.
    """
    problems: list[ConfigError] = []
    count = max((len(key.samples()) for key in space.keys), default=0)
    for options, composed in space.bases.items():
        params = dict(zip((group.name for group in space.groups), options, strict=True))
        for index in (None, *range(count)):
            try:
                return build_config(composed) if index is None else _draw_sample(space, params, index)
            except ConfigError as error:
                problems.append(error)
    raise problems[0]


def _draw_sample(space: Space, params: Mapping[str, Scalar], index: int) -> Config:
    """Return the configuration with these groups' options, and with the sample of this index of each key."""

    def pick(key: Dimension) -> Scalar:
        samples = key.samples()
        return params[key.name] if key.name in params else samples[index % len(samples)]

    return space.draw(pick)
