"""Samples of the machine's use during a training: processor, memory, disk, network."""

import contextlib

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from src.errors import StoreError
from src.tracking.run import Run


class SystemMetrics(SystemMetricsMonitor):
    """MLflow's monitor of the machine, which records through the run, so that no sample is lost in an outage.

    MLflow's own monitor ends at the first request that fails.
    """

    def __init__(self, run: Run, is_resumed: bool = False) -> None:
        super().__init__(run.run_id, resume_logging=is_resumed)
        self._run = run

    def monitor(self) -> None:
        """Sample until the training ends."""
        while True:
            for _ in range(self.samples_before_logging):
                self.collect_metrics()
                if self._shutdown_event.wait(self.sampling_interval):
                    return
            self.publish_metrics(self.aggregate_metrics())

    def publish_metrics(self, metrics: dict[str, float]) -> None:
        """Record the samples as points of one step."""
        prefix = self._metrics_prefix + (f"{self.node_id}/" if self.node_id else "")
        with contextlib.suppress(StoreError):  # the training raises it too
            self._run.log_metrics({prefix + name: value for name, value in metrics.items()}, self._logging_step)
        self._logging_step += 1
        for monitor in self.monitors:
            monitor.clear_metrics()
