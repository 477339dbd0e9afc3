"""A sweep with a limit: networks over it are not trained, and never the best."""

import csv
import subprocess

import pytest

from tests.support.sweeps import Study
from tests.support.workplace import Workplace

SPACE = ["-m", "dataset=synthetic", "dataset.limit=100", "training.epochs=1", "model=dense", "model.dense.0=64,16,8"]
NAMED = ["hydra.sweeper.study_name=small", "hydra.sweeper.n_jobs=2"]
PARAMETERS = {64: 50_890, 16: 12_730, 8: 6_370}  # of the network with this many units


def sweep(workplace: Workplace, limit: int, *more: str) -> subprocess.CompletedProcess[str]:
    return workplace.run("src.train", *SPACE, *NAMED, f"hydra.sweeper.constraints={{parameters:{limit}}}", *more)


@pytest.mark.services
def test_networks_over_a_limit_are_not_trained_and_a_lower_limit_later_excludes_trained_ones(
    workplace: Workplace,
) -> None:
    done = sweep(workplace, 30_000)
    assert done.returncode == 0, done.stderr
    study = Study(workplace.folder)
    study.assert_whole(3)
    over, *trained = study.study.trials
    assert [trial.state.name for trial in study.study.trials] == ["PRUNED", "COMPLETE", "COMPLETE"]
    assert over.intermediate_values == {}
    assert over.user_attrs["reason"] == "parameters 50,890 > 30,000"
    assert study.study.best_trial in trained  # Optuna sees the same
    assert "trial 0  PRUNED    0 epochs" in done.stdout
    assert "model.dense.0=64  parameters 50,890 > 30,000" in done.stdout
    assert "3 trials: 2 complete, 1 pruned (1 over a limit)" in done.stdout

    for trial in study.study.trials:
        run = study.children[trial.number]
        assert run.data.metrics["parameters"] == PARAMETERS[trial.params["model.dense.0"]]
        assert run.data.tags.get("over_limit") == trial.user_attrs.get("reason")
    assert study.children[0].data.tags["trial_state"] == "PRUNED"
    assert "val_accuracy" not in study.children[0].data.metrics
    rows = list(csv.DictReader(study.artifact("trials.csv").splitlines()))
    assert [int(row["parameters"]) for row in rows] == list(PARAMETERS.values())
    assert "1 network was over a limit" in study.parent.data.tags["mlflow.note.content"]
    assert "parameters 50,890 &gt; 30,000" in study.artifact("sweep.html")

    done = sweep(workplace, 10_000, "hydra.sweeper.on_change=continue")
    assert done.returncode == 0, done.stderr
    assert "best: trial 2," in done.stdout
    assert study.parent.data.metrics["parameters"] == PARAMETERS[8]
    shown = workplace.run("src.sweep", "status", "small").stdout
    assert "parameters 50,890 > 30,000" in shown
    assert "over the limit: parameters 12,730 > 10,000" in shown
