"""From the command line to dataclasses and back, and the sentences that answer a mistake."""

import json
from typing import Any

import hydra
import pytest
from omegaconf import OmegaConf

from src.compose import CONF, compose, compose_config, config_from_dict
from src.errors import ConfigError
from src.schema import Config, SequentialConfig, as_tree, flatten

# --- as a function -------------------------------------------------------------------------------------------------


def test_overrides_become_a_checked_dataclass() -> None:
    config = compose_config(["model=lenot", "training.epochs=2", "model.conv.0.filters=8", "tags.owner=ada"])
    assert isinstance(config, Config)
    assert isinstance(config.model, SequentialConfig)
    picked = (config.model.name, config.training.epochs, config.model.conv[0].filters, config.tags)
    assert picked == ("lenot", 2, 8, {"owner": "ada"})


def test_what_was_composed_before_leaves_nothing_behind() -> None:
    before = compose_config()
    assert compose_config(["seed=7", "optimizer=adam", "tags.owner=ada"]) != before
    assert compose_config() == before


def test_what_was_set_of_hydra_itself_is_not_set_the_next_time() -> None:
    overrides = ["hydra.job.chdir=true", "hydra.sweeper.n_jobs=7", "hydra.help.app_name=other"]
    before, changed, after = (
        OmegaConf.to_yaml(compose("train", typed, with_hydra=True)) for typed in ([], overrides, [])
    )
    assert changed != before
    assert after == before


def test_composing_works_while_hydra_is_in_use_elsewhere() -> None:
    before = compose_config()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        assert compose_config() == before


def test_every_leaf_can_be_set_by_its_own_dotted_name() -> None:
    config = compose_config()
    overrides = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in flatten(config).items()]
    assert compose_config(overrides) == config


# --- read back from a run ------------------------------------------------------------------------------------------


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
    ({"training__epochs": "many"}, r"^training\.epochs: got 'many', expected a whole number"),
    ({"training__epochs": 0}, r"^training\.epochs: got 0, expected at least 1"),
]


@pytest.mark.parametrize("text", ["costs ${x}", "${oc.env:HOME}", "a\\b ${x}"])
def test_a_text_with_a_dollar_sign_reads_back_as_it_was(text: str) -> None:
    assert config_from_dict(changed(tags={"note": text})).tags == {"note": text}


def test_a_config_of_before_there_was_augmentation_reads_back_without_any() -> None:
    tree = changed()
    del tree["augmentation"], tree["dataset"]["flips"]
    assert config_from_dict(tree) == compose_config()


@pytest.mark.parametrize(("leaves", "sentence"), NOT_A_CONFIG)
def test_a_tree_that_is_no_config_is_refused(leaves: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        config_from_dict(changed(**leaves))
