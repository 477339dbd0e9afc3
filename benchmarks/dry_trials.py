"""An extension for `benchmarks.sweep_overhead`: trials that train nothing, and the seconds of a sweep's report.

`src.train -m 'extensions=[dry_trials]'` runs a sweep with all its processes. The network is built once in each worker,
and a fit reports invented metrics. The rest of a trial is as always.
"""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import src.sweep.running
from src import fitting, train
from src.schema import METRICS, Metric

EPOCHS = 2
REPORT = Path("report_seconds.txt").absolute()  # a line with a number for each part of a report

METRICS["dry"] = Metric(direction="maximize", label="dry", in_test="src.fitting.formulas:accuracy")  # one is required

prepare_model = train.prepare_model
prepared: list[Any] = []


def prepare_once(*arguments: Any) -> Any:
    """Return the network of the first trial in this process."""
    prepared[:] = prepared or [prepare_model(*arguments)]
    return prepared[0]


def fit_nothing(model: Any, dataset: Any, config: Any, observers: Sequence[Any] = (), *more: Any, **others: Any) -> Any:
    """Report metrics that depend on the name of the run, and return them."""
    history: dict[str, list[float]] = {}
    accuracy = random.Random(str(config.tracking.run_name)).uniform(0.5, 0.9)
    for epoch in range(1, EPOCHS + 1):
        logs = {"loss": 1.0, "accuracy": accuracy, "val_loss": 1.0, "val_accuracy": accuracy + 0.01 * epoch}
        logs |= {"learning_rate": 1e-3, "epoch_seconds": 0.1, "images_per_second": 1000.0}
        for name, value in logs.items():
            history.setdefault(name, []).append(value)
        answers = [observe(epoch, logs) for observe in observers]
        if any(answers):
            break
    return fitting.Fit(history, len(history["loss"]), None)


def timed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, which then notes how many seconds it took."""

    def call(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        result = function(*arguments, **named)
        with REPORT.open("a") as file:
            file.write(f"{time.perf_counter() - began}\n")
        return result

    return call


training: Any = train
training.prepare_model, fitting.fit = prepare_once, fit_nothing
running: Any = src.sweep.running
running.write_results, running.write_plots = timed(running.write_results), timed(running.write_plots)
