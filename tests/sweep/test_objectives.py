"""Sweeps with several objectives, as users run them: the front, its files, and that the study can be resumed."""

import contextlib
import csv
import re
import time
from pathlib import Path

import pytest
import yaml

from src.process.machine import THREADS
from src.schema import front_of, objective_of
from tests.support.sweeps import SMALL, Study
from tests.support.workplace import Workplace, copy_of

pytestmark = pytest.mark.services

OBJECTIVES = [objective_of("val_accuracy"), objective_of("parameters")]
BOTH = "hydra.sweeper.objectives=[val_accuracy,parameters]"
SWEEP = [*SMALL, "model=dense", "model.dense=[4],[8]", "seed=1,2", BOTH, "hydra.sweeper.n_jobs=2"]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("objectives"))


@pytest.fixture(scope="module")
def swept(workplace: Workplace) -> tuple[Study, str]:
    """A grid of four trials, and what its command printed."""
    done = workplace.run("src.train", "-m", *SWEEP)
    assert done.returncode == 0, done.stderr
    return Study(workplace.folder), done.stdout


@pytest.mark.slow  # test_meter.py and tests/reports measure and record times
def test_networks_on_the_front_are_timed_again_when_no_worker_trains_and_a_second_report_has_the_same_times(
    tmp_path: Path,
) -> None:
    place, tables = Workplace(tmp_path), []
    command = [*SMALL, "model=dense", "model.dense=[4],[400]", "hydra.sweeper.objectives=[val_accuracy,latency_ms]"]
    for _ in range(2):
        done = place.run("src.train", "-m", *command)
        assert done.returncode == 0, done.stderr
        tables.append(front_table(Study(place.folder)))
    assert tables[0] == tables[1] != []
    for row in tables[0]:
        assert 0 < float(row["latency_ms_again"]) < 10 * float(row["latency_ms"])


def front_table(study: Study) -> list[dict[str, str]]:
    return list(csv.DictReader(study.artifact("front.csv").splitlines()))


def test_each_trial_has_its_best_epoch_s_metric_and_what_its_network_costs(swept: tuple[Study, str]) -> None:
    study, _ = swept
    study.assert_whole(4)
    assert study.study.metric_names == ["val_accuracy", "parameters"]
    for trial in study.study.trials:
        metrics = study.children[trial.number].data.metrics
        assert trial.values == [metrics["best_val_accuracy"], trial.user_attrs["costs"]["parameters"]]
        assert sorted(trial.user_attrs["reported"]) == ["1", "2"]


def test_the_sweep_s_run_the_table_and_the_terminal_have_the_front(swept: tuple[Study, str]) -> None:
    study, printed = swept
    trials = study.study.trials
    front = front_of([trial.values for trial in trials], OBJECTIVES)
    table = front_table(study)
    assert [int(row["trial"]) for row in table] == front
    for row in table:
        trial = trials[int(row["trial"])]
        assert [float(row["val_accuracy"]), float(row["parameters"])] == trial.values
        assert (row["model.dense"], row["run_id"]) == (trial.params["model.dense"], trial.user_attrs["run_id"])
        assert f"runs/{row['run_id']}" in study.parent.data.tags["mlflow.note.content"]
    assert f"front: {len(front)} of 4 complete trials" in printed
    assert study.parent.data.metrics["front_size"] == len(front)
    assert study.parent.data.metrics["val_accuracy"] == max(trial.values[0] for trial in trials)
    assert "parameters" not in study.parent.data.metrics
    files = {file.path for file in study.client.list_artifacts(study.parent.info.run_id, "figures")}
    assert {"figures/pareto.png", "figures/hypervolume.png", "figures/history.png"} <= files
    assert 'id="pareto"' in study.artifact("sweep.html")


def test_each_trial_on_the_front_is_a_recipe_and_no_trial_is_the_best(swept: tuple[Study, str]) -> None:
    study, _ = swept
    names = [f"front/trial-{int(row['trial']):03}.yaml" for row in front_table(study)]
    found = [file.path for file in study.client.list_artifacts(study.parent.info.run_id, "front")]
    assert sorted(found) == sorted(names)
    assert "best.yaml" not in [file.path for file in study.client.list_artifacts(study.parent.info.run_id)]
    recipe = yaml.safe_load(study.artifact(names[0]))
    trial = study.study.trials[int(front_table(study)[0]["trial"])]
    assert recipe["model"]["dense"] == yaml.safe_load(trial.params["model.dense"])


def test_the_same_command_resumes_the_study_and_other_objectives_are_refused(
    swept: tuple[Study, str], workplace: Workplace, tmp_path: Path
) -> None:
    study, _ = swept
    name = study.study.study_name
    place = copy_of(workplace, tmp_path / "copy")
    again = place.run("src.train", "-m", *SWEEP)
    assert again.returncode == 0, again.stderr
    assert "resuming: 4 trials already finished" in again.stdout
    assert Study(place.folder).artifact("front.csv") == study.artifact("front.csv")
    other = [BOTH.replace("parameters", "model_mb") if typed == BOTH else typed for typed in SWEEP]
    refused = place.run(
        "src.train", "-m", *other, f"hydra.sweeper.study_name={name}", "hydra.sweeper.on_change=continue"
    )
    assert refused.returncode == 2
    assert "maximizes val_accuracy and minimizes parameters, but this sweep" in refused.stderr


def test_status_and_watch_show_all_objectives(swept: tuple[Study, str], workplace: Workplace) -> None:
    study, _ = swept
    name = study.study.study_name
    status = workplace.run("src.sweep", "status", name)
    assert re.search(r"trial +state +val_accuracy +parameters +epochs", status.stdout), status.stderr
    watched = workplace.run("src.sweep", "watch", name)
    assert (watched.returncode, watched.stderr) == (0, "")
    assert "4 trials: 4 complete" in watched.stdout


# --- the whole way ---------------------------------------------------------------------------------------------------

TRIALS = 30
WHOLE = [
    "dataset.limit=6000",
    "training.epochs=4",
    "training.deterministic=true",
    "hydra/sweeper=optuna",
    f"hydra.sweeper.n_trials={TRIALS}",
    "hydra.sweeper.n_jobs=2",
    "model.conv.0.filters=int(interval(2,16))",
    "model.conv.1.filters=int(interval(4,32))",
    "model.dense=choice([16],[64],[120,84])",
    "optimizer.learning_rate=tag(log,interval(3e-4,1e-2))",
    BOTH,
]


def count_complete(study: Study) -> int:
    """The number of complete trials, 0 while the study is being made."""
    with contextlib.suppress(Exception):
        return [trial.state.name for trial in study.study.trials].count("COMPLETE")
    return 0


@pytest.mark.slow
def test_a_search_that_was_killed_ends_with_a_front_whose_recipes_train_again_to_the_same_values(
    tmp_path: Path, full_data: str
) -> None:
    place = Workplace(tmp_path)
    study = Study(tmp_path)
    killed = place.start("src.train", "-m", *WHOLE, DATA_DIR=full_data)
    while count_complete(study) < TRIALS // 3:
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.5)
    killed.kill()
    killed.communicate()

    done = place.run("src.train", "-m", *WHOLE, DATA_DIR=full_data)
    assert done.returncode == 0, done.stderr
    study.assert_whole(TRIALS)
    complete = [trial for trial in study.study.trials if trial.state.name == "COMPLETE"]
    assert len(complete) == TRIALS
    trials = [complete[index] for index in front_of([trial.values for trial in complete], OBJECTIVES)]
    assert [int(row["trial"]) for row in front_table(study)] == [trial.number for trial in trials]
    assert len(trials) > 1

    (tmp_path / "own" / "experiment").mkdir(parents=True)
    for trial in trials:
        name = f"trial-{trial.number:03}"
        (tmp_path / "own" / "experiment" / f"{name}.yaml").write_text(study.artifact(f"front/{name}.yaml"))
        typed = ["--config-dir", str(tmp_path / "own"), f"experiment={name}", "tracking.experiment=again"]
        threads = study.children[trial.number].data.params["resolved.threads"]  # of a worker: sums depend on them
        again = place.run("src.train", *typed, DATA_DIR=full_data, **dict.fromkeys(THREADS, threads))
        assert again.returncode == 0, again.stderr
        experiment = study.client.get_experiment_by_name("again")
        assert experiment is not None
        (run, *_) = study.client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])
        accuracy, parameters = trial.values
        assert run.data.metrics["best_val_accuracy"] == pytest.approx(accuracy, abs=0.003)
        assert float(run.data.params["resolved.parameters"]) == parameters
