"""Layers from extensions in model files."""

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from src.extensions import is_extension


@contextmanager
def own_layers(config: Any) -> Iterator[None]:
    """Let Keras find, inside the block, the classes of loaded extensions that a model's configuration names.

    Without this, Keras would find only registered classes, and users would have to register theirs.

    Args:
        config: the layers, as in the `.keras` format: nested dicts and lists.
    """
    with keras.saving.custom_object_scope(_own_classes(config)):
        yield


@contextmanager
def unregistered(model: keras.Model) -> Iterator[None]:
    """Hide all registered classes from Keras inside the block, except those of the model's own layers.

    MLflow would pickle all of them next to the model that it logs, and later refuse to read the pickle.
    """
    registered = keras.saving.get_custom_objects()
    before = dict(registered)
    with own_layers(keras.saving.serialize_keras_object(model)):
        registered.clear()
        try:
            yield
        finally:
            registered.update(before)


def _defines(module: str, name: str) -> bool:
    """Return True if the source of a module defines a class at its top level.

    It is read before the module is imported: a model file could also name a script of the package, which an import
    would run, or a class that the module only imports.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py") or module.endswith("__main__"):
        return False
    statements = ast.parse(Path(spec.origin).read_bytes()).body
    return any(isinstance(statement, ast.ClassDef) and statement.name == name for statement in statements)


def _own_classes(config: Any) -> dict[str, type]:
    """Return the classes by the names that Keras looks for."""
    found: dict[str, type] = {}
    if isinstance(config, list):
        for item in config:
            found |= _own_classes(item)
    if not isinstance(config, dict):
        return found
    module, name = config.get("module"), config.get("class_name")
    if isinstance(module, str) and isinstance(name, str) and is_extension(module) and _defines(module, name):
        known = getattr(importlib.import_module(module), name)
        if isinstance(known, type):
            found[config.get("registered_name") or name] = known
    for item in config.values():
        found |= _own_classes(item)
    return found
