"""The runs that a command left in the store of a workplace."""

from dataclasses import dataclass

from mlflow import MlflowClient

from tests.support.workplace import Workplace


@dataclass(frozen=True)
class Stored:
    """Runs in a workplace's store, read with MLflow's own client; a base class for those of one command."""

    workplace: Workplace

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.workplace.uri)
