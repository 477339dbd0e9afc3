"""`python -m pipelines.compare_models`: every network with every seed, once, as a table, a file and a picture."""

import statistics
from dataclasses import dataclass

import pytest

from tests.support.stored import StoredPipeline
from tests.support.workplace import Workplace

LINE = ["models=[lenot,dense]", "seeds=[1,2]", "dataset=synthetic", "training.epochs=2"]


@dataclass(frozen=True)
class Compared(StoredPipeline):
    """What the command left behind, and what it said."""

    name = "compare_models"
    out: str


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    workplace = Workplace(tmp_path_factory.mktemp("compared"))
    done = workplace.run("pipelines.compare_models", *LINE)
    assert done.returncode == 0, done.stderr
    return Compared(workplace, done.stdout)


@pytest.mark.services
def test_every_network_is_trained_with_every_seed_under_the_pipeline_s_run(compared: Compared):
    trained = sorted((run.data.tags["model"], run.data.params["seed"]) for run in compared.trainings())
    assert trained == [("dense", "1"), ("dense", "2"), ("lenot", "1"), ("lenot", "2")]


@pytest.mark.services
def test_the_leaderboard_says_of_each_what_its_runs_say_the_best_first(compared: Compared):
    rows = compared.rows("leaderboard.csv")
    for row in rows:
        runs = [run for run in compared.trainings() if run.data.tags["model"] == row["model"]]
        for metric, mean, spread in (
            ("best_val_accuracy", "best_val_accuracy", "best_val_spread"),
            ("test_accuracy", "accuracy", "spread"),
        ):
            accuracies = [run.data.metrics[metric] for run in runs]
            assert float(row[mean]) == pytest.approx(statistics.fmean(accuracies))
            assert float(row[spread]) == pytest.approx(statistics.stdev(accuracies))
        assert row["parameters"] == runs[0].data.params["resolved.parameters"]
        assert float(row["seconds"]) > 0
        assert float(row["latency"]) > 0
        first = next(run for run in runs if run.data.params["seed"] == "1")
        file = compared.workplace.folder / "mlartifacts" / first.info.run_id / "artifacts/model/model.keras"
        assert int(row["size"]) == file.stat().st_size
    validated = [float(row["best_val_accuracy"]) for row in rows]
    assert validated == sorted(validated, reverse=True)
    assert compared.pipeline().data.metrics == {
        "best_val_accuracy": validated[0],
        "best_val_accuracy_spread": float(rows[0]["best_val_spread"]),
        "test_accuracy": float(rows[0]["accuracy"]),
        "test_accuracy_spread": float(rows[0]["spread"]),
    }


@pytest.mark.services
def test_it_is_shown_in_the_terminal_as_a_picture_and_in_the_description(compared: Compared):
    best = compared.rows("leaderboard.csv")[0]
    for name in ("best_val_accuracy", "best_val_spread", "accuracy", "spread"):
        assert f"{float(best[name]):.4f}" in compared.out
    kept = {item.path for item in compared.client.list_artifacts(compared.pipeline().info.run_id, "figures")}
    assert "figures/leaderboard.png" in kept
    assert f"[{best['model']}](#/" in compared.pipeline().data.tags["mlflow.note.content"]


@pytest.mark.services
def test_another_network_is_added_without_training_the_others_again(compared: Compared):
    before = {run.info.run_id for run in compared.trainings()}
    done = compared.workplace.run("pipelines.compare_models", *LINE, "models=[lenot,dense,cnn_mnist_v1]", "seeds=[1]")
    assert done.returncode == 0, done.stderr
    pipelines = compared.client.search_runs(["1"], "tags.pipeline = 'compare_models'")
    new = next(run for run in pipelines if "cnn_mnist_v1" in run.data.tags["mlflow.runName"])
    trained = compared.client.search_runs(["1"], f"tags.`mlflow.parentRunId` = '{new.info.run_id}'")
    assert [run.data.tags["model"] for run in trained] == ["cnn_mnist_v1"]
    assert new.data.tags["mlflow.note.content"].count(" - ") == 2 * 3  # a single seed has no spread
    assert not before & {run.info.run_id for run in trained}
    compared.client.delete_run(new.info.run_id)  # the other tests count


@pytest.mark.parametrize(  # tests/reports/test_compare_models.py has more of the second kind
    ("arguments", "sentence"),
    [
        (["-m"], "-m: only python -m src.train takes it"),
        (["models=[lenot,lennot]"], "no model 'lennot'; did you mean 'lenot'?"),
        (["dataset.validation_size=0"], "dataset.validation_size=0: networks are ranked by validation accuracy"),
    ],
)
def test_what_cannot_be_is_answered_before_anything_is_trained(
    workplace: Workplace, arguments: list[str], sentence: str
):
    done = workplace.run("pipelines.compare_models", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert not list(workplace.folder.iterdir())
