"""Runs, MLflow models and registered versions of a store as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from mlflow.entities import LoggedModel, LoggedModelStatus
from mlflow.entities import Run as MlflowRun

from src.places import local_folder
from src.tracking.process import has_process
from src.tracking.tags import ART, FINGERPRINT, PROCESS, STUDY_ID, host_of, is_parent, is_sweep, read_tag


class RunRecord(NamedTuple):
    """The record of one run.

    Attributes:
        status: RUNNING, FINISHED, FAILED or KILLED.
        started, ended: in ms since 1970; the second is None while the run is RUNNING.
        metrics: the last value of each.
        folder: the folder of its artifacts on this disk, None when they are behind a server.
    """

    run_id: str
    experiment_id: str
    name: str
    status: str
    is_deleted: bool
    started: int
    ended: int | None
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    folder: Path | None

    @property
    def since(self) -> str:
        """The local time of the start."""
        return local_time(self.started)

    @property
    def host(self) -> str | None:
        """The machine of its process, None when that is unknown."""
        return host_of(self.tags)

    @property
    def has_process(self) -> bool | None:
        """True if its process exists, None if that cannot be seen from here."""
        return has_process(self.tags)

    @property
    def is_parent(self) -> bool:
        """True for the run of a sweep or a pipeline."""
        return is_parent(self.tags)

    @property
    def is_sweep(self) -> bool:
        """True for the run of a sweep."""
        return is_sweep(self.tags)

    @property
    def is_foreign(self) -> bool:
        """True for a run that another program began: every run of this one names its process, except for parents."""
        return not self.is_parent and read_tag(self.tags, PROCESS) is None

    @property
    def art(self) -> str | None:
        """The command that makes a picture in this run, `dream` or `style`; None for other runs."""
        return read_tag(self.tags, ART)

    @property
    def is_training(self) -> bool:
        """True for a training of this program that has recorded its settings."""
        return not self.is_parent and not self.is_foreign and "training.epochs" in self.params

    @property
    def study(self) -> str | None:
        """The id of the study that the run belongs to."""
        return read_tag(self.tags, STUDY_ID)

    @property
    def trial(self) -> int | None:
        """The number of its trial, None for a run that is not a trial's."""
        number = self.tags.get("trial", "")
        return int(number) if self.study is not None and not self.is_sweep and number.isdecimal() else None

    @property
    def keeps_model(self) -> bool:
        """True if the run kept its model when it finished: then it can be reused, and has a fingerprint."""
        wanted = self.params.get("tracking.save_model") == "true"
        return wanted and read_tag(self.tags, FINGERPRINT) is not None


class ModelRecord(NamedTuple):
    """The record of an MLflow model that a run logged; `folder` is on this disk, None when it is behind a server."""

    model_id: str
    name: str
    run_id: str | None
    is_pending: bool
    is_ready: bool
    folder: Path | None


class VersionRecord(NamedTuple):
    """The record of a version of a registered model; `run_id` is the run that trained it, None without one."""

    name: str
    number: int
    run_id: str | None


def local_time(milliseconds: int) -> str:
    """Return a time in ms since 1970 as local time, such as `2026-11-28 12:03`."""
    return f"{datetime.fromtimestamp(milliseconds / 1000):%Y-%m-%d %H:%M}"


def run_record(run: MlflowRun) -> RunRecord:
    """Return the record of a run."""
    info = run.info
    return RunRecord(
        run_id=info.run_id,
        experiment_id=info.experiment_id,
        name=info.run_name or "",
        status=info.status,
        is_deleted=info.lifecycle_stage != "active",
        started=info.start_time or 0,
        ended=info.end_time,
        tags=run.data.tags,
        params=run.data.params,
        metrics=run.data.metrics,
        folder=local_folder(str(info.artifact_uri)),
    )


def model_record(model: LoggedModel) -> ModelRecord:
    """Return the record of an MLflow model."""
    return ModelRecord(
        model_id=model.model_id,
        name=model.name,
        run_id=model.source_run_id or None,
        is_pending=model.status == LoggedModelStatus.PENDING,
        is_ready=model.status == LoggedModelStatus.READY,
        folder=local_folder(str(model.artifact_location)),
    )
