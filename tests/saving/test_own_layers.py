"""Classes of extensions in a model file: known to Keras if they are the extension's own, and it is loaded."""

import sys
from pathlib import Path
from typing import Any

import keras
import pytest

from src.extensions import load_extensions
from src.saving.own_layers import own_layers, unregistered
from tests.support.extensions import OPTIMIZER, write_files

CODE = "from subprocess import Popen\n\nclass Scale: ...\n\ndef scale(): ...\n\nnumber = 3\n"


@pytest.fixture(autouse=True)
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extensions_forgotten: None) -> None:
    """An extension is loaded, and another module is not."""
    monkeypatch.syspath_prepend(tmp_path)
    write_files(tmp_path, {"mine/__init__.py": OPTIMIZER.format(kind="lion"), "mine/layers.py": CODE, "other.py": CODE})
    load_extensions(["mine"])


def known(module: Any, name: str) -> type | None:
    """The class that Keras finds for a name of a model file."""
    layer = {"module": module, "class_name": name, "registered_name": f"pack>{name}", "config": {}}
    with own_layers({"layers": [layer]}):
        found: type | None = keras.saving.get_registered_object(f"pack>{name}")
    assert keras.saving.get_registered_object(f"pack>{name}") is None
    return found


def test_a_class_of_the_extension_is_known_inside_the_block() -> None:
    found = known("mine.layers", "Scale")
    assert found is not None
    assert found.__module__ == "mine.layers"


@pytest.mark.parametrize("name", ["Popen", "scale", "number", "nothing", "__builtins__"])
def test_nothing_but_its_own_classes_is_known(name: str) -> None:
    assert known("mine.layers", name) is None


@pytest.mark.parametrize("module", ["other", "mine_too", "subprocess", "keras.layers", 3, None])
def test_a_module_that_is_not_part_of_an_extension_is_not_imported(module: Any) -> None:
    assert known(module, "Scale") is None
    assert "other" not in sys.modules


def test_registered_classes_are_hidden_from_mlflow_and_registered_again_afterwards() -> None:
    class Registered(keras.layers.Layer): ...

    registered = keras.saving.get_custom_objects()
    before = dict(registered)
    registered["pack>Registered"] = Registered
    try:
        with unregistered(keras.Sequential([keras.Input([2])])):
            assert registered == {}
        assert registered == before | {"pack>Registered": Registered}
    finally:
        del registered["pack>Registered"]
