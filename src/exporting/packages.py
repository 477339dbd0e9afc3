"""The packages of the extra `export`: which of them are missing, and their versions."""

import importlib.util
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from src.errors import ConfigError
from src.schema import EXPORTS

TENSORFLOW = ("tensorflow", "keras")


def check_converters(formats: Sequence[str]) -> None:
    """Raise ConfigError unless the packages are installed that convert to these formats and run them."""
    _check([name for format_name in formats for name in _packages(format_name)], f"formats=[{','.join(formats)}]")


def check_runtime(format_name: str) -> None:
    """Raise ConfigError unless the package is installed that runs files of this format."""
    _check([EXPORTS[format_name].runtime], f"a file of the format {format_name}")


def versions(format_name: str) -> dict[str, str]:
    """Return the versions of TensorFlow, Keras, the converters and the runtime of a format."""
    found = {}
    for name in (*TENSORFLOW, *_packages(format_name)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # TensorFlow has other names, such as tensorflow-cpu
            found[name] = str(getattr(importlib.import_module(name), "__version__", "unknown"))
    return found


def _packages(format_name: str) -> tuple[str, ...]:
    return (*EXPORTS[format_name].converters, EXPORTS[format_name].runtime)


def _check(packages: Sequence[str], wanted: str) -> None:
    absent = sorted({name for name in packages if importlib.util.find_spec(name) is None})
    if absent:
        are = "packages {} are" if len(absent) > 1 else "package {} is"
        raise ConfigError(f"{wanted}: the {are.format(', '.join(absent))} not installed; run `make setup EXPORT=1`")
