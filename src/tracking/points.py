"""The points of a metric as a run has recorded them."""

import mlflow
from mlflow.entities import Metric


def points_of(client: mlflow.MlflowClient, run_id: str, name: str) -> list[Metric]:
    """Return a metric's points by step; of an epoch that was trained again after an interruption, the last one."""
    found = sorted(client.get_metric_history(run_id, name), key=lambda point: (point.step, point.timestamp))
    return list({point.step: point for point in found}.values())
