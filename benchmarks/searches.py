"""Small accurate networks: the best of a search within a limit of parameters, trained with three seeds.

python -m benchmarks.searches
python -m benchmarks.searches mnist_100k --folder FOLDER

Validation accuracy alone decides; each of the three models is scored on the test split once. The runs are kept in the
folder: after an interruption the same command continues, and a search that is complete is only read.
"""

import os
import statistics
import sys
from pathlib import Path
from typing import Any, NamedTuple

from mlflow import MlflowClient
from mlflow.entities import Run

from benchmarks.measuring import ROOT, Failed, Figures, arguments, chosen, keep, ready, results_file, run

SEARCHES = ("mnist_100k", "fashion_500k")
WORKERS = 2
EPOCHS = 24
TYPED = ("choose.metric=val_accuracy", f"final_epochs={EPOCHS}", f"hydra.sweeper.n_jobs={WORKERS}")
PICTURE = "figures/pareto.png"
EXPERIMENT = "1"  # the only one of a new store


class Found(NamedTuple):
    """The result of a search.

    Attributes:
        finals: of each seed, the test accuracy and the minutes of its epochs.
        facts: of the search; its `minutes` are those of all epochs, as if every worker had always been busy.
        picture: a PNG file, the trials with the front.
    """

    finals: list[Figures]
    facts: dict[str, Any]
    picture: bytes


def main() -> None:
    parser = arguments(__doc__, SEARCHES)
    parser.add_argument("--folder", type=Path, help="where the runs are kept")
    options = parser.parse_args()
    folder = options.folder or results_file("searches", False).with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    names = chosen(options, SEARCHES)
    ready([])
    found = {}
    for name in names:
        if complete(folder, name) is None:
            try:
                run(["-m", "pipelines.best_of_sweep", f"hparams_search={name}", *TYPED], folder)
            except Failed as error:
                sys.exit(str(error))
        found[name] = read(folder, name)
        pictures = Path(os.environ.get("RESULTS", ROOT / "docs/images")) if options.publish else folder
        (pictures / f"search_{name}.png").write_bytes(found[name].picture)
    keep(
        "searches",
        {name: each.finals for name, each in found.items()},
        options.publish,
        searches={name: each.facts for name, each in found.items()},
    )


def complete(folder: Path, name: str) -> Run | None:
    """Return the run of a pipeline that has finished, None if there is none yet."""
    if not (folder / "mlflow.db").exists():
        return None
    runs = client(folder).search_runs([EXPERIMENT], "tags.pipeline = 'best_of_sweep'")
    prefix = f"best of {name}-"
    return next((run for run in runs if run.info.run_name.startswith(prefix) and run.info.status == "FINISHED"), None)


def client(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder.resolve()}/mlflow.db")


def read(folder: Path, name: str) -> Found:
    """Return the result of a search that is complete."""
    store, pipeline = client(folder), complete(folder, name)
    assert pipeline is not None
    finals = children(store, pipeline)
    (sweep,) = store.search_runs([EXPERIMENT], f"attributes.run_name = '{pipeline.info.run_name[len('best of ') :]}'")
    trials = [trial for trial in children(store, sweep) if trial.info.status == "FINISHED"]  # others were tried again
    trained = [trial for trial in trials if "epoch_seconds" in trial.data.metrics]
    (best,) = [trial for trial in trials if trial.data.tags["trial"] == pipeline.data.tags["chosen_trial"]]
    return Found(
        [
            {"test_accuracy": final.data.metrics["test_accuracy"], "minutes": epoch_minutes(store, final)}
            for final in finals
        ],
        {
            "parameters": int(pipeline.data.metrics["parameters"]),
            "val_accuracy": best.data.metrics["best_val_accuracy"],
            "trials": len(trials),
            "trained": len(trained),
            "minutes": sum(epoch_minutes(store, trial) for trial in trained) / WORKERS,
        },
        Path(store.download_artifacts(sweep.info.run_id, PICTURE)).read_bytes(),
    )


def children(store: MlflowClient, parent: Run) -> list[Run]:
    """Return the runs of a sweep or a pipeline, in the order of their names."""
    runs = store.search_runs([EXPERIMENT], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'", max_results=1_000)
    return sorted(runs, key=lambda run: str(run.info.run_name))


def epoch_minutes(store: MlflowClient, run: Run) -> float:
    """Return the minutes of a run's epochs. Each counts as their median, since one may contain hours of a pause."""
    seconds = [point.value for point in store.get_metric_history(run.info.run_id, "epoch_seconds")]
    return len(seconds) * statistics.median(seconds) / 60


if __name__ == "__main__":
    main()
