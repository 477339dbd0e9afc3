"""`python -m pipelines.cross_validate`: killed in its second fold and run again, each fold is trained once."""

import re
import signal
import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from src.datasets.folds import assign_folds
from src.tables import read_table
from src.tracking.view import VIEW_COLUMNS
from tests.support.stored import Stored, StoredPipeline
from tests.support.workplace import Workplace

EPOCHS = 4
SETTINGS = [
    *("dataset=synthetic", "dataset.train_size=90", "dataset.test_size=20", "model=dense", "model.dense=[8]"),
    *("optimizer.learning_rate=0.01", "training.batch_size=6", f"training.epochs={EPOCHS}"),
    "training.checkpoint_minutes=0",
]
LINE = ["folds=3", *SETTINGS]


@dataclass(frozen=True)
class Validated(StoredPipeline):
    """What the command left behind when it was killed and run again, and what it printed the second time."""

    name = "cross_validate"
    interrupted: str  # the id of the run that was killed
    out: str

    def trainings(self) -> list[Any]:
        """The runs of the folds, in their order."""
        return sorted(super().trainings(), key=lambda run: run.data.params["dataset.fold"])


def kill_in_second_fold(workplace: Workplace) -> None:
    """Run the command until the second fold has trained two epochs, and end it with SIGKILL."""
    process = workplace.start("pipelines.cross_validate", *LINE)
    assert process.stdout is not None
    fold = 0
    for line in process.stdout:
        fold += line.startswith("fold ")
        if fold == 2 and line.startswith("epoch 2/"):
            break
    process.kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, err


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory) -> Validated:
    workplace = Workplace(tmp_path_factory.mktemp("validated"))
    kill_in_second_fold(workplace)
    (interrupted,) = Stored(workplace).client.search_runs(["1"], "attributes.run_name = 'fold 2 of 3'")
    done = workplace.run("pipelines.cross_validate", *LINE)
    assert done.returncode == 0, done.stderr
    return Validated(workplace, interrupted.info.run_id, done.stdout)


@pytest.mark.services
def test_after_a_kill_no_fold_is_trained_twice_and_the_interrupted_one_is_resumed(validated: Validated):
    trainings = validated.trainings()
    assert [run.data.params["dataset.fold"] for run in trainings] == ["1", "2", "3"]
    assert {run.info.status for run in trainings} == {"FINISHED"}
    assert f"reusing run {trainings[0].info.run_id}" in validated.out
    assert trainings[1].info.run_id == validated.interrupted
    for run in trainings:
        points = validated.client.get_metric_history(run.info.run_id, "loss")
        assert [point.step for point in points] == list(range(1, EPOCHS + 1))
    trained = re.findall(r"^(?:epoch (\d)|fold (\d))", validated.out, re.MULTILINE)
    assert trained[0] == ("", "1")
    assert trained[1] == ("", "2")  # no epoch of the first fold
    assert ("1", "") not in trained[: trained.index(("", "3"))]


@pytest.mark.services
def test_the_pipeline_s_run_has_mean_and_spread_of_the_folds_in_the_columns_of_the_ui(validated: Validated):
    run, trainings = validated.pipeline(), validated.trainings()
    assert run.info.status == "FINISHED"
    for shown in ("best_val_accuracy", "test_accuracy"):
        values = [training.data.metrics[shown] for training in trainings]
        assert run.data.metrics[shown] == pytest.approx(statistics.fmean(values))
        assert run.data.metrics[f"{shown}_spread"] == pytest.approx(statistics.stdev(values))
        assert {f"metrics.`{shown}`", f"metrics.`{shown}_spread`"} <= set(VIEW_COLUMNS)
    params = run.data.params
    assert (params["model.name"], params["dataset.name"], params["dataset.folds"]) == ("dense", "synthetic", "3")
    assert "dataset.fold" not in params


@pytest.mark.services
def test_each_training_image_is_predicted_once_by_the_network_that_was_not_trained_on_it(validated: Validated):
    rows = validated.rows("tables/out_of_fold_predictions.csv")
    labels = (np.arange(90) % 10).astype(np.uint8)
    assert [int(row["index"]) for row in rows] == list(range(90))
    assert [int(row["label"]) for row in rows] == labels.tolist()
    assert [int(row["fold"]) for row in rows] == assign_folds(labels, 3, 0).tolist()
    is_right = np.array([row["label"] == row["predicted"] for row in rows])
    folds = np.array([int(row["fold"]) for row in rows])
    for row in validated.rows("folds.csv"):
        assert float(row["val_accuracy"]) == pytest.approx(is_right[folds == int(row["fold"])].mean())
    assert validated.pipeline().data.metrics["out_of_fold_accuracy"] == pytest.approx(is_right.mean())


@pytest.mark.services
def test_pictures_tables_and_a_description_are_kept_and_the_table_is_printed(validated: Validated):
    run_id = validated.pipeline().info.run_id
    assert [item.path for item in validated.client.list_artifacts(run_id, "figures")] == [
        "figures/confusion_matrix.png",
        "figures/folds.png",
    ]
    (summary, *_) = validated.rows("tables/metrics.csv")
    assert summary["metric"] == "val_accuracy"
    note = validated.pipeline().data.tags["mlflow.note.content"]
    for name in ("mean", "low", "high"):
        number = f"{float(summary[name]):.4f}"
        assert number in note
        assert number in validated.out
    assert "dense on synthetic, 3 folds" in validated.out


@pytest.mark.services
def test_the_labels_that_the_folds_contradict_are_listed_by_the_command_that_is_printed(validated: Validated):
    issues = validated.rows("tables/label_issues.csv")
    command = re.search(r"python -m (src\.check_data) (run_id=\w+) lists them", validated.out)
    assert command is not None
    assert f"these predictions contradict {len(issues)} label" in validated.out
    done = validated.workplace.run(command[1], command[2])
    assert done.returncode == 0, done.stderr
    assert f"contradicts {len(issues)} label" in done.stdout.splitlines()[0]
    folder = validated.workplace.folder / "data_check"
    assert read_table(folder / "label_issues.csv") == issues
    assert (folder / "label_issues.png").is_file()


@pytest.mark.services
def test_a_fold_is_reused_by_a_training_of_its_own(validated: Validated):
    fold = ["dataset.folds=3", "dataset.fold=2", "tracking.on_duplicate=reuse"]
    done = validated.workplace.run("src.train", *SETTINGS, *fold)
    assert done.returncode == 0, done.stderr
    assert f"reusing run {validated.interrupted}" in done.stdout


@pytest.mark.parametrize(  # tests/reports/test_cross_validate.py has more
    ("arguments", "code", "sentence"),
    [
        (["folds=1"], 2, "folds: got 1, expected at least 2"),
        (["-m"], 2, "-m: only python -m src.train takes it"),
        (["folds=10", *SETTINGS], 1, "dataset.folds=10: class '0' has 9 of the 90 training images"),
    ],
)
def test_what_cannot_be_is_answered_before_anything_is_recorded(
    workplace: Workplace, arguments: list[str], code: int, sentence: str
):
    done = workplace.run("pipelines.cross_validate", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert not list(workplace.folder.iterdir())
