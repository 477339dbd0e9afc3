"""Planning of a sweep: Hydra's overrides become a space, checked against the composed configurations."""

import itertools
import re
from collections.abc import Mapping, Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from src.cli.choosing import choose_settings
from src.cli.compose import sweep_ready
from src.cli.conversion import to_dataclass
from src.cli.extensions import take_extensions
from src.cli.mistakes import explain
from src.cli.strings import quote_strings
from src.errors import ConfigError
from src.schema import (
    REGISTRY,
    RUN_GROUPS,
    Choice,
    Scalar,
    Suggestion,
    SweeperConfig,
)
from src.space.checks import check_key
from src.space.overrides import effective_overrides, read_dimension, read_group
from src.space.plan import SweepPlan, check_jobs, make_plan
from src.space.space import Space

LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
MAX_COMBINATIONS = 500  # of groups: each is composed before the sweep starts


def plan_line(overrides: Sequence[str]) -> SweepPlan:
    """Return the sweep that `python -m src.train -m <overrides>` runs.

    Raises:
        ConfigError: see `plan_sweep`.
    """
    try:
        with sweep_ready(take_extensions(overrides)) as line:
            return plan_sweep(*line)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error


def plan_sweep(loader: ConfigLoader, master: DictConfig, typed: Sequence[str]) -> SweepPlan:
    """Return the sweep that `hydra.sweeper` and the command line describe; the command line wins.

    Args:
        loader: Hydra's loader, which composes the configurations.
        master: the configuration that Hydra composed for the sweep as a whole.
        typed: the overrides of the command line, without those of `hydra`.

    Raises:
        ConfigError: a key that no configuration has, a value that does not fit, or a space in which nothing can run.
    """
    if master.get("resume") is not None:
        raise ConfigError(
            f"resume={master.resume}: it continues a single run, but -m or hparams_search begins a sweep; to continue "
            "the run, remove -m and hparams_search. To resume a sweep, run its own command again, without `resume`"
        )
    settings: SweeperConfig = to_dataclass(master.hydra.sweeper, "hydra.sweeper.")
    if not settings.engine.is_remote:
        check_jobs("hydra.sweeper.n_jobs", settings.n_jobs)
    launcher = master.hydra.launcher
    if not isinstance(launcher, DictConfig) or launcher.get("_target_") != LAUNCHER:
        raise ConfigError("hydra/launcher: the sweep starts its own processes; use hydra.sweeper.n_jobs=2")
    overrides = effective_overrides(loader, settings, typed)
    swept = {override.key_or_group: override for override in overrides if override.is_sweep_override()}
    fixed = {
        override.key_or_group: str(override.input_line) for override in overrides if override.key_or_group not in swept
    }
    _check_swept(swept)
    space = _compose_space(loader, master, swept, list(fixed.values()))
    if settings.sampler.is_exhaustive:
        space.grid()
    else:
        _check_test_split(space, swept, fixed)
        _set_unless_typed(space, fixed, "tracking.detail", "light")
    if "evaluate_test" not in swept:
        _set_unless_typed(space, fixed, "evaluate_test", False)
    search = str(master.hydra.runtime.choices.hparams_search)
    return make_plan(
        space,
        settings,
        name=settings.name if search == "grid" else search,
        line=(*typed, *(str(setting) for setting in master.hydra.overrides.hydra)),
    )


def _check_swept(swept: Mapping[str, Override]) -> None:
    """Raises ConfigError if nothing is swept, or if a setting of the whole sweep is."""
    if shared := [name for name in swept if re.match(r"(hydra|tracking)\b|hparams_search$", name)]:
        raise ConfigError(f"{shared[0]} belongs to the sweep as a whole and cannot differ between trials; choose one")
    for group in RUN_GROUPS:
        if (name := f"{group}.{REGISTRY[group].key}") in swept:
            raise ConfigError(f"{name} follows from the chosen {group}; sweep over the group instead: {group}=A,B")
    if not swept:
        raise ConfigError(
            "nothing to sweep over: give several values (seed=1,2,3), an interval, or hparams_search=NAME; "
            "a single run is python -m src.train without -m"
        )


def _check_test_split(space: Space, swept: Mapping[str, Override], fixed: Mapping[str, str]) -> None:
    """Raises ConfigError if a trial of a search would score the test split."""
    is_scored = any(base.evaluate_test for base in space.bases.values())
    if "evaluate_test" in swept or ("evaluate_test" in fixed and is_scored):
        raise ConfigError(
            "evaluate_test: the trials of a search are not scored on the test split; remove evaluate_test, "
            "and score the best trial afterwards: python -m src.evaluate run_id=RUN"
        )


def _compose_space(
    loader: ConfigLoader, master: DictConfig, swept: Mapping[str, Override], fixed: Sequence[str]
) -> Space:
    """Return the space of the swept names, each key and its values checked."""
    known = {name: _group_options(loader, master, name) for name in swept}
    groups = tuple(read_group(override, known[name]) for name, override in swept.items() if known[name])
    keys = [read_dimension(override) for name, override in swept.items() if not known[name]]
    # In the order of the command line, but each key before the keys inside it.
    keys.sort(key=lambda key: sum(key.name.startswith(f"{name}.") for name in swept))
    choices = master.hydra.runtime.choices
    default = tuple(
        choices.get(group.name) if choices.get(group.name) in group.names else group.names[0] for group in groups
    )
    bases, options = _compose_each(loader, master, groups, fixed)
    space = Space(groups, tuple(keys), bases, default, options, typed=tuple(swept))
    for key in space.keys:
        check_key(space, key)
    return space


def _group_options(loader: ConfigLoader, master: DictConfig, name: str) -> list[str]:
    """Return the options of a config group, also those in the user's own folders; none for a key."""
    overrides = OmegaConf.to_container(master.hydra.overrides.hydra)
    return loader.get_group_options(name, config_name=master.hydra.job.config_name, overrides=overrides)  # type: ignore[arg-type]


def _set_unless_typed(space: Space, fixed: Mapping[str, str], name: str, value: Scalar) -> None:
    if name not in fixed:
        for config in space.bases.values():
            OmegaConf.update(config, name, value)


# --- composed configurations ---------------------------------------------------------------------------------------


def _compose_each(
    loader: ConfigLoader, master: DictConfig, groups: Sequence[Choice], fixed: Sequence[str]
) -> tuple[dict[tuple[Scalar, ...], DictConfig], dict[tuple[Scalar, ...], dict[str, str]]]:
    """Return the configuration of each combination of the groups' options, and its option of every config group."""
    combinations = list(itertools.product(*(group.names for group in groups)))
    if len(combinations) > MAX_COMBINATIONS:
        raise ConfigError(
            f"the groups {', '.join(group.name for group in groups)} have {len(combinations):,} combinations, "
            f"but a sweep accepts at most {MAX_COMBINATIONS}; search fewer options at once"
        )
    bases: dict[tuple[Scalar, ...], DictConfig] = {}
    choices: dict[tuple[Scalar, ...], dict[str, str]] = {}
    known: dict[str, Suggestion] = {}
    for options in combinations:
        chosen = [f"{group.name}={option}" for group, option in zip(groups, options, strict=True)]
        try:
            config = loader.load_sweep_config(master, [*fixed, *quote_strings("train", chosen)])
        except (HydraException, OmegaConfBaseException) as error:
            place = f"with {' '.join(chosen)}: " if chosen else ""
            raise ConfigError(f"{place}{explain(error)}") from error
        choose_settings(config, known)
        choices[options] = dict(config.hydra.runtime.choices)
        with open_dict(config):
            del config["hydra"]
        bases[options] = config
    return bases, choices
