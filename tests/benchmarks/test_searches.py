"""What the benchmark of searches reads from the runs of a search that is complete."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from mlflow import MlflowClient

from benchmarks.searches import EXPERIMENT, PICTURE, complete, read

PARENT = "mlflow.parentRunId"


class Store:
    """A store with the runs of a pipeline, each ended at once."""

    def __init__(self, folder: Path) -> None:
        self.client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
        assert self.client.create_experiment("convlab", artifact_location=(folder / "files").as_uri()) == EXPERIMENT

    def run(
        self,
        name: str,
        parent: str | None = None,
        status: str = "FINISHED",
        seconds: Sequence[float] = (),
        tags: dict[str, str] | None = None,
        **metrics: float,
    ) -> str:
        made = self.client.create_run(
            EXPERIMENT, run_name=name, tags=(tags or {}) | ({PARENT: parent} if parent else {})
        )
        for epoch, value in enumerate(seconds, start=1):
            self.client.log_metric(made.info.run_id, "epoch_seconds", value, step=epoch)
        for metric, value in metrics.items():
            self.client.log_metric(made.info.run_id, metric, value)
        self.client.set_terminated(made.info.run_id, status)
        return str(made.info.run_id)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A search of three trials, one of them over the limit and one interrupted and tried again, and two trainings."""
    made = Store(tmp_path)
    tags = {"pipeline": "best_of_sweep", "chosen_trial": "2"}
    pipeline = made.run("best of mnist_100k-1f", tags=tags, parameters=81114.0)
    sweep = made.run("mnist_100k-1f")
    made.client.log_text(sweep, "a picture", PICTURE)
    made.run("trial-000", sweep, "KILLED", seconds=[60, 3600], tags={"trial": "0"})
    made.run("trial-001", sweep, tags={"trial": "1"})
    made.run("trial-002", sweep, seconds=[60, 3600, 60], tags={"trial": "2"}, best_val_accuracy=0.75)
    made.run("trial-003", sweep, seconds=[120, 120], tags={"trial": "3"}, best_val_accuracy=0.5)
    for seed in (1, 2):
        made.run(f"seed-{seed}", pipeline, seconds=[60.0 * seed], test_accuracy=seed / 4)
    return made


def test_trials_that_were_tried_again_and_pauses_do_not_count(store: Store, tmp_path: Path) -> None:
    found = read(tmp_path, "mnist_100k")
    assert found.finals == [{"test_accuracy": 0.25, "minutes": 1}, {"test_accuracy": 0.5, "minutes": 2}]
    assert (found.facts["trials"], found.facts["trained"], found.facts["minutes"]) == (3, 2, (3 * 1 + 2 * 2) / 2)
    assert (found.facts["parameters"], found.facts["val_accuracy"]) == (81114, 0.75)
    assert found.picture == b"a picture"


@pytest.mark.parametrize("name", ["fashion_500k", "mnist_100"])
def test_the_search_of_another_name_is_not_taken_for_it(name: str, store: Store, tmp_path: Path) -> None:
    assert complete(tmp_path, name) is None


def test_without_a_store_nothing_is_complete(tmp_path: Path) -> None:
    assert complete(tmp_path, "mnist_100k") is None
    assert not (tmp_path / "mlflow.db").exists()
