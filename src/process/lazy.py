"""Packages that import their modules when one of their names is first used."""

from __future__ import annotations

import ast
import functools
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from src.process.imports import heavy_imports


def lazy_package(package: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package (PEP 562) that imports what a name belongs to when the name is first used.

    The names are those that the package's `__init__.py` imports under `if TYPE_CHECKING:`, so type checkers and readers
    see a plain list of imports. Any other name raises AttributeError and imports nothing.

    Args:
        package: the package's own `__name__`.
    """
    module = sys.modules[package]

    @functools.cache
    def modules() -> dict[str, str]:
        return _names_under_type_checking(Path(str(module.__file__)).read_text(encoding="utf-8"))

    def get(name: str) -> Any:
        if name.startswith("__") or name not in modules():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with heavy_imports():
            value = getattr(importlib.import_module(modules()[name]), name)
        setattr(module, name, value)  # from now on Python finds it without asking here
        return value

    return get


def _names_under_type_checking(source: str) -> dict[str, str]:
    """Return each name that is imported under `if TYPE_CHECKING:`, with the module that it is imported from."""
    return {
        alias.name: str(imported.module)
        for statement in ast.parse(source).body
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"
        for imported in statement.body
        if isinstance(imported, ast.ImportFrom)
        for alias in imported.names
    }


def import_now(*packages: ModuleType) -> None:
    """Import everything that these lazy packages export, for a process that will soon need it."""
    for package in packages:
        names = _names_under_type_checking(Path(str(package.__file__)).read_text(encoding="utf-8"))
        for name in names:
            getattr(package, name)
