"""The runs of a sweep: one parent for the study, which every process finds; one child for each trial."""

import importlib.util
import itertools
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun

from src.cli.compose import compose_config
from src.schema import Config
from src.tracking import (
    Store,
    StudyId,
    adopt_orphans,
    earlier_parents,
    end_left_runs,
    open_parent_run,
    open_store,
    read_config,
    record_costs,
    record_failed_trial,
    record_lost_trial,
    record_skipped_trial,
    study_runs,
    tag_run,
)
from src.tracking.outage import PatientClient
from src.tracking.tags import COMMAND
from tests.support.runs import config_for, new_run

STUDY = StudyId("lenot", "0123abcd")
OTHER = StudyId("lenot", "4567cdef")  # of the same name
QUOTES = ["it's", 'the "best"', """both 'kinds' of "quotes" and `more`"""]
_experiments = itertools.count()


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One store for all tests of this file: making it takes longer than they do."""
    return f"sqlite:///{tmp_path_factory.mktemp('sweep') / 'mlflow.db'}"


@pytest.fixture
def config(uri: str) -> Config:
    """Tracks into an experiment of the test's own."""
    return config_for(uri, f"tracking.experiment=test-{next(_experiments)}")


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return MlflowClient(uri)


@pytest.fixture
def store(config: Config) -> Store:
    return open_store(config.tracking)


@pytest.fixture
def off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    return open_store(compose_config(["tracking=off"]).tracking)


def parent_of(store: Store, study: StudyId = STUDY) -> tuple[str, bool]:
    run, is_blank = open_parent_run(store, study)
    return str(run.run_id), is_blank


def trial_run(config: Config, number: int, study: StudyId = STUDY) -> str:
    """The run of a trial that ended well."""
    with new_run(config, tags=study.tags_of_trial(number)) as run:
        pass
    return str(run.run_id)


def failed(store: Store, number: int, study: StudyId = STUDY, parent: str | None = None) -> str | None:
    return record_failed_trial(
        store,
        study,
        number,
        run_name=f"trial-{number:03}",
        parent_run_id=parent,
        params={"model.dropout": 0.25, "model.conv.0.filters": 4},
        error=ValueError("no way to postgresql://ada:hunter22@db/x"),
    )


def lost(store: Store, number: int, parent: str | None = None) -> None:
    record_lost_trial(store, STUDY, number, run_name=f"trial-{number:03}", parent_run_id=parent)


def all_runs(client: MlflowClient, store: Store) -> list[MlflowRun]:
    return list(client.search_runs([store.experiment_id]))


# --- the parent ----------------------------------------------------------------------------------------------------


def test_a_new_study_has_a_run_of_its_own_named_after_it(store: Store, client: MlflowClient):
    run_id, is_blank = parent_of(store)
    assert is_blank
    run = client.get_run(run_id)
    assert (run.info.run_name, run.info.status) == ("lenot", "RUNNING")
    assert {"study": "lenot", "convlab.study_id": "0123abcd", "sweep": "true"}.items() <= run.data.tags.items()
    assert "environment/packages.txt" in [item.path for item in client.list_artifacts(run_id, "environment")]


def test_tags_of_ones_own_are_given_to_a_new_run_without_secrets(store: Store, client: MlflowClient):
    run, _ = open_parent_run(store, STUDY, {"owner": "ada", "api_token": "tok-5150", "study": "another"})
    tags = client.get_run(str(run.run_id)).data.tags
    assert (tags["owner"], tags["api_token"], tags["study"]) == ("ada", "***", "lenot")


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_a_resumed_study_has_the_same_run_which_is_running_once_something_runs(
    store: Store, client: MlflowClient, status: str
):
    run_id, _ = parent_of(store)
    client.log_param(run_id, "metric", "val_accuracy")
    client.set_terminated(run_id, status)
    run, is_blank = open_parent_run(store, STUDY)
    assert (run.run_id, is_blank, run.status) == (run_id, False, status)
    assert client.get_run(run_id).info.status == status
    run.set_running()
    assert client.get_run(run_id).info.status == "RUNNING"
    assert len(all_runs(client, store)) == 1


@pytest.mark.parametrize("runs_again", [True, False])
def test_the_error_that_ended_a_run_is_gone_when_it_is_finished(
    store: Store, client: MlflowClient, runs_again: bool
) -> None:
    run, _ = open_parent_run(store, STUDY)
    run.end("FAILED", ValueError("no"))
    assert client.get_run(str(run.run_id)).data.tags["error"] == "ValueError: no"
    again, _ = open_parent_run(store, STUDY)
    if runs_again:
        again.set_running()
        assert "error" not in client.get_run(str(run.run_id)).data.tags
    again.end("FINISHED")
    found = client.get_run(str(run.run_id))
    assert (found.info.status, "error" in found.data.tags) == ("FINISHED", False)


def test_a_resumed_sweep_has_the_command_that_resumed_it(
    store: Store, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", importlib.util.find_spec("src.train"))
    for total in ("4", "8"):
        monkeypatch.setattr("sys.argv", ["train", "-m", f"hydra.sweeper.n_trials={total}"])
        run, _ = open_parent_run(store, STUDY)
        run.set_running()
        command = client.get_run(str(run.run_id)).data.tags[COMMAND]
        assert command.endswith(f"-m hydra.sweeper.n_trials={total}")


def test_a_run_in_which_nothing_ran_since_keeps_its_end_time(store: Store, client: MlflowClient):
    run_id, _ = parent_of(store)
    client.set_terminated(run_id, "KILLED", end_time=1_700_000_000_000)
    open_parent_run(store, STUDY)[0].end("FINISHED")
    info = client.get_run(run_id).info
    assert (info.status, info.end_time) == ("FINISHED", 1_700_000_000_000)


def test_a_run_in_which_something_ran_gets_a_new_end_time(store: Store, client: MlflowClient):
    run_id, _ = parent_of(store)
    client.set_terminated(run_id, "FINISHED", end_time=1_700_000_000_000)
    run, _ = open_parent_run(store, STUDY)
    run.set_running()
    run.end("FINISHED")
    assert client.get_run(run_id).info.end_time > 1_700_000_000_000


def test_a_run_that_was_cut_off_before_its_params_were_recorded_is_still_blank(store: Store):
    run_id, _ = parent_of(store)
    assert parent_of(store) == (run_id, True)


def test_another_study_of_the_same_name_has_another_run(store: Store):
    first, _ = parent_of(store)
    second, is_new = parent_of(store, OTHER)
    assert is_new
    assert second != first


def test_a_run_that_was_deleted_is_made_anew(store: Store, client: MlflowClient):
    first, _ = parent_of(store)
    client.delete_run(first)
    second, is_new = parent_of(store)
    assert is_new
    assert second != first


def test_the_trials_runs_of_a_deleted_parent_are_put_under_the_new_one(
    store: Store, client: MlflowClient, config: Config
):
    first, _ = parent_of(store)
    trials = [trial_run(config, number) for number in range(2)]
    for run_id in trials:
        client.set_tag(run_id, "mlflow.parentRunId", first)
    client.delete_run(first)
    second, _ = parent_of(store)
    assert adopt_orphans(store, second, study_runs(store, STUDY)) == 2
    assert {client.get_run(run_id).data.tags["mlflow.parentRunId"] for run_id in trials} == {second}
    assert adopt_orphans(store, second, study_runs(store, STUDY)) == 0


def test_only_runs_that_the_store_still_has_are_returned(store: Store, client: MlflowClient, config: Config):
    parent_of(store)
    kept, deleted = trial_run(config, 3), trial_run(config, 4)
    trial_run(config, 3, OTHER)
    client.delete_run(deleted)
    assert [(run.number, run.run_id) for run in study_runs(store, STUDY)] == [(3, kept)]
    assert [(run.number, run.run_id) for run in study_runs(store, STUDY, deleted=True)] == [(4, deleted)]


@pytest.mark.parametrize("own", ["mine", "3"])
def test_a_user_s_tag_does_not_turn_the_parent_into_a_trial(store: Store, own: str):
    open_parent_run(store, STUDY, {"trial": own})
    assert study_runs(store, STUDY) == []


def test_a_user_s_tag_does_not_turn_a_trial_or_a_training_into_a_parent(store: Store, config: Config):
    config.tags |= {"sweep": "true", "study": STUDY.name}
    trial = trial_run(config, 0)
    with new_run(config):
        pass
    assert earlier_parents(store, OTHER) == []
    assert parent_of(store)[0] != trial
    assert [run.run_id for run in study_runs(store, STUDY)] == [trial]


def test_a_user_s_tag_on_the_parent_does_not_end_it_with_a_trial(store: Store, client: MlflowClient):
    parent, _ = open_parent_run(store, STUDY, {"trial": "3"})
    lost(store, 3)
    assert failed(store, 3) != parent.run_id
    assert client.get_run(str(parent.run_id)).info.status == "RUNNING"


@pytest.mark.parametrize("edited", [None, "third"])
def test_a_run_whose_trial_number_was_removed_or_edited_is_skipped(
    store: Store, client: MlflowClient, config: Config, edited: str | None
):
    kept, other = trial_run(config, 2), trial_run(config, 3)
    if edited is None:
        client.delete_tag(other, "trial")
    else:
        client.set_tag(other, "trial", edited)
    assert [run.run_id for run in study_runs(store, STUDY)] == [kept]


@pytest.mark.parametrize("name", ["lenot", *QUOTES])
def test_the_runs_that_earlier_studies_of_a_name_left_are_found(store: Store, name: str):
    earlier, _ = parent_of(store, StudyId(name, OTHER.unique))
    parent_of(store, StudyId(f"{name}2", "89abcdef"))
    parent_of(store, StudyId(name, STUDY.unique))
    assert earlier_parents(store, StudyId(name, STUDY.unique)) == [earlier]


def test_the_run_of_a_trial_is_not_taken_for_the_parent(store: Store, config: Config):
    child = trial_run(config, 0)
    assert parent_of(store) not in [(child, True), (child, False)]


@pytest.mark.parametrize("name", QUOTES)
def test_a_name_with_quotes_is_found_again(store: Store, client: MlflowClient, name: str):
    study = StudyId(name, STUDY.unique)
    run_id, _ = parent_of(store, study)
    assert parent_of(store, study)[0] == run_id
    assert client.get_run(run_id).info.run_name == name


# --- the trials ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["RUNNING", "FINISHED", "FAILED"])
def test_the_run_of_a_lost_trial_becomes_killed(store: Store, client: MlflowClient, config: Config, status: str):
    run_id = trial_run(config, 3)
    client.update_run(run_id, status=status)
    lost(store, 3)
    assert client.get_run(run_id).info.status == "KILLED"
    assert len(all_runs(client, store)) == 1


def test_a_lost_trial_that_had_not_begun_a_run_has_a_killed_one(store: Store, client: MlflowClient):
    parent, _ = parent_of(store)
    lost(store, 3, parent)
    (run,) = [run for run in all_runs(client, store) if run.info.run_id != parent]
    assert (run.info.run_name, run.info.status) == ("trial-003", "KILLED")
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert STUDY.tags_of_trial(3).items() <= run.data.tags.items()


def test_a_lost_trial_does_not_end_the_wait_for_a_store_that_does_not_answer(config: Config):
    store = open_store(config.tracking, print)
    lost(store, 3)
    assert isinstance(store.client, PatientClient)
    assert not store.client.outages.is_over


def test_the_runs_of_other_trials_and_studies_stay_running(store: Store, client: MlflowClient, config: Config):
    trial_run(config, 3)
    others = [trial_run(config, 13), trial_run(config, 3, OTHER), parent_of(store)[0]]
    for run_id in others:
        client.update_run(run_id, status="RUNNING")
    lost(store, 3)
    assert {client.get_run(run_id).info.status for run_id in others} == {"RUNNING"}


def test_runs_left_behind_by_trials_that_have_ended_become_killed_and_others_do_not(
    store: Store, client: MlflowClient, config: Config
):
    left, kept, of_other = trial_run(config, 0), trial_run(config, 1), trial_run(config, 0, OTHER)
    ended = trial_run(config, 2)
    parent, _ = parent_of(store)
    for run_id in (left, kept, of_other):
        client.update_run(run_id, status="RUNNING")
    end_left_runs(store, study_runs(store, STUDY), [0, 2])
    assert client.get_run(left).info.status == "KILLED"
    assert {client.get_run(run_id).info.status for run_id in (kept, of_other, parent)} == {"RUNNING"}
    assert client.get_run(ended).info.status == "FINISHED"


def test_the_run_of_a_trial_that_began_after_the_trials_were_read_stays_running(
    store: Store, client: MlflowClient, config: Config
):
    ended = [0]
    begun = trial_run(config, 1)
    client.update_run(begun, status="RUNNING")
    end_left_runs(store, study_runs(store, STUDY), ended)
    assert client.get_run(begun).info.status == "RUNNING"


def test_a_run_of_more_than_a_page_away_is_found(store: Store, client: MlflowClient, monkeypatch: pytest.MonkeyPatch):
    for number in range(4):
        failed(store, number)
    search = MlflowClient.search_runs
    monkeypatch.setattr(  # a page holds 1000 runs
        MlflowClient, "search_runs", lambda *given, **named: search(*given, **named | {"max_results": 3})
    )
    for run in search(client, [store.experiment_id]):
        client.update_run(run.info.run_id, status="RUNNING")
    end_left_runs(store, study_runs(store, STUDY), range(4))
    assert {run.info.status for run in search(client, [store.experiment_id])} == {"KILLED"}


@pytest.mark.parametrize("name", ["lenot", *QUOTES])
def test_a_trial_that_could_not_begin_has_a_failed_run_with_its_params_and_the_error(
    store: Store, client: MlflowClient, name: str
):
    study = StudyId(name, STUDY.unique)
    parent, _ = parent_of(store, study)
    run = client.get_run(str(failed(store, 7, study, parent)))
    assert (run.info.run_name, run.info.status) == ("trial-007", "FAILED")
    assert run.data.params == {"model.dropout": "0.25", "model.conv.0.filters": "4"}
    assert run.data.tags["error"] == "ValueError: no way to postgresql://ada:***@db/x"
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert study.tags_of_trial(7).items() <= run.data.tags.items()


def test_without_a_parent_a_failed_trials_run_has_no_parent_tag(store: Store, client: MlflowClient):
    assert "mlflow.parentRunId" not in client.get_run(str(failed(store, 7))).data.tags


def test_a_trial_that_failed_in_its_run_keeps_that_one(store: Store, client: MlflowClient, config: Config):
    with pytest.raises(ValueError, match="no"), new_run(config, tags=STUDY.tags_of_trial(7)) as run:
        raise ValueError("no")
    assert failed(store, 7) == run.run_id
    assert len(all_runs(client, store)) == 1
    assert client.get_run(str(run.run_id)).data.tags["error"] == "ValueError: no"


def test_a_run_that_a_failed_trial_left_running_is_ended(store: Store, client: MlflowClient, config: Config):
    run_id = trial_run(config, 7)
    client.update_run(run_id, status="RUNNING")
    assert failed(store, 7) == run_id
    assert client.get_run(run_id).info.status == "FAILED"


def test_a_failed_trial_is_recorded_once(store: Store):
    assert failed(store, 7) == failed(store, 7)


def test_the_config_of_a_trial_is_read_from_its_run(store: Store, config: Config):
    assert read_config(store, trial_run(config, 0))["dataset"]["name"] == "synthetic"


def test_tags_are_added_to_a_run_that_has_ended(store: Store, client: MlflowClient, config: Config):
    run_id = trial_run(config, 0)
    tag_run(store, run_id, {"trial_state": "PRUNED"})
    run = client.get_run(run_id)
    assert (run.data.tags["trial_state"], run.info.status) == ("PRUNED", "FINISHED")


def test_without_a_run_there_is_nothing_to_tag(store: Store, client: MlflowClient):
    tag_run(store, None, {"trial_state": "PRUNED"})
    assert all_runs(client, store) == []


def test_without_tracking_every_call_does_nothing(off: Store, tmp_path: Path):
    run, is_new = open_parent_run(off, STUDY)
    assert (run.run_id, is_new) == (None, True)
    assert failed(off, 0) is None
    lost(off, 0)
    end_left_runs(off, study_runs(off, STUDY), [0])
    tag_run(off, "some run", {"trial_state": "PRUNED"})
    assert not list(tmp_path.iterdir())


# --- trials that are not trained ------------------------------------------------------------------------------------


def test_a_trial_that_is_not_trained_has_a_finished_run_with_its_params_costs_and_reason(
    store: Store, client: MlflowClient
):
    parent, _ = parent_of(store)
    run_id = record_skipped_trial(
        store,
        STUDY,
        7,
        run_name="trial-007",
        parent_run_id=parent,
        params={"model.dropout": 0.25},
        costs={"parameters": 123_456.0},
        reason="parameters 123,456 > 100,000",
    )
    run = client.get_run(str(run_id))
    assert (run.info.run_name, run.info.status) == ("trial-007", "FINISHED")
    assert run.data.params["model.dropout"] == "0.25"
    assert run.data.metrics == {"parameters": 123_456}
    expected = {"trial": "7", "trial_state": "PRUNED", "over_limit": "parameters 123,456 > 100,000"}
    assert expected.items() <= run.data.tags.items()


def test_costs_are_metrics_of_a_run_that_has_ended(store: Store, client: MlflowClient, config: Config):
    run_id = trial_run(config, 3)
    record_costs(store, run_id, {"latency_ms": 0.5})
    run = client.get_run(run_id)
    assert (run.info.status, run.data.metrics["latency_ms"]) == ("FINISHED", 0.5)


def test_without_tracking_a_trial_that_is_not_trained_has_no_run(off: Store):
    settings: dict = {"run_name": "trial-007", "parent_run_id": None, "params": {}, "costs": {"parameters": 1.0}}
    assert record_skipped_trial(off, STUDY, 7, reason="over", **settings) is None
