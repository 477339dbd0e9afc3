"""Runs that still say RUNNING although their process was killed, and the models that it was writing."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable
from typing import TYPE_CHECKING

from src.links import doctor_command
from src.tracking.artifacts import abandon_models, remove_unfinished
from src.tracking.process import is_gone
from src.tracking.tags import HOST, filter_by, is_parent

if TYPE_CHECKING:
    import mlflow
    from mlflow.entities import Run as MlflowRun


def end_abandoned_runs(
    client: mlflow.MlflowClient, experiment_id: str, say: Callable[[str], None] | None = None
) -> list[str]:
    """Mark runs KILLED that are RUNNING although their process, on this machine, has ended.

    One request asks for the runs of this machine. Those of earlier versions, which have no `convlab.host`, wait for
    `python -m src.doctor`. Errors of the store are ignored, because it is opened for another purpose.

    Args:
        client: of the store.
        experiment_id: of the experiment.
        say: prints a line if there are such runs.

    Returns:
        The ids of the runs.
    """
    ended: list[str] = []
    with contextlib.suppress(Exception):
        wanted = f"attributes.status = 'RUNNING' and {filter_by({HOST: platform.node()})}"
        for run in client.search_runs([experiment_id], wanted):
            if not is_parent(run.data.tags) and is_gone(run.data.tags):
                end_killed_run(client, run)
                ended.append(run.info.run_id)
    if ended and say is not None:
        runs = "1 run was" if len(ended) == 1 else f"{len(ended)} runs were"
        command = doctor_command(client.tracking_uri)
        say(f"{runs} killed; `{command}` lists killed runs and the commands that resume them")
    return ended


def end_killed_run(client: mlflow.MlflowClient, run: MlflowRun) -> None:
    """Mark a run KILLED. Its half-written models become FAILED, and its half-written files are removed."""
    abandon_models(client, run.info.experiment_id, run.info.run_id)
    remove_unfinished(run.info.artifact_uri)
    client.set_terminated(run.info.run_id, "KILLED")
