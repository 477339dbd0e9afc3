"""What a study and its runs look like from outside."""

import collections
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import optuna
import sqlalchemy
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from mlflow import MlflowClient
from omegaconf import OmegaConf
from optuna.storages import RDBStorage

from src.cli.compose import CONF
from src.places import sqlite_file
from src.space import SweepPlan
from src.space.planning import plan_sweep
from tests.support.workplace import Workplace

SMALL = ["dataset=synthetic", "training.epochs=2"]
SPACE = [
    "hydra/sweeper=optuna",
    "model.dropout=interval(0,0.5)",
    "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))",
]


def plan(*overrides: str) -> SweepPlan:
    """The sweep that `python -m src.train -m <overrides>` would run."""
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("train", list(overrides), RunMode.MULTIRUN)
        typed = OmegaConf.to_container(master.hydra.overrides.task, resolve=False)
        return plan_sweep(loader, master, typed)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Study:
    """The one study of a workplace, and its runs in MLflow, read with the libraries' own clients.

    Attributes:
        folder: the workplace's.
        database: the address of the study's database, if that is not a file in the folder.
        tracking: the address of the runs, if that is not a file in the folder.
    """

    folder: Path
    database: str | None = None
    tracking: str | None = None

    @property
    def storage(self) -> str:
        return self.database or f"sqlite:///{self.folder / 'optuna.db'}"

    @property
    def study(self) -> optuna.Study:
        """The study; an error as long as the sweep has not made it, for to look must not make a database."""
        file = sqlite_file(self.storage)
        if file is not None and not file.exists():
            raise FileNotFoundError(file)
        storage: Any = self.storage
        if self.database is not None:  # no connection to a server is left open, and only the sweep creates tables
            unpooled = {"poolclass": sqlalchemy.NullPool}
            with closing(sqlalchemy.create_engine(self.database, **unpooled).connect()) as connection:
                connection.execute(sqlalchemy.text("select 1 from alembic_version"))
            storage = RDBStorage(self.database, engine_kwargs=unpooled, skip_table_creation=True)
        (name,) = optuna.get_all_study_names(storage)
        return optuna.load_study(study_name=name, storage=storage)

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.tracking or f"sqlite:///{self.folder / 'mlflow.db'}")

    def runs(self) -> list[Any]:
        experiment = self.client.get_experiment_by_name("convlab")
        assert experiment is not None
        return list(self.client.search_runs([experiment.experiment_id], max_results=1000))

    @property
    def parent(self) -> Any:
        (parent,) = [run for run in self.runs() if "mlflow.parentRunId" not in run.data.tags]
        return parent

    @property
    def children(self) -> dict[int, Any]:
        """The run of each trial that has one, by the trial's number."""
        found = [run for run in self.runs() if run.data.tags.get("mlflow.parentRunId") == self.parent.info.run_id]
        by_number = {int(run.data.tags["trial"]): run for run in found}
        assert len(by_number) == len(found)
        return by_number

    def artifact(self, name: str) -> str:
        """The text of an artifact of the parent run."""
        return Path(self.client.download_artifacts(self.parent.info.run_id, name)).read_text()

    def assert_each_ran_once(self, n_trials: int, epochs: int) -> None:
        """Assert that `n_trials` trials were trained to their end, each once, and reported every epoch."""
        self.assert_whole(n_trials)
        for trial in self.study.trials:
            assert trial.state.name == "COMPLETE"
            assert sorted(trial.intermediate_values) == list(range(1, epochs + 1))
            points = self.client.get_metric_history(self.children[trial.number].info.run_id, "val_accuracy")
            assert [point.step for point in points] == list(range(1, epochs + 1))

    def assert_whole(self, n_trials: int) -> None:
        """Assert that `n_trials` trials count, none is missing or RUNNING, and MLflow agrees with Optuna."""
        trials = self.study.trials
        assert [trial.number for trial in trials] == list(range(len(trials)))
        retried = {trial.user_attrs.get("retry_of") for trial in trials}
        assert len([trial for trial in trials if trial.number not in retried]) == n_trials
        states = collections.Counter(trial.state.name for trial in trials)
        assert not states.keys() - {"COMPLETE", "PRUNED", "FAIL"}
        children = self.children
        for trial in trials:
            if trial.user_attrs.get("interrupted"):
                assert trial.number not in children or children[trial.number].info.status == "KILLED"
            else:
                expected = "FAILED" if trial.state.name == "FAIL" else "FINISHED"
                assert children[trial.number].info.status == expected
        assert self.parent.info.status == "FINISHED"


@dataclass(frozen=True)
class Swept:
    """A sweep of which every third configuration is impossible, and what the command said."""

    workplace: Workplace
    out: str
    study: Study
