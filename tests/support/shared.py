"""What the machines of a cluster share: two databases of a PostgreSQL server, and a user of it who has a password."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from secrets import token_hex

from tests.support.servers import execute
from tests.support.sweeps import Study
from tests.support.workplace import Workplace

_numbers = itertools.count()


@dataclass(frozen=True)
class SharedStores:
    """A database for studies and one for runs, which belong to one user.

    Attributes:
        server: the address of the server, of whom its superuser needs no password.
        owner: the user.
        password: of the user.
    """

    server: str
    owner: str
    password: str

    @classmethod
    def make(cls, server: str) -> SharedStores:
        """Stores that are empty."""
        stores = cls(server, f"grace{next(_numbers)}_{token_hex(4)}", token_hex(12))
        execute(f"{server}/postgres", f"create role {stores.owner} login password '{stores.password}'")
        for name in ("optuna", "mlflow"):
            execute(f"{server}/postgres", f"create database {stores.owner}_{name} owner {stores.owner}")
        return stores

    def address(self, name: str, user: str | None = None, password: str | None = None) -> str:
        """The address of the database `optuna` or `mlflow`, for its owner or for another user."""
        host = self.server.partition("@")[2]
        return f"postgresql://{user or self.owner}:{password or self.password}@{host}/{self.owner}_{name}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment of the owner's commands."""
        runs = self.address("mlflow").replace("postgresql:", "postgresql+psycopg:")
        return {"OPTUNA_STORAGE": self.address("optuna"), "MLFLOW_TRACKING_URI": runs}

    def admit(self, user: str) -> str:
        """Let another user read and change studies; return the address for them."""
        password = token_hex(12)
        execute(f"{self.server}/postgres", f"create role {user} login password '{password}'")
        database = f"{self.server}/{self.owner}_optuna"
        execute(database, f"grant select, insert, update, delete on all tables in schema public to {user}")
        execute(database, f"grant usage on all sequences in schema public to {user}")
        return self.address("optuna", user, password)

    def study(self, workplace: Workplace) -> Study:
        """The one study, and its runs."""
        return Study(workplace.folder, self.variables["OPTUNA_STORAGE"], self.variables["MLFLOW_TRACKING_URI"])
