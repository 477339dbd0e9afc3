"""The runs that a command left in the store of a workplace."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mlflow import MlflowClient

from tests.support.workplace import Workplace


@dataclass(frozen=True)
class Stored:
    """Runs in a workplace's store, read with MLflow's own client; a base class for those of one command."""

    workplace: Workplace

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.workplace.uri)


@dataclass(frozen=True)
class StoredPipeline(Stored):
    """The runs of one pipeline; a base class for those of one command.

    Attributes:
        name: of the pipeline.
    """

    name: ClassVar[str]

    def pipeline(self) -> Any:
        """The run of the pipeline itself."""
        (run,) = self.client.search_runs(["1"], f"tags.pipeline = '{self.name}'")
        return run

    def trainings(self) -> list[Any]:
        """The runs of the trainings that the pipeline started."""
        return list(self.client.search_runs(["1"], f"tags.`mlflow.parentRunId` = '{self.pipeline().info.run_id}'"))

    def rows(self, name: str) -> list[dict[str, str]]:
        """The rows of a table that the pipeline's run keeps."""
        path = self.client.download_artifacts(self.pipeline().info.run_id, name)
        with Path(path).open() as file:
            return list(csv.DictReader(file))
