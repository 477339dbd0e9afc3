"""Layers from extensions in model files."""

import importlib
from typing import Any

import keras

from src.extensions import is_extension


def register_own_layers(config: Any) -> None:
    """Make known to Keras the classes of loaded extensions that a model's configuration names.

    Keras finds a class that is not its own only if it was registered. Its decorator would do that, if a user remembered
    it and the module was imported; here neither is needed.

    Args:
        config: the layers, as in the `.keras` format: nested dicts and lists.
    """
    if isinstance(config, list):
        for item in config:
            register_own_layers(item)
    if not isinstance(config, dict):
        return
    module, name = config.get("module"), config.get("class_name")
    if isinstance(module, str) and isinstance(name, str) and is_extension(module):
        found = getattr(importlib.import_module(module), name, None)
        if isinstance(found, type) and is_extension(found.__module__):  # not one that the module has imported
            keras.saving.get_custom_objects().setdefault(config.get("registered_name") or name, found)
    for item in config.values():
        register_own_layers(item)
