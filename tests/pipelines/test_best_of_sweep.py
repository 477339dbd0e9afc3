"""`python -m pipelines.best_of_sweep`: one champion, and no step is done twice even if a process is killed."""

import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.stored import StoredPipeline
from tests.support.sweeps import Study
from tests.support.workplace import Workplace, copy_of

SPACE = ["dataset=synthetic", "dataset.limit=300", "training.epochs=3", "model.dropout=0,0.3", "seeds=[1,2]"]


@dataclass(frozen=True)
class Crowned(StoredPipeline):
    """What the command left behind, and what it said."""

    name = "best_of_sweep"
    out: str

    def runs(self, wanted: str = "") -> list[Any]:
        return list(self.client.search_runs(["1"], wanted))

    def finals(self) -> dict[int, Any]:
        """The final trainings by their seeds."""
        found = self.trainings()
        by_seed = {int(run.data.params["seed"]): run for run in found}
        assert len(by_seed) == len(found)
        return by_seed


@pytest.fixture(scope="module")
def crowned(tmp_path_factory: pytest.TempPathFactory) -> Crowned:
    workplace = Workplace(tmp_path_factory.mktemp("crowned"))
    done = workplace.run("pipelines.best_of_sweep", *SPACE)
    assert done.returncode == 0, done.stderr
    return Crowned(workplace, done.stdout)


@pytest.mark.services
def test_the_best_trial_is_trained_again_on_train_and_validation_for_its_best_epoch(crowned: Crowned):
    study = Study(crowned.workplace.folder).study
    finals = crowned.finals()
    assert sorted(finals) == [1, 2]
    for final in finals.values():
        params = final.data.params
        assert float(params["model.dropout"]) == study.best_trial.params["model.dropout"]
        assert int(params["training.last_epoch"]) == study.best_trial.user_attrs["best_epoch"]
        assert (params["resolved.train_images"], params["resolved.validation_images"]) == ("364", "0")  # 300 + 64


@pytest.mark.services
def test_only_the_final_trainings_see_the_test_split(crowned: Crowned):
    tested = {run.info.run_id for run in crowned.runs() if "test_loss" in run.data.metrics}
    assert tested == {final.info.run_id for final in crowned.finals().values()}


@pytest.mark.services
def test_the_model_of_the_first_seed_is_the_champion_even_if_another_was_better(crowned: Crowned):
    version = crowned.client.get_model_version_by_alias("synthetic", "champion")
    assert (version.version, version.run_id) == (1, crowned.finals()[1].info.run_id)
    assert "champion now points to it: the first champion of synthetic" in crowned.out


@pytest.mark.services
def test_mean_and_spread_over_the_seeds_are_said_and_recorded(crowned: Crowned):
    first, second = (final.data.metrics["test_accuracy"] for final in crowned.finals().values())
    metrics = crowned.pipeline().data.metrics
    assert metrics["test_accuracy_mean"] == pytest.approx((first + second) / 2)
    assert metrics["test_accuracy_spread"] == pytest.approx(abs(first - second) / 2**0.5)
    assert f"mean {metrics['test_accuracy_mean']:.4f}, spread {metrics['test_accuracy_spread']:.4f}" in crowned.out


@pytest.mark.services
def test_the_pipeline_s_run_has_the_best_trial_s_metrics_and_finals_have_only_their_epoch(crowned: Crowned):
    best = Study(crowned.workplace.folder).study.best_trial
    metrics = crowned.pipeline().data.metrics
    for name in ("best_val_accuracy", "best_val_loss", "best_epoch"):
        assert metrics[name] == best.user_attrs[name]
    for final in crowned.finals().values():
        assert {name for name in final.data.metrics if name.startswith("best_")} == {"best_epoch"}


@pytest.mark.services
def test_the_pipeline_s_description_leads_to_sweep_trial_and_trainings(crowned: Crowned):
    text = crowned.pipeline().data.tags["mlflow.note.content"]
    sweep = Study(crowned.workplace.folder).study
    (parent,) = crowned.runs("tags.sweep = 'true'")
    linked = [parent.info.run_id, sweep.best_trial.user_attrs["run_id"]]
    linked += [final.info.run_id for final in crowned.finals().values()]
    assert all(f"/runs/{run_id}?workflowType=machine_learning)" in text for run_id in linked)


@pytest.mark.services
def test_the_same_command_again_repeats_no_step(crowned: Crowned):
    before = {run.info.run_id for run in crowned.runs()}
    done = crowned.workplace.run("pipelines.best_of_sweep", *SPACE)
    assert done.returncode == 0, done.stderr
    assert {run.info.run_id for run in crowned.runs()} == before
    assert len(crowned.client.search_model_versions("name = 'synthetic'")) == 1
    assert "version 1 is already the champion of synthetic" in done.stdout
    assert crowned.pipeline().info.status == "FINISHED"


@pytest.mark.services
def test_without_the_best_trial_s_run_it_continues_from_the_study_and_keeps_its_end_time(
    crowned: Crowned, tmp_path: Path
):
    copied = Crowned(copy_of(crowned.workplace, tmp_path / "copied"), "")
    best = Study(copied.workplace.folder).study.best_trial
    copied.client.delete_run(best.user_attrs["run_id"])
    before = copied.pipeline().info
    done = copied.workplace.run("pipelines.best_of_sweep", *SPACE)
    assert done.returncode == 0, done.stderr
    assert f"mlflow runs restore --run-id {best.user_attrs['run_id']}" in done.stdout
    assert done.stdout.count("a finished run of the same training") == 2
    assert (copied.pipeline().info.status, copied.pipeline().info.end_time) == ("FINISHED", before.end_time)
    assert best.user_attrs["run_id"] not in copied.pipeline().data.tags["mlflow.note.content"]


@pytest.mark.services
def test_a_pipeline_made_worse_on_purpose_does_not_move_the_champion_and_says_why(crowned: Crowned):
    done = crowned.workplace.run("pipelines.best_of_sweep", *SPACE, "optimizer.learning_rate=1e-9", "seeds=[1]")
    assert done.returncode == 0, done.stderr
    assert "champion was not moved: it is not better than the champion (version 1); only the candidate" in done.stdout
    assert re.search(r"mean 0\.\d{4}, spread -\n", done.stdout)  # a single seed has none
    assert crowned.client.get_model_version_by_alias("synthetic", "champion").version == 1
    worse = next(
        run for run in crowned.runs("tags.pipeline = 'best_of_sweep'") if "mcnemar_p_value" in run.data.metrics
    )
    assert 0 < worse.data.metrics["mcnemar_p_value"] <= 1
    assert "test_accuracy_spread" not in worse.data.metrics
    crowned.client.delete_run(worse.info.run_id)  # the other tests count


def kill_at(workplace: Workplace, line: str, *arguments: str) -> None:
    """Runs the pipeline until it says a line that begins so, and kills it there."""
    process = workplace.start("pipelines.best_of_sweep", *arguments)
    assert process.stdout is not None
    for said in process.stdout:
        if re.match(line, said):
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.fault
def test_killed_in_the_sweep_and_in_the_final_trainings_it_resumes_and_does_no_step_twice(workplace: Workplace):
    slow = [*SPACE, "training.epochs=40", "model.dropout=0,0.3", "training.monitor=val_loss"]
    slow.remove("training.epochs=3")
    kill_at(workplace, "trial 0  COMPLETE", *slow)
    kill_at(workplace, r"epoch +1/", *slow)  # of as many as were best, which depends on the processor
    done = workplace.run("pipelines.best_of_sweep", *slow)
    assert done.returncode == 0, done.stderr
    crowned = Crowned(workplace, done.stdout)
    assert [trial.state.name for trial in Study(workplace.folder).study.trials].count("COMPLETE") == 2
    statuses = [(run.data.params["seed"], run.info.status) for run in crowned.runs("tags.best_of LIKE '%'")]
    assert sorted(statuses) == [("1", "FINISHED"), ("2", "FINISHED")]  # the training that was killed was continued
    assert len(crowned.client.search_model_versions("name = 'synthetic'")) == 1
    assert crowned.pipeline().info.status == "FINISHED"


@pytest.mark.parametrize(  # tests/reports/test_best_of_sweep.py has more of the second kind
    ("arguments", "sentence"),
    [
        (["-m", "hparams_search=lenot"], "-m: only python -m src.train takes it; remove -m"),
        (
            ["model.dropout=0,0.1", "schedule=reduce_on_plateau"],
            "no validation metric is left to reach a plateau; use schedule=cosine",
        ),
        (["model.dropuot=0,0.1"], "no key 'model.dropuot'; did you mean 'dropout'?"),
    ],
)
def test_what_cannot_be_is_answered_before_anything_is_trained(
    workplace: Workplace, arguments: list[str], sentence: str
):
    done = workplace.run("pipelines.best_of_sweep", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert not list(workplace.folder.iterdir())


@pytest.mark.slow  # test_docs.py runs the same command, tests/reports/test_choosing.py chooses
def test_a_trial_of_the_front_is_chosen_as_typed_and_the_run_says_why(tmp_path: Path):
    workplace = Workplace(tmp_path)
    front = ["hydra.sweeper.objectives=[val_accuracy,parameters]", "model=dense", "model.dense=[4],[8]"]
    choose = ["choose.metric=val_accuracy", "choose.within=1", "choose.cheapest=parameters"]
    small = [*SPACE[:2], "training.epochs=1", "seeds=[1]"]
    done = workplace.run("pipelines.best_of_sweep", *small, *front, *choose)
    assert done.returncode == 0, done.stderr
    crowned = Crowned(workplace, done.stdout)
    cheapest = min(Study(tmp_path).study.trials, key=lambda trial: trial.values[1])
    pipeline = crowned.pipeline()
    assert pipeline.data.tags["chosen_trial"] == str(cheapest.number)
    assert pipeline.data.tags["chosen_because"] in pipeline.data.tags["mlflow.note.content"].replace("&#95;", "_")
    assert f"chosen: trial {cheapest.number}; " in done.stdout
    assert pipeline.data.metrics["parameters"] == cheapest.values[1]
    (final,) = crowned.finals().values()
    assert final.data.params["model.dense"] == "[4]"
