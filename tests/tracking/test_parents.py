"""The run of a pipeline: RUNNING during its trainings, and its end time that of the last one."""

import platform

import pytest
from mlflow import MlflowClient

from src.schema import Config, flatten
from src.tracking import pipeline_run, record_common
from src.tracking.process import has_process
from src.tracking.tags import HOST, PROCESS
from tests.support.runs import config_for, new_run

LONG_AGO = 1_700_000_000_000  # ms since 1970


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return config_for(f"sqlite:///{tmp_path_factory.mktemp('parents') / 'mlflow.db'}", "tracking.detail=light")


@pytest.fixture
def client(config: Config) -> MlflowClient:
    return MlflowClient(config.tracking.uri)


def follow(config: Config, key: str, trainings: int = 0) -> str:
    """A pipeline with this number of trainings."""
    with pipeline_run(config.tracking, "compare_models", key, "compare") as run:
        assert MlflowClient(config.tracking.uri).get_run(str(run.run_id)).info.status == "RUNNING"
        for _ in range(trainings):
            with new_run(config, parent_run_id=run.run_id):
                pass
    return str(run.run_id)


@pytest.mark.parametrize("before", ["FINISHED", "KILLED", "FAILED"])
def test_repeated_with_nothing_left_to_train_it_keeps_its_end_time(
    config: Config, client: MlflowClient, before: str
) -> None:
    run_id = follow(config, before, trainings=1)
    client.set_terminated(run_id, before, end_time=LONG_AGO)
    assert follow(config, before) == run_id
    info = client.get_run(run_id).info
    assert (info.status, info.end_time) == ("FINISHED", LONG_AGO)


def test_repeated_it_belongs_to_the_process_that_repeats_it(config: Config, client: MlflowClient) -> None:
    run_id = follow(config, "resumed")
    client.set_tag(run_id, PROCESS, "999999999 since 1790000000")
    assert has_process(client.get_run(run_id).data.tags) is False
    follow(config, "resumed")
    assert has_process(client.get_run(run_id).data.tags) is True


def test_it_says_how_many_runs_were_killed_before(config: Config, client: MlflowClient) -> None:
    tags = {HOST: platform.node(), PROCESS: "999999999 since 1790000000"}
    client.create_run("1", tags=tags)
    lines: list[str] = []
    with pipeline_run(config.tracking, "compare_models", "said", "compare", lines.append):
        pass
    assert [line.partition(";")[0] for line in lines] == ["1 run was killed"]


def test_repeated_with_something_left_to_train_it_gets_a_new_end_time(config: Config, client: MlflowClient) -> None:
    run_id = follow(config, "more", trainings=1)
    client.set_terminated(run_id, "KILLED", end_time=LONG_AGO)
    assert follow(config, "more", trainings=1) == run_id
    info = client.get_run(run_id).info
    assert info.status == "FINISHED"
    assert info.end_time > LONG_AGO


def test_repeated_with_a_training_that_was_interrupted_it_gets_a_new_end_time(
    config: Config, client: MlflowClient
) -> None:
    run_id = follow(config, "continued", trainings=1)
    (training,) = client.search_runs(["1"], f"tags.`mlflow.parentRunId` = '{run_id}'")
    for interrupted in (run_id, training.info.run_id):
        client.set_terminated(interrupted, "KILLED", end_time=LONG_AGO)
    with (
        pipeline_run(config.tracking, "compare_models", "continued", "compare"),
        new_run(config, run_id=training.info.run_id),
    ):
        pass
    assert client.get_run(run_id).info.end_time > LONG_AGO


def test_repeated_and_failed_it_gets_a_new_end_time(config: Config, client: MlflowClient) -> None:
    run_id = follow(config, "failed")
    client.set_terminated(run_id, "FINISHED", end_time=LONG_AGO)
    with pytest.raises(ValueError, match="no"), pipeline_run(config.tracking, "compare_models", "failed", "compare"):
        raise ValueError("no")
    info = client.get_run(run_id).info
    assert info.status == "FAILED"
    assert info.end_time > LONG_AGO


def test_the_trainings_of_a_deleted_run_are_put_under_the_new_one(config: Config, client: MlflowClient) -> None:
    first = follow(config, "deleted", trainings=2)
    client.delete_run(first)
    second = follow(config, "deleted")
    assert second != first
    assert len(client.search_runs(["1"], f"tags.`mlflow.parentRunId` = '{second}'")) == 2


def test_a_parent_has_the_params_that_its_runs_have_in_common_and_the_names_of_all(
    config: Config, client: MlflowClient
) -> None:
    configs = [
        flatten(config_for(config.tracking.uri, f"model={model}", f"seed={seed}"))
        for model, seed in (("lenot", 1), ("dense", 2), ("dense", 3))
    ]
    with pipeline_run(config.tracking, "compare_models", "common", "compare") as parent:
        record_common(parent, configs)
    data = client.get_run(str(parent.run_id)).data
    assert (data.params["model.name"], data.params["dataset.name"]) == ("lenot, dense", "synthetic")
    assert data.params["training.epochs"] == str(config.training.epochs)
    assert not {"seed", "tracking.uri"} & data.params.keys()
    assert (data.tags["model"], data.tags["dataset"]) == ("lenot, dense", "synthetic")
