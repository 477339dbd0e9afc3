"""The extensions that are named on the command line or, for one machine, in `conf/local`."""

import re
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from src.cli.conf import CONF
from src.cli.files import EXTENSIONS, read_mapping
from src.cli.reusing import forget_configs
from src.cli.strings import forget_types
from src.errors import ConfigError
from src.extensions import load_extensions

FORM = f"expected {EXTENSIONS}=[MODULE] or {EXTENSIONS}=[MODULE,MODULE]"
_NAMED = re.compile(rf"[+~]*{EXTENSIONS}(?![\w-])")


def take_extensions(overrides: Sequence[str]) -> list[str]:
    """Import the extensions that are named, and return the other overrides.

    They are imported before anything is composed, so that their kinds, metrics and options exist by then. A typed
    list replaces the one in `conf/local`.

    Raises:
        ConfigError: they are not named in the right form, or cannot be imported.
    """
    typed = [override for override in overrides if _NAMED.match(override)]
    if singular := [override for override in overrides if re.match(rf"[+~]*{EXTENSIONS[:-1]}\s*=", override)]:
        raise ConfigError(f"{singular[0]}: no key {EXTENSIONS[:-1]!r}; did you mean {EXTENSIONS!r}? {FORM}")
    if len(typed) > 1:
        raise ConfigError(f"{typed[1]}: {EXTENSIONS} is given twice; {FORM}")
    try:
        is_new = load_extensions(_names_typed(typed[0]) if typed else _names_in_local(overrides))
    except ConfigError as error:
        if typed or str(error).startswith("conf/"):
            raise
        raise ConfigError(f"conf/local: {error}") from error
    if is_new:
        forget_types()
        forget_configs()
    return [override for override in overrides if override not in typed]


def _names_typed(typed: str) -> list[str]:
    override = _parse(typed)
    if override is None or override.is_sweep_override() or not typed.startswith(f"{EXTENSIONS}="):
        raise ConfigError(f"{typed}: {FORM}")
    return _names(override.value(), typed)


def _names_in_local(overrides: Sequence[str]) -> list[str]:
    """Return the modules that the chosen files of `conf/local` name."""
    options: Any = "default"
    for typed in overrides:
        if re.match(r"~?local(=|$)", typed) and (override := _parse(typed)) and not override.is_sweep_override():
            options = None if override.is_delete() else override.value()
    names = []
    for option in options if isinstance(options, list) else [options]:
        file = CONF / "local" / f"{option}.yaml"
        if option is not None and file.is_file() and EXTENSIONS in (content := read_mapping(file)):
            names += _names(content[EXTENSIONS], f"conf/local/{option}.yaml: {EXTENSIONS}")
    return names


def _names(value: Any, where: str) -> list[str]:
    names = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise ConfigError(f"{where}: {FORM}")
    return [name.strip() for name in names]


def _parse(typed: str) -> Override | None:
    """Return the override, or None if Hydra cannot read it; the composition reports that."""
    try:
        return OverridesParser.create().parse_override(typed)
    except HydraException:
        return None
