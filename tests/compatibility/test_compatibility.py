"""What an earlier version kept is used by this one: its runs, its models, a search half done. README.md says more."""

import contextlib
import csv
import sqlite3
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from optuna.trial import FrozenTrial

from tests.support.stored import Stored
from tests.support.workplace import Workplace

pytestmark = pytest.mark.services
ARCHIVE = Path(__file__).with_name("store.tar.xz")
MADE_IN = Path("/tmp/compat_store")  # in which the store was made, and which its databases name
PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
SETTINGS = ("model.", "dataset.", "optimizer.", "schedule.", "training.", "augmentation.", "seed", "evaluate_test")
SMALL = ["dataset=synthetic", "dataset.image_size=[14,14]", "dataset.limit=400", "training.batch_size=32"]
NET = ["model=lenot", "model.conv.0.filters=4", "model.conv.1.filters=8", "model.dense=[16]"]
SEARCH = [
    "-m",
    "hydra/sweeper=optuna",
    "hydra/sweeper/pruner=median",
    "hydra.sweeper.pruner.n_startup_trials=2",
    "hydra.sweeper.pruner.n_warmup_steps=4",
    "hydra.sweeper.study_name=half_done",
    "hydra.sweeper.sampler.seed=1",
    *SMALL,
    *NET,
    "optimizer=adam",
    "training.epochs=12",
    "model.conv.0.kernel_size=choice(3,5,40)",
    "optimizer.learning_rate=tag(log,interval(1e-3,1e-1))",
]
N_TRIALS = 8
AGREEMENT = 2e-5  # of two scores, which are kept with six decimals


@dataclass(frozen=True)
class Earlier(Stored):
    """The store of an earlier version, unpacked at another place, with its folders of pictures."""

    def runs(self, wanted: str = "") -> list[Any]:
        experiment = self.client.get_experiment_by_name("convlab")
        assert experiment is not None
        return list(self.client.search_runs([experiment.experiment_id], wanted, max_results=1000))

    def run_named(self, name: str) -> Any:
        (run,) = self.runs(f"attributes.run_name = '{name}'")
        return run

    def id_of(self, name: str) -> str:
        return str(self.run_named(name).info.run_id)

    def artifact(self, name: str, path: str) -> Path:
        """The file of the run of this name, which need not be there."""
        return self.workplace.folder / "mlartifacts" / self.id_of(name) / "artifacts" / path

    def command(self, module: str, *arguments: str) -> str:
        """What a command says that ends well."""
        done = self.workplace.run(module, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    @property
    def study(self) -> optuna.Study:
        storage = f"sqlite:///{self.workplace.folder / 'optuna.db'}"
        assert optuna.get_all_study_names(storage) == ["half_done"]  # the earlier one, and no other
        return optuna.load_study(study_name="half_done", storage=storage)


@pytest.fixture
def earlier(tmp_path: Path) -> Earlier:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    moved = [(MADE_IN.as_uri(), tmp_path.as_uri()), (str(MADE_IN), str(tmp_path))]
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        for table, column in PLACES:
            for there, here in moved:
                database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (there, here))
    return Earlier(Workplace(tmp_path))


def table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def assert_same_answers(answers: list[dict[str, str]], expected: list[dict[str, str]], column: str) -> None:
    assert [row["predicted"] for row in answers] == [row[column] for row in expected]
    scores, known = ([float(row["score"]) for row in rows] for rows in (answers, expected))
    assert scores == pytest.approx(known, abs=AGREEMENT)


# --- runs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [pytest.param("former", marks=pytest.mark.slow), "better", "shades"])
def test_a_run_of_an_earlier_version_is_evaluated_with_the_same_accuracy(earlier: Earlier, name: str) -> None:
    before = earlier.run_named(name).data.metrics
    file = earlier.artifact(name, "tables/test_predictions.csv")
    known = table(file) if file.exists() else None  # a run of tracking.detail=light has no tables
    file.unlink(missing_ok=True)
    out = earlier.command("src.evaluate", f"run_id={earlier.id_of(name)}")
    assert f"test_accuracy {before['test_accuracy']:.4f}" in out
    after = earlier.run_named(name).data.metrics
    assert after["test_accuracy"] == before["test_accuracy"]
    assert after == pytest.approx(before, rel=1e-4)
    rows = table(file)
    right = [row["label"] == row["predicted"] for row in rows]
    assert sum(right) / len(right) == pytest.approx(before["test_accuracy"])
    if known is not None:
        assert_same_answers(rows, known, "predicted")


def test_a_run_of_an_earlier_version_is_explained_with_every_picture_drawn_again(earlier: Earlier) -> None:
    pictures = ["figures/filters.png", "figures/feature_maps/page_1.png", "figures/grad_cam.png"]
    files = [earlier.artifact("better", picture) for picture in pictures]
    for file in files:
        file.unlink()
    out = earlier.command("src.explain", f"run_id={earlier.id_of('better')}")
    assert all(picture in out for picture in pictures)
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)


@pytest.mark.parametrize("name", [pytest.param("former", marks=pytest.mark.slow), "better", "shades"])
def test_a_run_of_an_earlier_version_is_reproduced_on_the_same_data_with_the_same_result(
    earlier: Earlier, name: str
) -> None:
    then = earlier.run_named(name)
    done = earlier.workplace.run("pipelines.reproduce", f"run_id={then.info.run_id}")
    (now,) = earlier.runs(f"tags.reproduces = '{then.info.run_id}'")
    assert now.info.status == "FINISHED"
    assert now.data.params["resolved.data_digest"] == then.data.params["resolved.data_digest"]
    settings = {key: value for key, value in then.data.params.items() if key.startswith(SETTINGS)}
    assert len(settings) > 40
    assert {key: now.data.params.get(key) for key in settings} == settings
    spread = 0.5 if name == "better" else 0.05  # its few images were in another order then
    for metric in ("test_loss", "best_val_loss"):
        assert now.data.metrics[metric] == pytest.approx(then.data.metrics[metric], rel=spread)
    for metric in ("test_accuracy", "best_val_accuracy"):
        assert now.data.metrics[metric] == pytest.approx(then.data.metrics[metric], abs=0.17)  # of six images, one
    drift = {row["what"]: row for row in table(earlier.artifact(f"again-{name}", "drift.csv"))}
    assert drift["data"]["verdict"] == "same"
    assert drift["code (SHA-256 of src/)"]["then"] == then.data.params["resolved.code_digest"][:12]
    assert float(drift["test_accuracy"]["then"]) == then.data.metrics["test_accuracy"]
    # A deterministic run, `former`, is held to the last bit, which another machine or another order does not give.
    verdicts = {row["what"]: row["verdict"] for row in drift.values() if row["what"] in then.data.metrics}
    assert {"test_accuracy", "test_loss", "val_accuracy", "val_loss"} <= set(verdicts)
    assert done.returncode == int("CHANGED" in verdicts.values()), done.stdout + done.stderr
    assert name != "shades" or "CHANGED" not in verdicts.values()


def test_a_training_starts_from_the_weights_of_a_run_of_an_earlier_version(earlier: Earlier) -> None:
    known = earlier.run_named("better").data.metrics["best_val_accuracy"]
    start = f"training.initial_weights={earlier.id_of('better')}"
    line = ["optimizer.learning_rate=1e-6", "training.epochs=1", start, "tracking.run_name=continued"]
    earlier.command("src.train", *SMALL, *NET, *line)
    metrics = earlier.run_named("continued").data.metrics
    assert metrics["val_accuracy"] == pytest.approx(known, abs=0.04)  # a network that begins anew has 0.1


# --- registered models -------------------------------------------------------------------------------------------


def test_the_champion_of_an_earlier_version_says_the_same_of_the_same_pictures(earlier: Earlier) -> None:
    line = ["model_uri=models:/synthetic@champion", "images=unlabelled", "output=answers.csv"]
    earlier.command("src.predict", *line)
    answers = table(earlier.workplace.folder / "answers.csv")
    assert [Path(row["image"]).name for row in answers] == [f"{number:03}.png" for number in range(20)]
    # The pictures are the first test images of the champion's run, which keeps what it said of them.
    known = table(earlier.artifact("former", "tables/test_predictions.csv"))[:20]
    assert_same_answers(answers, known, "predicted_class")


def test_a_run_that_an_earlier_version_registered_keeps_its_version_and_its_alias(earlier: Earlier) -> None:
    earlier.command("src.register", f"run_id={earlier.id_of('former')}", "alias=champion")
    (version,) = earlier.client.search_model_versions("name = 'synthetic'")
    assert (version.version, version.run_id) == (1, earlier.id_of("former"))
    assert earlier.client.get_registered_model("synthetic").aliases == {"champion": 1}


def test_a_run_of_an_earlier_version_is_registered_and_beats_the_champion_of_that_version(earlier: Earlier) -> None:
    run = earlier.run_named("better")
    earlier.command("src.register", f"run_id={run.info.run_id}", "alias=champion", "if_better=true")
    version = earlier.client.get_model_version_by_alias("synthetic", "champion")
    assert (version.version, version.run_id) == (2, run.info.run_id)
    assert float(version.tags["test_accuracy"]) == run.data.metrics["test_accuracy"]
    assert version.tags["data_digest"] == run.data.params["resolved.data_digest"]
    assert "it beats the former champion (version 1)" in version.tags["verdict"]
    assert float(version.tags["mcnemar_p_value"]) < 0.05
    assert len(earlier.client.search_model_versions("name = 'synthetic'")) == 2


# --- a search ----------------------------------------------------------------------------------------------------


def outcome(trial: FrozenTrial) -> tuple[Any, ...]:
    ended = trial.datetime_start, trial.datetime_complete
    return trial.number, trial.state.name, trial.value, trial.params, trial.intermediate_values, ended


def test_a_search_of_an_earlier_version_that_was_killed_is_shown_with_its_state(earlier: Earlier) -> None:
    out = earlier.command("src.sweep", "status")
    (line,) = [line.split() for line in out.splitlines() if line.strip().startswith("half_done")]
    assert line[1:4] == ["2", "0", "2"]  # complete, pruned, failed


def test_a_search_of_an_earlier_version_is_resumed_to_its_exact_total_with_its_trials_kept(earlier: Earlier) -> None:
    *done, killed = earlier.study.trials
    assert [trial.state.name for trial in done] == ["COMPLETE", "COMPLETE", "FAIL", "FAIL"]
    assert (killed.state.name, earlier.run_named("half_done").info.status) == ("RUNNING", "RUNNING")
    parent, first_run = earlier.id_of("half_done"), earlier.id_of("trial-001")
    earlier.command("src.train", *SEARCH, f"hydra.sweeper.n_trials={N_TRIALS}")

    trials = earlier.study.trials
    assert [outcome(trial) for trial in trials[:4]] == [outcome(trial) for trial in done]
    assert trials[4].user_attrs["interrupted"]
    (again,) = [trial for trial in trials if trial.user_attrs.get("retry_of") == 4]
    assert again.params == killed.params
    assert len(trials) == N_TRIALS + 1  # the one that was killed does not count
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "PRUNED", "FAIL"}

    assert (earlier.id_of("half_done"), earlier.id_of("trial-001")) == (parent, first_run)
    assert earlier.run_named("half_done").info.status == "FINISHED"
    children = earlier.runs(f"tags.`mlflow.parentRunId` = '{parent}'")
    assert sorted(int(run.data.tags["trial"]) for run in children) == list(range(N_TRIALS + 1))
    assert earlier.run_named("trial-004").info.status == "KILLED"
    rows = table(earlier.artifact("half_done", "trials.csv"))
    states = [trial.state.name for trial in trials]
    assert [row["state"] for row in rows] == [*states[:4], "INTERRUPTED", *states[5:]]
    best = earlier.study.best_trial
    recipe = yaml.safe_load(earlier.artifact("half_done", "best.yaml").read_text())
    assert recipe["optimizer"]["learning_rate"] == best.params["optimizer.learning_rate"]
    assert recipe["model"]["conv"][0]["kernel_size"] == int(best.params["model.conv.0.kernel_size"])
    assert earlier.run_named("half_done").data.metrics["best_val_accuracy"] == best.value


def test_the_best_of_a_search_of_an_earlier_version_is_a_recipe_that_reaches_its_value(earlier: Earlier) -> None:
    recipe = earlier.workplace.folder / "conf" / "experiment" / "best.yaml"
    recipe.parent.mkdir(parents=True)
    recipe.write_bytes(earlier.artifact("half_done", "best.yaml").read_bytes())
    earlier.command("src.train", "--config-dir", "conf", "experiment=best", "tracking.run_name=best")
    run = earlier.run_named("best")
    best = earlier.study.best_trial
    assert run.data.tags["best_of"] == "half_done"
    assert float(run.data.params["optimizer.learning_rate"]) == best.params["optimizer.learning_rate"]
    assert run.data.metrics["best_val_accuracy"] == pytest.approx(
        best.value, abs=0.15
    )  # in another order of the images


# --- the doctor ----------------------------------------------------------------------------------------------------


def test_a_store_of_an_earlier_version_has_only_the_faults_of_its_killed_search_which_are_repaired(
    earlier: Earlier,
) -> None:
    parent, trial = earlier.id_of("half_done"), earlier.id_of("trial-004")
    done = earlier.workplace.run("src.doctor", "hosts=all")  # the archive may have been made on another machine
    assert done.returncode == 1
    assert done.stderr.startswith("error: 2 faults are in")
    assert "trial 4 of study half_done says RUNNING, but its worker is dead" in done.stdout
    assert parent in done.stdout
    others = {run.info.run_id: run.to_dictionary() for run in earlier.runs() if run.info.run_id not in (parent, trial)}
    earlier.command("src.doctor", "hosts=all", "fix=true")
    runs = {run.info.run_id: run for run in earlier.runs()}
    assert {runs[parent].info.status, runs[trial].info.status} == {"KILLED"}
    assert {run_id: runs[run_id].to_dictionary() for run_id in others} == others
    assert earlier.study.trials[4].user_attrs["interrupted"]
    assert earlier.command("src.doctor").splitlines()[-1].startswith("nothing is wrong in")


# --- a pipeline --------------------------------------------------------------------------------------------------


def test_a_comparison_of_an_earlier_version_is_resumed_in_its_run_with_the_same_accuracies(earlier: Earlier) -> None:
    name = "compare dense, lenot on synthetic"
    before = {row["model"]: row for row in table(earlier.artifact(name, "leaderboard.csv"))}
    line = ["models=[dense,lenot]", "seeds=[1]", *SMALL, "model.dense=[16]", "training.epochs=2"]
    earlier.command("pipelines.compare_models", *line)
    after = {row["model"]: row for row in table(earlier.artifact(name, "leaderboard.csv"))}  # of the one such run
    assert earlier.run_named(name).info.status == "FINISHED"
    assert before.keys() == after.keys() == {"dense", "lenot"}
    for model, row in before.items():
        assert after[model]["parameters"] == row["parameters"]
        for column in ("best_val_accuracy", "accuracy"):
            assert float(after[model][column]) == pytest.approx(float(row[column]), abs=0.05)
