"""Users of PostgreSQL who may not read or write the tables of studies."""

import pytest
from mlflow import MlflowClient

from src.study import open_study
from tests.support.servers import execute
from tests.support.shared import SharedStores
from tests.support.studies import opened
from tests.support.sweeps import SMALL, SPACE
from tests.support.workplace import Workplace

pytestmark = pytest.mark.services
SWEEP = ["src.train", "-m", *SMALL, *SPACE, "hydra.sweeper.n_trials=1"]


@pytest.fixture(scope="module")
def stores(postgres: str) -> SharedStores:
    """The stores of a user who has a study."""
    stores = SharedStores.make(postgres)
    with opened(stores.address("optuna")) as storage:
        open_study("theirs", storage.optuna, "maximize")
    return stores


@pytest.fixture(scope="module")
def stranger(stores: SharedStores) -> str:
    """The address of the studies for a user without any rights on their tables."""
    execute(f"{stores.server}/postgres", f"create role {stores.owner}_stranger login password 'hunter22'")
    return stores.address("optuna", f"{stores.owner}_stranger", "hunter22")


@pytest.fixture(scope="module")
def reader(stores: SharedStores) -> str:
    """The address of the studies for a user who may only read them."""
    execute(f"{stores.server}/postgres", f"create role {stores.owner}_reader login password 'hunter22'")
    execute(
        f"{stores.server}/{stores.owner}_optuna",
        f"grant select on all tables in schema public to {stores.owner}_reader",
    )
    return stores.address("optuna", f"{stores.owner}_reader", "hunter22")


@pytest.mark.parametrize(
    "command",
    [
        ["src.sweep", "status"],
        ["src.sweep", "stop", "theirs"],
        ["src.sweep", "work", "theirs"],
        ["src.sweep", "resume", "theirs"],
        ["src.doctor"],
        SWEEP,
    ],
)
def test_a_user_without_rights_gets_the_words_of_the_database(
    command: list[str], stranger: str, workplace: Workplace
) -> None:
    check(command, stranger, workplace)


@pytest.mark.parametrize("command", [["src.sweep", "stop", "theirs"], SWEEP])
def test_a_user_who_may_only_read_gets_the_words_of_the_database(
    command: list[str], reader: str, workplace: Workplace
) -> None:
    check(command, reader, workplace)


def check(command: list[str], storage: str, workplace: Workplace) -> None:
    """Run a command that the database must refuse."""
    key = [f"storage={storage}"] if command[0] == "src.doctor" else []
    if key:
        MlflowClient(workplace.uri).search_experiments()
    done = workplace.run(*command, *key, OPTUNA_STORAGE=storage)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "permission denied for" in done.stderr
    assert "hunter22" not in done.stderr
