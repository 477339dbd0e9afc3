"""Hydra's entry points into this project."""

import pytest
from hydra.core.config_store import ConfigStore
from hydra.plugins.config_source import ConfigLoadError
from omegaconf import OmegaConf

from hydra_plugins.convlab import ConvlabSchemas
from src import schema
from src.cli.compose import compose_config

source = ConvlabSchemas("convlab", "convlab://")


@pytest.mark.parametrize(
    ("group", "name"), [(name, kind) for name, group in schema.REGISTRY.items() for kind in group.kinds]
)
def test_a_schema_is_a_typed_node_of_its_dataclass(group: str, name: str) -> None:
    assert source.is_group(f"schema/{group}")
    assert source.is_config(f"schema/{group}/{name}")
    found = source.load_config(f"schema/{group}/{name}.yaml")
    assert OmegaConf.get_type(found.config) is schema.find_kind(group, name)


def test_each_composition_gets_a_node_of_its_own() -> None:
    first, second = (source.load_config("schema/train").config for _ in range(2))
    OmegaConf.update(first, "seed", 7)
    assert OmegaConf.select(second, "seed") != 7


def test_an_unknown_schema_is_not_a_config() -> None:
    assert not source.is_config("schema/model/lennot")
    assert not source.is_group("schema/mod")
    with pytest.raises(ConfigLoadError, match="lennot"):
        source.load_config("schema/model/lennot")


def test_nothing_is_kept_in_the_store_that_every_composition_copies() -> None:
    compose_config(["model=lenot"])
    assert "schema" not in ConfigStore.instance().repo
