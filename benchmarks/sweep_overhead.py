"""The time that the sweep itself adds to a trial, and the memory of its workers, as the study grows.

python -m benchmarks.sweep_overhead                  1,000 trials of a network that takes no time, one worker
python -m benchmarks.sweep_overhead --trials 200

A function that does nothing replaces the training of a trial. The rest is measured: claiming, drawing parameters,
composing, the MLflow run with its params, metrics and config, the reports for the pruner, storing the result. The
benchmark prints the median time of the trials around the 10th, the 200th and the 1000th.
"""

import argparse
import dataclasses
import itertools
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

SPACE = [
    "model.conv.0.filters=int(interval(4,32))",
    "model.conv.0.kernel_size=choice(3,5,7)",
    "model.dropout=interval(0,0.5)",
    "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))",
]


def plan(trials: int) -> Any:
    """Return the plan of a search, made as on the command line."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    from src.cli.compose import CONF
    from src.space.planning import plan_sweep

    typed = ["~local", "tracking.uri=sqlite:///mlflow.db", "dataset=synthetic", "training.epochs=2", *SPACE]
    settings = ["hydra.sweeper.storage=sqlite:///optuna.db", f"hydra.sweeper.n_trials={trials}"]
    settings += ["hydra/sweeper=optuna", "hydra/sweeper/pruner=median"]
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("train", [*typed, *settings], RunMode.MULTIRUN)
        return plan_sweep(loader, master, typed)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep_overhead")
    parser.add_argument("--trials", type=int, default=1000)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        measure(plan(trials), trials)


def measure(sweep: Any, trials: int) -> None:
    from src import fitting, keeping, tracking, train
    from src import study as search
    from src.sweep.worker import Job, Worker

    def no_training(
        model: Any,
        dataset: Any,
        config: Any,
        observers: Any = (),
        on_batches: Any = None,
        checkpoints: Any = None,
    ) -> fitting.Fit:
        history: dict[str, list[float]] = {}
        for epoch in (1, 2):
            logs = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5 + 0.01 * epoch}
            logs |= {"learning_rate": 1e-3, "epoch_seconds": 0.1, "images_per_second": 1000.0}
            for name, value in logs.items():
                history.setdefault(name, []).append(value)
            for observe in observers:
                observe(epoch, logs)
        return fitting.Fit(history, epoch, None)

    class NoModel:
        dtype_policy = dataclasses.make_dataclass("Policy", ["name"])("float32")

        def count_params(self) -> int:
            return 0

    fitting.fit = no_training
    train.prepare_model = lambda config, dataset: NoModel()
    keeping.save_in_run = lambda *arguments: None
    fitting.seed_everything = lambda *arguments: None

    storage = search.open_storage(sweep.settings.storage, sweep.tracking.uri)
    study = search.open_study("overhead", storage.optuna, sweep.direction)
    store = tracking.open_store(sweep.tracking)
    study_id = tracking.StudyId("overhead", search.unique_id(study))
    parent, _ = tracking.open_parent_run(store, study_id)
    from src import console

    console.console.quiet = True
    Worker(Job(sweep, study_id, parent.run_id, trials, [], 0, "overhead", None), threading.Event()).run()

    ended = study.trials
    starts = [trial.datetime_start.timestamp() for trial in ended if trial.datetime_start]
    seconds = [later - earlier for earlier, later in itertools.pairwise(starts)]
    for at in (10, 200, 1000):
        if at <= trials:
            around = seconds[max(0, at - 10) : at + 10] if at < trials else seconds[-20:]
            print(f"trial {at:>5}: {statistics.median(around):.3f} s")


if __name__ == "__main__":
    began = time.perf_counter()
    main()
    print(f"{time.perf_counter() - began:.0f} s in all, {Path(__file__).name}")
