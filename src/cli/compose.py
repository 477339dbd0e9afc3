"""Compose a configuration with Hydra."""

import contextlib
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, Node, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.cli.choosing import choose_batch_size
from src.cli.conf import CONF as CONF  # others know it from here
from src.cli.conf import is_group, options_of
from src.cli.conversion import to_dataclass
from src.cli.extensions import take_extensions
from src.cli.files import ConfFiles, use_conf_files
from src.cli.mistakes import did_you_mean, explain, has_no_value, nothing_after
from src.cli.reusing import reuse_configs
from src.cli.strings import quote_strings
from src.errors import ConfigError, UserError
from src.places import read_variable, tidy_environment
from src.redact import PUBLIC_VARIABLES, hide

use_conf_files()
reuse_configs()
_UNSET = object()


def _environment(name: str = "", default: Any = _UNSET) -> str | None:
    """Resolve `${oc.env:NAME,DEFAULT}`; an empty variable counts as unset."""
    if not name:
        raise ConfigError("${oc.env:} names no environment variable; write ${oc.env:NAME}, or ${oc.env:NAME,DEFAULT}")
    if (value := read_variable(name)) is not None:
        if name not in PUBLIC_VARIABLES:
            hide(value)
        return value
    if default is _UNSET:
        raise KeyError(f"Environment variable '{name}' not found")
    return None if default is None else str(default)


OmegaConf.register_new_resolver("oc.env", _environment, replace=True)
warnings.filterwarnings("ignore", "In the sequence .* some elements are missing")  # ${oc.env:NAME,}: "" is the default


def compose_config(overrides: Sequence[str] = (), config_name: str = "train") -> Any:
    """Return the dataclass that `python -m src.<config_name> <overrides>` would work on.

    Args:
        overrides: what would be typed on the command line, such as `["model=lenot", "training.epochs=2"]`.
        config_name: the entry point's primary config, a file of `conf/`.

    Raises:
        ConfigError: a name or a value that does not exist or fit.
    """
    try:
        return to_dataclass(compose(config_name, take_extensions(overrides)))
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error


def compose_tree(overrides: Sequence[str]) -> dict[str, Any]:
    """Return what the overrides compose to as nested dicts and lists, unchecked, without this machine's settings.

    Settings that are chosen from the images stay null.
    """
    composed = compose("train", ["~local", *overrides])
    choose_batch_size(composed)
    tree = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def compose(config_name: str, overrides: Sequence[str], with_hydra: bool = False) -> DictConfig:
    """Return what Hydra composes; values of string keys stay as they were typed."""
    refuse_empty_overrides(config_name, overrides)
    overrides = quote_strings(config_name, overrides)
    with hydra_ready(overrides):
        return hydra.compose(config_name, list(overrides), return_hydra_config=with_hydra)


@contextlib.contextmanager
def hydra_ready(overrides: Sequence[str]) -> Iterator[None]:
    """Set up Hydra for `conf/` as long as the block lasts."""
    tidy_environment()  # a notebook may have changed it
    _check_local(overrides)
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"), sentences(overrides):
        yield


def _check_local(overrides: Sequence[str]) -> None:
    """Raise ConfigError for a `local=NAME` that does not exist; Hydra takes it for optional, as the default is."""
    if any("searchpath" in typed for typed in overrides):
        return  # there may be others
    known = options_of("local")
    for typed in overrides:
        found = re.fullmatch(r"local=([\w-]+)", typed)
        if found and found[1] not in (*known, "default", "null"):
            raise ConfigError(f"no local {found[1]!r}{did_you_mean(found[1], known)}")


def refuse_empty_overrides(config_name: str, overrides: Sequence[str]) -> None:
    """Raise ConfigError for a key or a group with nothing after its equals sign, and for an equals sign without a key.

    A tag may be empty.
    """
    if keyless := [typed for typed in overrides if re.match(r"[+~]*\s*=", typed)]:
        raise ConfigError(f"cannot read {keyless[0]!r}: there is no key before the =; write KEY=VALUE or GROUP=OPTION")
    empty = [typed for typed in overrides if has_no_value(typed) and not typed.lstrip("+").startswith("tags.")]
    if not empty:
        return
    key = empty[0].lstrip("+~").partition("=")[0]
    if is_group(key):
        known = ", ".join(options_of(key))
        raise ConfigError(f"{key}: got nothing after the =; give an option, or remove `{key}=`; known: {known}")
    others = [typed for typed in overrides if typed not in empty and not re.search(r"[,(]", typed)]
    node = None
    with contextlib.suppress(HydraException, OmegaConfBaseException, UserError):
        node = node_of(compose(config_name, others, with_hydra=True), key)
    raise ConfigError(nothing_after(key, node))


def node_of(config: DictConfig, name: str) -> Node | None:
    """Return the node with a dotted name, None where there is none."""
    path, _, last = name.rpartition(".")
    parent = OmegaConf.select(config, path) if path else config
    return parent._get_node(last) if isinstance(parent, DictConfig) else None


@contextlib.contextmanager
def sentences(overrides: Sequence[str]) -> Iterator[None]:
    """Turn bare Python errors and warnings of Hydra into sentences."""
    ConfFiles.read.clear()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "provider=hydra.searchpath")
            yield
    except RecursionError as error:
        raise ConfigError("a defaults list in conf/ includes its own file; remove that entry") from error
    except UserWarning as error:
        if found := re.match(r"provider=hydra.searchpath.*, path=(.*) is not available", str(error)):
            raise ConfigError(f"hydra.searchpath: there is no package {found[1]!r}; remove it from the list") from error
        raise
    except (ValueError, TypeError) as error:
        if found := re.match(r"(?:invalid literal for int\(\) with base 10:|Index) ('.*?')", str(error)):
            raise ConfigError(
                f"got {found[1]}, expected the index of a list item, counted from 0: model.conv.0.filters"
            ) from error
        if found := re.match(r"No config source registered for schema (\w+)", str(error)):
            raise ConfigError(f"hydra.searchpath: got {found[1]}://, expected a folder or pkg://PACKAGE") from error
        if isinstance(error, UserError) or "Config group override" not in str(error):
            raise
        raise ConfigError("; ".join(_no_options(overrides)) or str(error)) from error


def _no_options(overrides: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each override that chooses null as an option."""
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if override.is_delete() or override.is_sweep_override() or not is_group(override.key_or_group):
            continue
        if not isinstance(override.value(), str | list):
            known = options_of(override.key_or_group)
            typed = str(override.input_line).partition("=")[2]
            yield f"no {override.key_or_group} {typed!r}{did_you_mean(typed, known)}; or remove `{override.input_line}`"


class SweepLine(NamedTuple):
    """A sweep for Hydra: what composes, what it composed for the sweep as a whole, and what else was typed."""

    loader: ConfigLoader
    master: DictConfig
    typed: list[str]


@contextlib.contextmanager
def sweep_ready(overrides: Sequence[str]) -> Iterator[SweepLine]:
    """Return what `python -m src.train -m <overrides>` sweeps over; Hydra stays set up as long as the block lasts."""
    refuse_empty_overrides("train", overrides)
    overrides = quote_strings("train", overrides)
    parsed = OverridesParser.create().parse_overrides(overrides)
    for override in parsed:
        if override.is_sweep_override() and override.key_or_group.startswith("hydra."):
            raise ConfigError(
                f"{override.input_line}: several values, but {override.key_or_group} belongs to the sweep as a whole; "
                f"choose one, and write a list as '{override.key_or_group}=[...]'"
            )
    fixed = [str(override.input_line) for override in parsed if not override.is_sweep_override()]
    with hydra_ready(overrides):
        loader = GlobalHydra.instance().config_loader()
        firsts = [
            f"{override.key_or_group}={next(iter(override.sweep_string_iterator()))}"
            for override in parsed
            if override.is_choice_sweep()
            and not isinstance(override.value(), Glob)
            and loader.get_group_options(override.key_or_group)
        ]
        try:
            master = loader.load_configuration("train", fixed, RunMode.MULTIRUN)
        except (HydraException, OmegaConfBaseException):
            if not firsts:
                raise
            # A fixed key may belong to the options that are searched, and not to the default one.
            master = loader.load_configuration("train", fixed + firsts, RunMode.MULTIRUN)
        if master.hydra.runtime.choices["hydra/sweeper"] == "basic":  # typed, or in a search that chooses no sweeper
            raise ConfigError(
                "hydra/sweeper=basic does not track its runs; use hydra/sweeper=grid, or optuna. A search file chooses "
                "it in its defaults list: `- override /hydra/sweeper: optuna`"
            )
        typed = [str(override.input_line) for override in parsed if not override.is_hydra_override()]
        yield SweepLine(loader, master, typed)
