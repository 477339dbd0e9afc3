"""Between Hydra and the dataclasses: composing a configuration, reading one back, and answering mistakes in sentences.

`entry_point` makes a command of a function that takes a dataclass. Hydra parses the command line and composes; the
function runs after Hydra has let go, so that errors, signals and exit codes are ours.
"""

import difflib
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, cast

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from src import schema
from src.errors import ConfigError, UserError
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
    for group, kinds in schema.SCHEMAS.items():
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


def _compose(config_name: str, overrides: Sequence[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose(config_name, list(overrides))


def config_from_dict(resolved: dict[str, Any]) -> schema.Config:
    """The config whose resolved values are given, as a run keeps them in `config/config.yaml`.

    Raises:
        ConfigError: a key that no config has, a value of another type, or a kind of model, data set or optimizer that
            does not exist.
    """
    base = OmegaConf.structured(schema.Config)
    try:
        for group, kinds in schema.SCHEMAS.items():
            node = resolved.get(group) or {}
            kind = node.get(schema.DISCRIMINATORS[group]) if group in schema.DISCRIMINATORS else group
            if kind not in kinds:
                raise ConfigError(f"{group}: no kind {kind!r}; known: {', '.join(kinds)}")
            base[group] = OmegaConf.structured(kinds[kind])
        return cast(schema.Config, to_dataclass(OmegaConf.merge(base, resolved)))
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error)) from error


def to_dataclass(composed: DictConfig | ListConfig) -> Any:
    """The composed configuration as checked dataclasses; values from the environment are noted as secrets."""
    for name in _ENV_REFERENCE.findall(OmegaConf.to_yaml(composed)):
        if name not in PUBLIC_VARIABLES:
            hide(os.environ.get(name, ""))
    return OmegaConf.to_object(composed)


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
                for config, overrides in _from_command_line(config_name):
                    work(config, overrides)
            except Interrupted as stop:
                _leave(str(stop), stop.exit_code)
            except (UserError, HydraException, OmegaConfBaseException) as error:
                if wants_trace:
                    raise
                _leave(f"error: {explain(error)}", getattr(error, "exit_code", ConfigError.exit_code))

        return command

    return decorate


def _from_command_line(config_name: str) -> list[tuple[Any, list[str]]]:
    """What was typed, as dataclasses: one, or with `-m` one for each combination; none when Hydra answered by itself.

    Overrides alone are composed here, once. Everything with a flag (`--help`, `--cfg`, `-m`, ...) is Hydra's to parse;
    `hydra.main` composes twice, which would make each answer take half as long again.
    """
    flags = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    if {"-m", "--multirun"} & set(flags) and {"-c", "--cfg"} & set(flags):
        raise ConfigError("-m and --cfg do not go together: leave out -m to see the configuration")
    if not flags:
        return [(to_dataclass(_compose(config_name, sys.argv[1:])), sys.argv[1:])]
    composed: list[tuple[Any, list[str]]] = []

    @hydra.main(config_path=str(CONF), config_name=config_name, version_base="1.3")
    def keep(config: DictConfig) -> None:
        composed.append((config, list(HydraConfig.get().overrides.task)))

    keep()
    return [(to_dataclass(config), overrides) for config, overrides in composed]


def _leave(message: str, exit_code: int) -> NoReturn:
    print(redact(message), file=sys.stderr)
    sys.exit(exit_code)


# --- errors in sentences -----------------------------------------------------------------------------------------


def explain(error: BaseException) -> str:
    """One sentence for an error of Hydra or OmegaConf: what came, what is known, what to type instead."""
    cause = _root_cause(error)
    if isinstance(cause, UserError):
        return str(cause)
    if isinstance(cause, OverrideParseException):
        return _explain_grammar(cause)
    if isinstance(cause, MissingConfigException):
        return _explain_option(cause)
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):
        return _explain_key(cause)
    if isinstance(cause, MissingMandatoryValue):
        return f"{_dotted(cause)}: no value was given and there is no default"
    if isinstance(cause, OmegaConfBaseException):
        return _explain_value(error, cause)
    if swept := re.match(r"Ambiguous value for argument '(.+?)'", str(cause)):
        key, _, value = swept[1].partition("=")
        return f"{swept[1]}: several values; add -m to run each of them, or write a list as '{key}=[{value}]'"
    return str(cause).splitlines()[0]


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """`; did you mean 'lenot'? known: ...`, without the question where nothing is near."""
    near = difflib.get_close_matches(name, known, n=1)
    guess = f" did you mean {near[0]!r}?" if near else ""
    return f";{guess} known: {', '.join(known) or 'none'}"


def _root_cause(error: BaseException) -> BaseException:
    """The innermost error of Hydra, OmegaConf or ourselves: it knows the key, the outer ones only the file."""
    found, inner = error, error.__cause__ or error.__context__
    while inner is not None and not isinstance(found, OverrideParseException):
        if isinstance(inner, HydraException | OmegaConfBaseException | UserError) and "$VALUE" not in str(inner):
            found = inner
        inner = inner.__cause__ or inner.__context__
    return found


def _dotted(cause: BaseException) -> str:
    """The full key in the form that an override takes: `model.conv.0.filters`, not `model.conv[0].filters`."""
    return re.sub(r"\[(\w+)\]", r".\1", str(getattr(cause, "full_key", "") or "")).lstrip(".")


def _explain_grammar(error: OverrideParseException) -> str:
    key, sign, value = error.override.partition("=")
    if not sign:
        return f"cannot read {error.override!r}: an override is KEY=VALUE or GROUP=OPTION"
    quoted = value.strip("\"'").replace("\\", "\\\\").replace('"', '\\"')
    return f"cannot read {error.override!r}: quote the value for Hydra and for the shell: '{key}=\"{quoted}\"'"


def _explain_option(error: MissingConfigException) -> str:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    return f"no {group or 'config'} {option!r}{did_you_mean(option, error.options or [])}"


def _explain_key(cause: OmegaConfBaseException) -> str:
    parent = cause.parent_node
    known = sorted(str(key) for key in parent if key != "hydra") if parent is not None else []
    name = _dotted(cause)
    return f"no key {name!r}{did_you_mean(name.rpartition('.')[2], known)}"


EXPECTED = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}


def _explain_value(error: BaseException, cause: OmegaConfBaseException) -> str:
    sentence = str(cause).splitlines()[0]
    typed = re.search(r"(?:merging override|Could not override) '?\+*([\w.@/-]+)", str(error))
    key = typed[1] if typed else _dotted(cause)
    if "not a subclass of" in sentence and re.search(r"\.\d+(\.|$)", key):
        return f"no item {key!r}: the list is shorter (its items count from 0); to make it longer, give the whole list"
    if converted := re.match(r"Value '(.*)' of type '\w+' could not be converted to (\w+)", sentence):
        return f"{key}: got {converted[1]!r}, expected {EXPECTED.get(converted[2], converted[2])}"
    return f"{key}: {sentence[:1].lower()}{sentence[1:]}"
