"""What a run has stored is read back, and refused if it does not fit a configuration."""

from typing import Any

import pytest

from src.cli.compose import compose_config
from src.cli.conversion import config_from_dict
from src.errors import ConfigError
from src.schema import as_tree


def changed(**leaves: Any) -> dict[str, Any]:
    """The default configuration as a tree, with the values at these names (`__` for a dot) set."""
    tree = as_tree(compose_config())
    for name, value in leaves.items():
        *path, key = name.split("__")
        node = tree
        for step in path:
            node = node[int(step)] if isinstance(node, list) else node[step]
        node[key] = value
    return tree


NOT_A_CONFIG = [
    ({"model": "lenot"}, r"^model: got 'lenot', expected a mapping"),
    ({"model__family": "alexnt"}, r"^model: no kind 'alexnt'; known: .*sequential"),
    ({"dataset__loader": None}, r"^dataset: no kind None; known: .*idx"),
    ({"optimizer__name": "adm"}, r"^optimizer: no kind 'adm'; known: .*adam"),
    ({"schedule": {}}, r"^schedule: no kind None; known: .*none"),
    ({"model__fliters": 3}, r"^no key 'model\.fliters'; .*known: .*family"),
    ({"model__conv__0__fliters": 3}, r"fliters'; did you mean 'filters'\?"),
    ({"extra": 1}, r"^no key 'extra'; known: augmentation, dataset, "),
    ({"optimizer___target_": "os.system"}, r"^no key 'optimizer\._target_'"),
    ({"training__epochs": "many"}, r"^training\.epochs: got 'many', expected an integer"),
    ({"training__epochs": 0}, r"^training\.epochs: got 0, expected at least 1"),
]


def test_an_empty_value_that_a_run_has_stored_is_read_back() -> None:
    assert config_from_dict(changed(training__initial_weights="")).training.initial_weights == ""


@pytest.mark.parametrize("text", ["costs ${x}", "${oc.env:HOME}", "a\\b ${x}"])
def test_a_text_with_a_dollar_sign_reads_back_as_it_was(text: str) -> None:
    assert config_from_dict(changed(tags={"note": text})).tags == {"note": text}


def test_a_config_of_before_there_was_augmentation_reads_back_without_any() -> None:
    tree = changed()
    del tree["augmentation"], tree["dataset"]["flips"]
    assert config_from_dict(tree) == compose_config()


@pytest.mark.parametrize(("leaves", "sentence"), NOT_A_CONFIG)
def test_a_tree_that_is_not_a_config_is_refused(leaves: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        config_from_dict(changed(**leaves))
