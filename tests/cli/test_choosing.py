"""Settings that are chosen from a user's own images, unless they are typed."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from src.cli.choosing import choose_settings
from src.cli.compose import compose, compose_config
from src.cli.conversion import config_from_dict
from src.errors import ConfigError
from src.schema import as_tree
from tests.support.pictures import put_class
from tests.support.sweeps import plan


@pytest.fixture
def pets(tmp_path: Path) -> list[str]:
    for name, count in (("cat", 300), ("dog", 300)):
        put_class(tmp_path / "pets", name, count)  # of 6x6 pixels
    return ["dataset=image_folder", f"dataset.folder='{tmp_path / 'pets'}'"]


def sizes(*typed: str) -> tuple[list[int], int]:
    config = compose_config(typed)
    return config.dataset.image_size, config.training.batch_size


def test_null_settings_get_values_that_suit_the_images(pets: list[str]) -> None:
    assert sizes(*pets) == ([18, 18], 16)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["dataset.image_size=[20,30]"], ([20, 30], 16)),
        (["training.batch_size=100"], ([18, 18], 100)),
        (["dataset.image_size=[20,30]", "training.batch_size=100"], ([20, 30], 100)),
        (["dataset.image_size=null", "training.batch_size=null"], ([18, 18], 16)),
        (["dataset.limit=${training.batch_size}", "training.batch_size=32"], ([18, 18], 32)),
    ],
)
def test_a_typed_value_wins(pets: list[str], typed: list[str], expected: tuple[list[int], int]) -> None:
    assert sizes(*pets, *typed) == expected


def test_a_folder_that_is_missing_is_reported_where_it_is_loaded() -> None:
    assert sizes("dataset=image_folder", "dataset.folder=missing") == ([128, 128], 128)


def test_other_data_sets_have_the_default() -> None:
    assert sizes() == ([28, 28], 128)
    with pytest.raises(ConfigError, match=r"dataset\.image_size: got None, expected a height and a width"):
        sizes("dataset.image_size=null")


def test_what_was_chosen_is_said_as_overrides(pets: list[str]) -> None:
    composed = compose("train", pets)
    first, reason = choose_settings(composed)
    assert first == "chosen for these images: dataset.image_size=[18,18] training.batch_size=16"
    assert "600 images of 6x6 pixels; about 420 are for training" in reason
    assert choose_settings(composed) == []


def test_a_stored_configuration_keeps_its_values_when_the_folder_changes(pets: list[str], tmp_path: Path) -> None:
    stored = as_tree(compose_config(pets))
    put_class(tmp_path / "pets", "cat", 5_000)
    assert config_from_dict(stored).training.batch_size == 16


def test_a_sweep_has_the_values_in_its_definition(pets: list[str]) -> None:
    found = plan(*pets, "model=dense", "seed=1,2")
    (base,) = found.space.bases.values()
    assert (OmegaConf.to_object(base.dataset.image_size), base.training.batch_size) == ([18, 18], 16)


def test_a_searched_setting_is_not_chosen(pets: list[str]) -> None:
    found = plan(*pets, "model=dense", "training.batch_size=32,64")
    assert [found.space.draw_from(params).training.batch_size for params in found.space.grid()] == [32, 64]


def test_the_summary_of_a_network_is_for_the_images_of_the_folder(pets: list[str]) -> None:
    assert compose_config(pets, "summary").dataset.image_size == [18, 18]
