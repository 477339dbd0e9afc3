"""Errors of Hydra and OmegaConf as one sentence: where, what came, what is known, what to type instead."""

import re
import shlex
from collections.abc import Sequence

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import Node
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from src.cli.conf import CONF, options_of
from src.cli.files import place_of, place_of_option
from src.errors import UserError
from src.places import local_path
from src.schema import REGISTRY, RUN_GROUPS, nearest

SHORTER_LIST = "the list is shorter (its items are counted from 0); to make it longer, give the whole list"
EXPECTED = {"Integer": "an integer", "Float": "a number"}
ELSEWHERE = {  # keys of other Hydra sweepers
    "hydra.sweeper.max_failure_rate": "one failed trial does not end a sweep; hydra.sweeper.max_failures in a row do",
    "hydra.sweeper.search_space": "the space is defined in hydra.sweeper.params, as it would be typed: "
    "model.conv.0.filters: int(interval(4,32))",
}
_KEY = re.compile(r"~?\+{0,2}[A-Za-z_][\w-]*([./@][A-Za-z_0-9][\w-]*)*")


def explain(error: BaseException) -> str:
    """Return one sentence for an error of Hydra or OmegaConf: where, what came, what is known, what to type instead."""
    cause = error if isinstance(error, UserError) else _root_cause(error)
    sentence = re.sub(r"^In '[\w./-]+': ", "", _explain(error, cause))
    if (
        isinstance(cause, UserError | OverrideParseException | MissingConfigException)
        or (config := _config_at_fault(error)) is None
    ):
        return sentence
    key = _dotted(cause)
    if key == config.partition("/")[0]:
        sentence += "; a file of this folder begins with the line `# @package _global_`"
    return f"{place_of(config, key)}: {sentence}"


def _explain(error: BaseException, cause: BaseException) -> str:
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
        if key in RUN_GROUPS:
            return f"{swept[1]}: several values; add -m to run each of them"
        return f"{swept[1]}: several values; add -m to run each of them, or write a list as '{key}=[{value}]'"
    if unknown := re.match(r"Could not override '([\w./]+?)(@.*)?'\. No match in the defaults list", str(cause)):
        return f"{unknown[1]}: this command has no such group; remove it, or see --help for the groups"
    return str(cause).splitlines()[0]


def _config_at_fault(error: BaseException | None) -> str | None:
    """Return the config of a group that an error of Hydra names, such as `experiment/mine`."""
    while error is not None:
        if found := re.match(r"In '([\w.-]+/[\w./-]+)': ", str(error)):
            return found[1].removesuffix(".yaml")
        error = error.__cause__ or error.__context__
    return None


def has_no_value(typed: str) -> bool:
    """Return whether an override has only white space after its equals sign, quoted or not."""
    return bool(re.fullmatch(r"[^=]*=\s*(?:(['\"])\s*\1)?\s*", typed))


def nothing_after(key: str, node: Node | None, came: str = "nothing after the =") -> str:
    """Return the sentence for a key without a value; the key's `node` says whether it may be null."""
    return f"{key}: got {came}; give a value" + (
        ", or null for none" if node is not None and node._is_optional() else ""
    )


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return `; did you mean 'lenot'? known: ...`, without the question where no known name is similar."""
    near = nearest(name, known)
    guess = f" did you mean {near!r}?" if near else ""
    return f";{guess} known: {', '.join(known) or 'none'}"


def _root_cause(error: BaseException) -> BaseException:
    """Return the innermost error of Hydra, OmegaConf or ourselves: it knows the key, the outer ones only the file."""
    found, inner = error, error.__cause__ or error.__context__
    while inner is not None and not isinstance(found, OverrideParseException):
        if isinstance(inner, HydraException | OmegaConfBaseException | UserError) and "$VALUE" not in str(inner):
            found = inner
        inner = inner.__cause__ or inner.__context__
    return found


def _dotted(cause: BaseException) -> str:
    """Return the full key in the form that an override takes: `model.conv.0.filters`, not `model.conv[0].filters`."""
    return re.sub(r"\[(\w+)\]", r".\1", str(getattr(cause, "full_key", "") or "")).lstrip(".")


def _explain_grammar(error: OverrideParseException) -> str:
    key, sign, value = error.override.partition("=")
    if key.lstrip("+") == "dataset" and (instead := _command_for_data(value)):
        return instead
    if not sign:
        return f"cannot read {error.override!r}: an override is KEY=VALUE or GROUP=OPTION"
    if not _KEY.fullmatch(key):
        return f"cannot read {error.override!r}: {key!r} is not a key; keys look like model.conv.0.filters"
    if re.search(r"\bchoice\(\s*\)", value):
        return f"{error.override}: there is nothing to choose from; give values, such as {key}=choice(3,5,7)"
    if re.search(r"\bchoice\(.*\bnull\b", value):
        return f"cannot read {error.override!r}: choice() cannot contain null; write {key}=null,0.5 instead"
    if re.search(r"(^|[,(\[])\s*,|,\s*([)\]]|$)", value) and not re.search(r"['\"]", value):
        return (
            f"{key}: a value is missing next to a comma in {value!r}; give one on both sides of it, or quote a string "
            f"with commas for Hydra and for the shell: {shlex.quote(f'{key}={quoted(value)}')}"
        )
    proposal = shlex.quote(f"{key}={quoted(value)}")
    return f"cannot read {error.override!r}: quote the value for Hydra and for the shell: {proposal}"


def quoted(value: str) -> str:
    """Return the value as Hydra's grammar reads it back, in which a backslash is special only before a quote."""
    inner = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), value)
    return f'"{inner}"'


def _explain_option(error: MissingConfigException) -> str:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    if group.partition("/")[0] == "dataset":
        typed = (error.missing_cfg_file or "").partition("/")[2]
        if instead := _command_for_data(typed):
            return instead
        group, option = "dataset", typed
    if group == "hydra/launcher":
        if engine := next((name for name in options_of("hydra/sweeper/engine") if name in option), None):
            keys = "hydra.sweeper.engine.KEY instead of hydra.launcher.KEY, and hydra.sweeper.n_jobs=2"
            return f"hydra/launcher={option}: use hydra/sweeper/engine={engine}, {keys} for the number of workers"
        return f"hydra/launcher={option}: the sweep starts its own processes; use hydra.sweeper.n_jobs=2"
    if (misnamed := CONF / group / f"{option}.yml").exists():
        return f"no {group} {option!r}: the name of {misnamed.name} must end in .yaml"
    place = place_of_option(group, option)
    is_schema, name = group.startswith("schema/"), group.removeprefix("schema/")
    known = list(REGISTRY[name].kinds) if is_schema and name in REGISTRY else error.options or options_of(group)
    return f"{f'{place}: ' if place else ''}no {group or 'config'} {option!r}{did_you_mean(option, known)}"


def _command_for_data(typed: str) -> str | None:
    """Return the message about a path that was typed instead of a data set's name; None if it does not exist."""
    place = local_path(typed)
    if not typed or not place.exists():
        return None
    key = "folder" if place.is_dir() else "file"
    option = "image_folder" if place.is_dir() else {".npz": "arrays"}.get(place.suffix.lower(), "manifest")
    value = typed if re.fullmatch(r"[\w./-]+", typed) else quoted(typed)
    command = f"dataset={option} {shlex.quote(f'dataset.{key}={value}')}"
    return f"dataset={typed}: this is a {key}, not the name of a data set; use {command}"


def _explain_key(cause: OmegaConfBaseException) -> str:
    parent = cause.parent_node
    known = sorted(str(key) for key in parent if key != "hydra") if parent is not None else []
    name = _dotted(cause)
    if instead := ELSEWHERE.get(name):
        return f"no key {name!r}: {instead}"
    return f"no key {name!r}{did_you_mean(name.rpartition('.')[2], known)}"


def _explain_value(error: BaseException, cause: OmegaConfBaseException) -> str:
    sentence = re.sub(r"^While dereferencing interpolation '.*?': ", "", str(cause).splitlines()[0])
    typed = re.search(r"(?:merging override|Could not override) '?\+*([\w.@/-]+)(?:=(.*))?", str(error))
    key = typed[1] if typed else _dotted(cause) or _dotted(error)
    if (group := re.fullmatch(r"hydra\.sweeper\.(sampler|pruner|engine)", key)) and "not a subclass of" in sentence:
        option = re.search(r"value: (\S+)", str(cause))
        return (
            f"{key} is a group of settings: choose one with hydra/sweeper/{group[1]}={option[1] if option else 'NAME'}"
            f" (slashes, not dots), and set its keys with {key}.KEY=VALUE"
        )
    if "index out of range" in sentence or ("dict is not a subclass of" in sentence and re.search(r"\.\d+", key)):
        return f"no item {key!r}: {SHORTER_LIST}"
    if not key:  # of a mapping in a file: OmegaConf does not say where
        kind = re.search(r"str is not a subclass of (\w+)Config", sentence)
        if kind and f"{kind[1]}Config" in _searching_kinds():
            return (
                "hydra.sweeper.sampler and hydra.sweeper.pruner are groups of settings: in a file, choose them in its "
                "defaults list, `- override /hydra/sweeper/sampler: random`"
            )
        if missing := re.match(r"Interpolation key '(.+)' not found", sentence):
            return f"${{{missing[1]}}} refers to nothing: there is no key {missing[1]!r}"
        return f"{'' if _config_at_fault(error) else 'a file of conf/ is wrong: '}{sentence[:1].lower()}{sentence[1:]}"
    came = typed[2] if typed else None
    if came and "is not a ListConfig" in sentence:
        return f"{key}: got {came}, expected a list in brackets, such as [{came},...]"
    not_settings = (
        rf"is not a subclass of \w+\. value: {re.escape(came or '')}$|merge DictConfig with|Cannot assign .* to Dict"
    )
    if came and re.search(not_settings, sentence):
        return f"{key}: got {came}, expected settings; give each with {key}.KEY=VALUE"
    if "is not Optional" in sentence:
        return f"{key}: got null, expected a value"
    if unset := re.search(r"Environment variable '(.+?)' not found", sentence):
        return f"{key}: the environment variable {unset[1]} is not set or is empty; set it, or give {key} another value"
    if converted := re.match(r"Value '(.*)' of type '\w+' could not be converted to (\w+)", sentence):
        return f"{key}: got {converted[1]!r}, expected {EXPECTED.get(converted[2], converted[2])}"
    if truth := re.match(r"Value '(.*)' is not a valid bool", sentence):
        return f"{key}: got {truth[1]!r}, expected true or false"
    return f"{key}: {sentence[:1].lower()}{sentence[1:]}"


def _searching_kinds() -> set[str]:
    """Return the names of the config classes of samplers and pruners."""
    kinds = (*REGISTRY["sampler"].kinds.values(), *REGISTRY["pruner"].kinds.values())
    return {cls.__name__ for kind in kinds for cls in kind.mro()}
