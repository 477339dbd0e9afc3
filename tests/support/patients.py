"""A small store in which nothing is wrong, and what damages it; nothing in it was trained."""

import contextlib
import json
import os
import platform
import sqlite3
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from mlflow import MlflowClient

from src import study, tracking
from src.checkpointing import Arrays, Checkpoint, write
from src.diagnosis import Case, Finding
from src.diagnosis.case import IDLE_SECONDS
from src.saving.stored import MANIFEST, file_digests
from src.schema import DoctorConfig, NoPrunerConfig, RandomConfig, SweeperConfig, best_metrics
from src.tracking import Run, StudyId, Survey
from src.tracking.process import process_name
from src.tracking.tags import FINGERPRINT, HOST, PROCESS
from tests.support.configs import composed
from tests.support.runs import config_for, new_run
from tests.support.workplace import Workplace

ACCURACY = (0.5, 0.75, 0.625)  # val_accuracy of each epoch: the second is the best
SETTINGS = SweeperConfig(name="random", sampler=RandomConfig(), pruner=NoPrunerConfig(), n_trials=9)


def ended_process() -> str:
    """The name of a process that has ended."""
    with subprocess.Popen(["sleep", "600"]) as process:
        name = process_name(process.pid)
        process.kill()
    return name


def age(path: Path, seconds: float = IDLE_SECONDS + 60) -> Path:
    """Make a file or a folder look as if nothing had changed in it for this long."""
    for entry in (path, *path.rglob("*")):
        then = entry.stat().st_mtime - seconds
        os.utime(entry, (then, then))
    return path


@dataclass(frozen=True)
class Patient:
    """A store and a storage of studies in one folder; `server` is the address of the store if it is behind one."""

    workplace: Workplace
    server: str = ""

    @property
    def folder(self) -> Path:
        return self.workplace.folder

    @property
    def uri(self) -> str:
        return self.server or self.workplace.uri

    @property
    def storage_address(self) -> str:
        return f"sqlite:///{self.folder / 'optuna.db'}"

    @cached_property
    def client(self) -> MlflowClient:
        return MlflowClient(self.uri)

    @cached_property
    def storage(self) -> study.Storage:
        return study.open_storage(self.storage_address, self.uri)

    def config(self, *overrides: str) -> DoctorConfig:
        config = composed(*overrides, config_name="doctor")
        assert isinstance(config, DoctorConfig)
        typed = [override.partition("=")[0] for override in overrides]
        if "tracking.uri" not in typed:
            config.tracking.uri = self.uri
        if "storage" not in typed:
            config.storage = self.storage_address
        config.cache_dir = str(self.folder / "cache")
        return config

    def case(self, *overrides: str) -> Case:
        config = self.config(*overrides)
        return Case(Survey(config.tracking), self.storage, config)

    # --- runs ---------------------------------------------------------------------------------------------------------

    def train(self, *overrides: str, **tags: str) -> str:
        """A FINISHED run with three epochs and a model, as a training leaves it; its id."""
        with new_run(config_for(self.uri, *overrides), tags={FINGERPRINT: "0123", **tags}) as run:
            self.record(run)
            with run.new_folder("model") as model:
                model.mkdir()
                (model / "model.keras").write_bytes(b"weights")
                (model / MANIFEST).write_text(json.dumps(file_digests(model)))
        return str(run.run_id)

    @staticmethod
    def record(run: Run) -> None:
        losses = [{"loss": 1 / epoch, "val_loss": 2 / epoch} for epoch in (1, 2, 3)]
        epochs = [loss | {"val_accuracy": value} for loss, value in zip(losses, ACCURACY, strict=True)]
        for epoch, metrics in enumerate(epochs, 1):
            run.log_epoch(epoch, metrics)
        run.log_params({"resolved.best_epoch": 2})
        run.log_metrics(best_metrics(epochs[1], 2), step=2)

    def begin(self, process: str, status: str = "RUNNING", host: str = "", **tags: str) -> str:
        """A run with this status that has recorded nothing; its id."""
        named = {HOST: host or platform.node(), PROCESS: process}
        run_id = str(self.client.create_run("1", run_name="begun", tags=named | tags).info.run_id)
        if status != "RUNNING":
            self.client.set_terminated(run_id, status)
        return run_id

    def remove_run(self, run_id: str) -> None:
        """Remove a run for good, as `mlflow gc` does."""
        for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
            execute(self.folder / "mlflow.db", f"DELETE FROM {table} WHERE run_uuid = ?", run_id)

    def run_record(self, run_id: str) -> tracking.RunRecord:
        """The record of a run that exists."""
        run = self.case("storage=null").store.run(run_id)
        assert run is not None
        return run

    def status(self, run_id: str) -> str:
        return str(self.client.get_run(run_id).info.status)

    def artifacts(self, run_id: str) -> Path:
        return self.folder / "mlartifacts" / run_id / "artifacts"

    def log_model(self, run_id: str, status: str = "READY") -> tuple[str, Path]:
        """An MLflow model of a run: its id, and the folder with its files."""
        model = self.client.create_logged_model("1", "dense", source_run_id=run_id)
        folder = Path(model.artifact_location.removeprefix("file://"))
        folder.mkdir(parents=True)
        (folder / "MLmodel").write_text("flavors: {}")
        if status != "PENDING":
            self.client.finalize_logged_model(model.model_id, status)
        return str(model.model_id), folder

    # --- trials -------------------------------------------------------------------------------------------------------

    @property
    def claims(self) -> study.Claims:
        return study.Claims(self.study_id.name, self.storage, SETTINGS, n_trials=9)

    @cached_property
    def study_id(self) -> StudyId:
        return StudyId("search", study.unique_id(study.open_study("search", self.storage.optuna, "maximize")))

    def claim(self, owner: str = "somebody") -> optuna.Trial:
        """A trial that says RUNNING; its worker is dead unless `claims.alive(owner)`."""
        claimed = self.claims.claim(owner, lambda trial: trial.suggest_float("x", 0, 1))
        assert not isinstance(claimed, study.NoTrial)
        return claimed[0]

    def complete_trial(self) -> tuple[optuna.Trial, str]:
        """A trial that is complete, and its run."""
        with self.claims.alive("somebody"):
            trial = self.claim()
            run_id = self.train(**self.study_id.tags_of_trial(trial.number))
            assert self.claims.complete(trial, "somebody", 0.5, {"run_id": run_id})
        return trial, run_id

    def sweep(self) -> str:
        """The FINISHED run of the sweep."""
        store = tracking.open_store(self.config("tracking.experiment=convlab").tracking)
        run, _ = tracking.open_parent_run(store, self.study_id)
        run.end("FINISHED")
        return str(run.run_id)

    # --- other files --------------------------------------------------------------------------------------------------

    def checkpoint(self, key: str, epoch: int = 5) -> Path:
        """A complete checkpoint; its manifest."""
        folder = self.folder / "checkpoints" / key
        write(folder, Checkpoint(epoch, {}, {"variables": Arrays(epoch, [np.arange(100.0)])}), {})
        return folder / f"{epoch:05}.json"


def sentences(findings: list[Finding]) -> list[str]:
    return [f"{finding.subject} {finding.problem}" for finding in findings]


def repair_all(findings: list[Finding]) -> None:
    for finding in findings:
        if finding.repair is not None:
            finding.repair.apply()


def tables(file: Path) -> dict[str, set[Any]]:
    """All rows of a SQLite file by table."""

    with contextlib.closing(sqlite3.connect(file)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: set(database.execute(f'SELECT * FROM "{name}"')) for name in names}


def execute(file: Path, statement: str, *values: str) -> None:
    """Change a SQLite file."""
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute(statement, values)
