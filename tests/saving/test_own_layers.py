"""Classes of extensions in a model file: known to Keras if they are the extension's own, and it is loaded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import pytest

from src.extensions import load_extensions
from src.saving.own_layers import register_own_layers
from tests.support.extensions import OPTIMIZER, write_files

CODE = "from subprocess import Popen\n\nclass Scale: ...\n\ndef scale(): ...\n\nnumber = 3\n"


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extensions_forgotten: None) -> Iterator[dict[str, Any]]:
    """What is registered with Keras, while an extension is loaded."""
    monkeypatch.syspath_prepend(tmp_path)
    write_files(tmp_path, {"mine/__init__.py": OPTIMIZER.format(kind="lion"), "mine/layers.py": CODE})
    write_files(tmp_path, {"other.py": CODE})
    load_extensions(["mine"])
    registered = keras.saving.get_custom_objects()
    before = dict(registered)
    yield registered
    registered.clear()
    registered.update(before)


def named(module: str, name: str) -> dict[str, Any]:
    return {"layers": [{"module": module, "class_name": name, "registered_name": name, "config": {}}]}


def test_a_class_of_the_extension_is_known_by_the_name_that_keras_looks_for(known: dict[str, Any]) -> None:
    register_own_layers(named("mine.layers", "Scale"))
    assert known["Scale"].__module__ == "mine.layers"


@pytest.mark.parametrize("name", ["Popen", "scale", "number", "nothing", "__builtins__"])
def test_nothing_but_its_own_classes_is_known(name: str, known: dict[str, Any]) -> None:
    register_own_layers(named("mine.layers", name))
    assert name not in known


@pytest.mark.parametrize("module", ["other", "mine_too", "subprocess", "keras.layers", 3, None])
def test_a_module_that_is_no_part_of_an_extension_is_not_imported(module: Any, known: dict[str, Any]) -> None:
    before = dict(known)
    register_own_layers(named(module, "Scale"))
    assert known == before
