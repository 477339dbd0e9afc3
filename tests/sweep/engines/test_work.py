"""The command that an engine starts, and the passwords that it must not contain."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from src.errors import ConfigError
from src.sweep.engines.work import Work, check_places


@pytest.mark.parametrize(
    "places",
    [
        ["dataset.mirrors=['https://ada:hunter2@mirror.example']"],
        ["dataset.data_dir=/data", "dataset.mirrors=['https://token@mirror.example']"],
    ],
)
def test_a_typed_password_is_refused_for_workers_on_a_cluster(places: Sequence[str]) -> None:
    with pytest.raises(ConfigError, match=r"^dataset\.mirrors: it contains a password, .*; set it in conf/local/"):
        check_places(places)


@pytest.mark.parametrize("places", [[], ["dataset.data_dir=/data", "dataset.mirrors=['https://mirror.example']"]])
def test_other_paths_and_addresses_are_accepted(places: Sequence[str]) -> None:
    check_places(places)


@pytest.mark.parametrize(
    ("address", "is_shown"),
    [("postgresql://ada@db.example/optuna", True), ("postgresql://ada:hunter2@db.example/optuna", False)],
)
def test_an_address_with_a_password_is_in_the_environment_and_not_in_the_command(address: str, is_shown: bool) -> None:
    work = Work("mine", 1, storage=address, tracking_uri=address, places=[], log_folder=Path("/logs"))
    assert (address in work.command("a.log")) is is_shown
    expected = {} if is_shown else {"OPTUNA_STORAGE": address, "MLFLOW_TRACKING_URI": address}
    assert work.secret_variables() == expected
