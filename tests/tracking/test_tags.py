"""Tags that only the program reads: they have a prefix now, and are found without it in runs of earlier versions."""

import platform
import re

import pytest
from mlflow import MlflowClient

from src.results import Calibration, Interval
from src.schema import TAG_PREFIX, Config
from src.tracking import Store, StudyId, earlier_parents, open_parent_run, open_store, pipeline_run, study_runs, tags
from src.tracking.process import is_gone
from src.tracking.tags import FINGERPRINT, PIPELINE_KEY, PROCESS, STUDY_ID, UNRECOGNIZED, read_tag
from tests.support.runs import config_for, new_run
from tests.support.workplace import TrainedRun

PREFIXES = pytest.mark.parametrize("prefix", [TAG_PREFIX, ""], ids=["with the prefix", "of an earlier version"])
ENDED = "999999999 since 1790000000"  # no process has this number


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('tags') / 'mlflow.db'}"


@pytest.fixture
def config(uri: str, request: pytest.FixtureRequest) -> Config:
    """Tracks into an experiment of the test's own."""
    return config_for(uri, f"tracking.experiment='{request.node.name}'", "tracking.detail=light")


@pytest.fixture
def store(config: Config) -> Store:
    return open_store(config.tracking)


@pytest.fixture
def client(uri: str, store: Store) -> MlflowClient:
    return MlflowClient(uri)


def created(client: MlflowClient, store: Store, **of_run: str) -> str:
    return str(client.create_run(store.experiment_id, tags=of_run).info.run_id)


@PREFIXES
def test_the_process_of_a_killed_run_is_read(client: MlflowClient, store: Store, prefix: str):
    run_id = created(client, store, **{"host": platform.node(), f"{prefix}process": ENDED})
    assert is_gone(client.get_run(run_id).data.tags)


@PREFIXES
def test_the_run_of_a_pipeline_is_found_again(config: Config, client: MlflowClient, store: Store, prefix: str):
    run_id = created(client, store, **{"pipeline": "compare_models", f"{prefix}pipeline_key": "0123"})
    with pipeline_run(config.tracking, "compare_models", "0123", "compare") as run:
        assert run.run_id == run_id


@PREFIXES
def test_the_runs_of_a_study_are_found_again(client: MlflowClient, store: Store, prefix: str):
    study = {"study": "lenot", f"{prefix}study_id": "0123abcd"}
    parent, trial = created(client, store, sweep="true", **study), created(client, store, trial="0", **study)
    ours, other = StudyId("lenot", "0123abcd"), StudyId("lenot", "4567cdef")
    assert open_parent_run(store, ours)[0].run_id == parent
    assert [run.run_id for run in study_runs(store, ours)] == [trial]
    assert earlier_parents(store, ours) == []
    assert earlier_parents(store, other) == [parent]


def test_a_study_that_was_begun_by_an_earlier_version_keeps_its_trials_in_order(
    config: Config, client: MlflowClient, store: Store
):
    study = StudyId("lenot", "0123abcd")
    earlier = created(client, store, study="lenot", study_id=study.unique, trial="0")
    with new_run(config, tags=study.tags_of_trial(1)) as run:
        pass
    assert [(trial.number, trial.run_id) for trial in study_runs(store, study)] == [(0, earlier), (1, run.run_id)]


def test_a_user_s_tag_of_an_earlier_name_does_not_hide_the_program_s_own(config: Config, client: MlflowClient):
    config.tags["process"] = "etl"
    with new_run(config) as run:
        found = client.get_run(str(run.run_id)).data.tags
    assert found["process"] == "etl"
    assert read_tag(found, PROCESS) == found[f"{TAG_PREFIX}process"] != "etl"


@pytest.mark.parametrize("name", [FINGERPRINT, PIPELINE_KEY, STUDY_ID, UNRECOGNIZED])
def test_a_user_s_tag_with_an_earlier_name_is_not_taken_for_one_of_the_program(name: str):
    users = {name.removeprefix(TAG_PREFIX): "mine"}
    assert read_tag(users, name) == "mine"  # a run of an earlier version
    assert read_tag(users | {PROCESS: ENDED}, name) is None


def test_every_tag_of_a_run_is_described_or_has_a_prefix(trained: TrainedRun):
    run = MlflowClient(trained.workplace.uri).get_run(trained.run_id).data
    described = set(re.findall(r"`(\w+)`", str(tags.__doc__)))
    plain = {name for name in run.tags if not name.startswith(("mlflow.", TAG_PREFIX))}
    users = {name for name in plain if f"tags.{name}" in run.params}
    assert {"host", "git_dirty"} <= plain - users <= described


@pytest.mark.parametrize("tag", ["[]", "{", "1", '{"test_accuracy": 1}', '{"test_accuracy": [1, "x"]}'])
def test_intervals_that_were_changed_are_those_of_no_metric(tag: str) -> None:
    assert tags.read_intervals({tags.INTERVALS: tag}) == {}


def test_intervals_are_read_back_exactly() -> None:
    intervals = {"test_accuracy": Interval(1 / 3, 2 / 3)}
    assert tags.read_intervals(tags.interval_tag(intervals)) == intervals


@pytest.mark.parametrize("calibration", [Calibration(0.25), Calibration(0.25, 1 / 3, 0.125)])
def test_a_calibration_is_read_back_exactly(calibration: Calibration) -> None:
    assert tags.read_calibration(tags.calibration_tag(calibration)) == calibration


@pytest.mark.parametrize(
    "tag",
    ["[]", "{", "1", "{}", '{"error": "x"}', '{"error": 1, "temperature": 0}', '{"error": NaN}', '{"other": 1}'],
)
def test_a_calibration_that_was_changed_is_none(tag: str) -> None:
    assert tags.read_calibration({tags.CALIBRATION: tag, PROCESS: "1"}) is None
