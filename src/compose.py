"""Between Hydra and the dataclasses: composing a configuration, reading one back, and making a command of a function.

`entry_point` makes a command of a function that takes a dataclass. Hydra parses the command line and composes; the
function runs after Hydra has let go, so that errors, signals and exit codes are ours.
"""

import contextlib
import dataclasses
import io
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, cast

import hydra
from hydra._internal.callbacks import Callbacks
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from src import schema
from src.errors import ConfigError, UserError
from src.explain import did_you_mean, explain
from src.interrupt import Interrupted, raise_on_signals
from src.redact import hide, redact

CONF = Path(__file__).resolve().parent.parent / "conf"
PUBLIC_VARIABLES = {"DATA_DIR", "MLFLOW_TRACKING_URI", "HOME", "USER"}
_ENV_REFERENCE = re.compile(r"\$\{oc\.env:\s*['\"]?(\w+)")


def register_schemas() -> None:
    """Makes the dataclasses known to Hydra under `schema/`, beside the real options and not among them."""
    store = ConfigStore.instance()
    for name, node in schema.PRIMARY.items():
        root = OmegaConf.structured(node)
        if "tags" in root:
            OmegaConf.set_struct(root.tags, False)  # so that tags.owner=ada needs no plus sign
        store.store(group="schema", name=name, node=root)
    for group, kinds in (schema.SCHEMAS | schema.SWEEPER_SCHEMAS).items():
        for name, node in kinds.items():
            store.store(group=f"schema/{group}", name=name, node=node)


register_schemas()


# --- composing ---------------------------------------------------------------------------------------------------


def compose_config(overrides: Sequence[str] = (), config_name: str = "train") -> Any:
    """The dataclass that `python -m src.<config_name> <overrides>` would work on.

    Args:
        overrides: what would be typed on the command line, such as `["model=lenot", "training.epochs=2"]`.
        config_name: the entry point's primary config, a file of `conf/`.

    Raises:
        ConfigError: a name or a value that does not exist or fit.
    """
    try:
        return to_dataclass(_compose(config_name, overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error


def compose_tree(overrides: Sequence[str]) -> dict[str, Any]:
    """What the overrides compose to as nested dicts and lists, unchecked, and without this machine's own settings."""
    tree = OmegaConf.to_container(_compose("train", ["~local", *overrides]), resolve=True)
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def _compose(config_name: str, overrides: Sequence[str], with_hydra: bool = False) -> DictConfig:
    with _hydra_ready(overrides):
        return hydra.compose(config_name, list(overrides), return_hydra_config=with_hydra)


@contextlib.contextmanager
def _hydra_ready(overrides: Sequence[str]) -> Iterator[None]:
    """Hydra, set up for `conf/`; an option that is null, which makes it raise a bare ValueError, gets a sentence."""
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            yield
        except ValueError as error:
            if found := re.match(r"invalid literal for int\(\) with base 10: (.*)", str(error)):
                raise ConfigError(
                    f"got {found[1]} where an item of a list is named; they are counted from 0: model.conv.0.filters"
                ) from error
            if isinstance(error, UserError) or "Config group override" not in str(error):
                raise
            nulls = [typed.partition("=")[0] for typed in overrides if typed.endswith("=null")]
            raise ConfigError(f"no {' or '.join(nulls)} 'null': choose an option, or leave it out") from error


def config_from_dict(resolved: dict[str, Any]) -> schema.Config:
    """The config whose resolved values are given, as a run keeps them in `config/config.yaml`.

    Raises:
        ConfigError: a key that no config has, a value of another type, or a kind of model, data set or optimizer that
            does not exist.
    """
    base = OmegaConf.structured(schema.Config)
    try:
        for group in schema.SCHEMAS:
            node = resolved.get(group) or {}
            schema.require(isinstance(node, dict), group, node, "a mapping")
            kind = node.get(schema.DISCRIMINATORS[group]) if group in schema.DISCRIMINATORS else group
            base[group] = OmegaConf.structured(_kind(group, kind))
        return cast(schema.Config, to_dataclass(OmegaConf.merge(base, _literal(resolved))))
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error)) from error


def _literal(value: Any) -> Any:
    """The same tree in which no text is an interpolation: a stored config reads nothing of this machine."""
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", value)
    return value


def to_dataclass(composed: DictConfig | ListConfig) -> Any:
    """The composed configuration as checked dataclasses; values from the environment are noted as secrets."""
    for name in _ENV_REFERENCE.findall(OmegaConf.to_yaml(composed)):
        if name not in PUBLIC_VARIABLES:
            hide(os.environ.get(name, ""))
    config = OmegaConf.to_object(composed)
    _refuse_unknown(config, "")
    return config


def _refuse_unknown(value: Any, prefix: str) -> None:
    """Raises ConfigError for a key that a plus sign brought in, and for a kind that its group does not have."""
    if not dataclasses.is_dataclass(value):
        return
    known = sorted(field.name for field in dataclasses.fields(value))
    for key, item in vars(value).items():
        if key not in known:
            raise ConfigError(f"no key {prefix + key!r}{did_you_mean(key, known)}")
        if not prefix and (name := schema.DISCRIMINATORS.get(key)):
            _kind(key, getattr(item, name))
        for index, inner in enumerate(item) if isinstance(item, list) else ():
            _refuse_unknown(inner, f"{prefix}{key}.{index}.")
        _refuse_unknown(item, f"{prefix}{key}.")


def _kind(group: str, kind: object) -> type:
    kinds = schema.SCHEMAS[group]
    if kind not in tuple(kinds):
        raise ConfigError(f"{group}: no kind {kind!r}; known: {', '.join(kinds)}")
    return kinds[kind]


# --- commands ----------------------------------------------------------------------------------------------------


def entry_point(config_name: str) -> Callable[[Callable[[Any, list[str]], None]], Callable[[], None]]:
    """Makes a command of a function `(config, overrides)`: `overrides` is what was typed.

    Exit codes: 0, 1 for a run that failed, 2 for a configuration that cannot be, 130 and 143 for Ctrl-C and SIGTERM.
    """

    def decorate(work: Callable[[Any, list[str]], None]) -> Callable[[], None]:
        @wraps(work)
        def command() -> None:
            wants_trace = os.environ.get("HYDRA_FULL_ERROR") == "1"
            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting by itself
            raise_on_signals()
            try:
                if (typed := _from_command_line(config_name)) is not None:
                    work(*typed)
            except Interrupted as stop:
                _leave(str(stop), stop.exit_code)
            except BrokenPipeError:  # whoever read what is printed has gone: `... | head`
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                sys.exit(UserError.exit_code)
            except (UserError, HydraException, OmegaConfBaseException) as error:
                if wants_trace:
                    raise
                _leave(f"error: {explain(error)}", getattr(error, "exit_code", ConfigError.exit_code))

        return command

    return decorate


def _from_command_line(config_name: str) -> tuple[Any, list[str]] | None:
    """What was typed, as a dataclass; None when Hydra answered by itself, or the sweeper has done the work.

    Overrides alone are composed here, once. `hydra.main` composes twice, which would make each answer take half as long
    again; it gets what only it can do (`--help`, `--cfg`, ...).
    """
    flags = {argument.partition("=")[0] for argument in sys.argv[1:] if argument.startswith("-")}
    if other := flags & {"-cn", "--config-name", "-cp", "--config-path"}:
        raise ConfigError(f"{other.pop()}: each command has its own configuration; this one's is {config_name}")
    multirun = bool(flags & {"-m", "--multirun"})
    if multirun and flags & {"-c", "--cfg"}:
        raise ConfigError("-m and --cfg do not go together: leave out -m to see the configuration")
    if flags - {"-m", "--multirun"}:
        with _without_schema_groups() if flags & {"-h", "--help"} else contextlib.nullcontext():
            return _through_hydra(config_name)
    overrides = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if not multirun:
        composed = _compose_once(config_name, overrides)
        if composed.hydra.mode != RunMode.MULTIRUN:
            with open_dict(composed):
                del composed["hydra"]
            return to_dataclass(composed), overrides
    _sweep(config_name, overrides)
    return None


def _through_hydra(config_name: str) -> tuple[Any, list[str]] | None:
    """What `hydra.main` makes of a command line with flags; None when it answered by itself."""
    composed: list[tuple[DictConfig, list[str]]] = []

    @hydra.main(config_path=str(CONF), config_name=config_name, version_base="1.3")
    def keep(config: DictConfig) -> None:
        composed.append((config, list(HydraConfig.get().overrides.task)))

    keep()
    return (to_dataclass(composed[0][0]), composed[0][1]) if composed else None


def _compose_once(config_name: str, overrides: list[str]) -> DictConfig:
    """The configuration with Hydra's own settings, which say whether it is one of a sweep by itself.

    Only what is not swept is composed, so that a mistake in it is answered and not that there is something to sweep.
    """
    fixed = overrides
    if _may_sweep(overrides):
        parsed = OverridesParser.create().parse_overrides(overrides)
        fixed = [str(override.input_line) for override in parsed if not override.is_sweep_override()]
    composed = _compose(config_name, fixed, with_hydra=True)
    if len(fixed) < len(overrides) and composed.hydra.mode != RunMode.MULTIRUN:
        _compose(config_name, overrides)  # raises: there are several values, and nothing to tell that they are a sweep
    return composed


def _may_sweep(overrides: Sequence[str]) -> bool:
    """Whether a look at the text cannot rule out that there are several values; parsing takes longer."""
    return any("," in override or "(" in override for override in overrides)


def _sweep(config_name: str, overrides: list[str]) -> None:
    """Hands over to the sweeper that `hydra/sweeper` names."""
    if config_name != "train":
        raise ConfigError(f"-m: only src.train sweeps; call python -m src.{config_name} once for each")

    if "hydra/sweeper=basic" in overrides:
        raise ConfigError("hydra/sweeper=basic runs no tracked sweep; use hydra/sweeper=grid, or optuna")

    parsed = OverridesParser.create().parse_overrides(overrides)
    fixed = [str(override.input_line) for override in parsed if not override.is_sweep_override()]
    with _hydra_ready(overrides):
        loader = GlobalHydra.instance().config_loader()
        firsts = [
            f"{override.key_or_group}={next(iter(override.sweep_string_iterator()))}"
            for override in parsed
            if override.is_choice_sweep()
            and not isinstance(override.value(), Glob)
            and loader.get_group_options(override.key_or_group)
        ]
        try:
            master = loader.load_configuration(config_name, fixed, RunMode.MULTIRUN)
        except (HydraException, OmegaConfBaseException):
            if not firsts:
                raise
            # A fixed key may belong to the options that are searched, and not to the default one.
            master = loader.load_configuration(config_name, fixed + firsts, RunMode.MULTIRUN)
        sweeper = Plugins.instance().instantiate_sweeper(
            config=master,
            hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks()),
            task_function=lambda _: None,
        )
        sweeper.sweep([str(override.input_line) for override in parsed if not override.is_hydra_override()])


@contextlib.contextmanager
def _without_schema_groups() -> Iterator[None]:
    """Leaves the schemas out of the groups that `--help` lists: nobody chooses one."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        print(re.sub(r"^schema(/\w+)?: .*\n", "", printed.getvalue(), flags=re.MULTILINE), end="", flush=True)


def _leave(message: str, exit_code: int) -> NoReturn:
    print(redact(message), file=sys.stderr)
    sys.exit(exit_code)
