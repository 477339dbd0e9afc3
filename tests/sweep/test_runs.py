"""Studies that lost some or all of their runs, and runs that lost their study: the warnings, and the known settings."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from src.cli.compose import compose_config
from src.results import TrialRow
from src.schema import Config, as_tree
from src.space import SweepPlan
from src.sweep.runs import config_of_trial, open_parent, runs_of_trials, warnings_of
from src.tracking import Store, StudyId, open_store
from tests.support.runs import config_for, new_run
from tests.support.sweeps import plan
from tests.support.workplace import Workplace, copy_of

STUDY = StudyId("lenot", "0123abcd")


@dataclass(frozen=True)
class Resumed:
    """A study of five trials, all of which have runs, about to be resumed."""

    config: Config
    plan: SweepPlan
    store: Store
    rows: list[TrialRow]

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.config.tracking.uri)

    def warning(self, rows: list[TrialRow] | None = None) -> str:
        parent = open_parent(self.store, STUDY, self.plan, [])
        runs = runs_of_trials(self.store, STUDY, parent)
        shown = warnings_of(self.store, STUDY, self.config.tracking, self.rows if rows is None else rows, runs)
        return "\n".join(shown)


def row(number: int, run_id: str | None, state: str = "COMPLETE") -> TrialRow:
    return TrialRow(number, state, 0.5, {"model.dropout": 0.25}, 1.0, 1, 1, {1: 0.5}, run_id, False, "")


def resumed_in(workplace: Workplace, rows: list[TrialRow]) -> Resumed:
    typed = ["tracking.experiment=sweeps", "tracking.detail=light"]
    config = config_for(workplace.uri, *typed, "model.dropout=0.25")
    planned = plan("dataset=synthetic", f"tracking.uri='{workplace.uri}'", *typed, "model.dropout=0.1,0.25")
    return Resumed(config, planned, open_store(config.tracking), rows)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workplace, list[TrialRow]]:
    workplace = Workplace(tmp_path_factory.mktemp("original"))
    study = resumed_in(workplace, [])
    parent = open_parent(study.store, STUDY, study.plan, [])
    rows = []
    for number, state in enumerate(("COMPLETE", "PRUNED", "FAIL", "COMPLETE", "PRUNED")):
        with new_run(study.config, parent_run_id=parent.run_id, tags=STUDY.tags_of_trial(number)) as run:
            rows.append(row(number, run.run_id, state))
    return workplace, rows


@pytest.fixture
def resumed(original: tuple[Workplace, list[TrialRow]], tmp_path: Path) -> Resumed:
    workplace, rows = original
    return resumed_in(copy_of(workplace, tmp_path / "copy"), rows)


# --- the warnings --------------------------------------------------------------------------------------------------


def test_there_is_no_warning_when_all_runs_are_there(resumed: Resumed) -> None:
    assert resumed.warning() == ""


def test_runs_that_were_deleted_are_named_by_their_trials_with_the_command_that_restores_them(
    resumed: Resumed,
) -> None:
    for number in (1, 3, 4):
        resumed.client.delete_run(str(resumed.rows[number].run_id))
    warning = resumed.warning()
    assert warning.startswith("study lenot: the runs of 3 trials (1, 3-4) are not in experiment 'sweeps' of sqlite:///")
    assert "Their values stay in the study" in warning
    assert f" mlflow runs restore --run-id {resumed.rows[1].run_id}\n  and 2 more" in warning
    assert f"- MLFLOW_TRACKING_URI={resumed.client.tracking_uri} mlflow" in warning  # not this folder's own store
    assert "tracking.uri" not in warning
    assert "hydra.sweeper.study_name=NAME" in warning


def test_a_restored_run_is_no_longer_reported_missing(resumed: Resumed) -> None:
    resumed.client.delete_run(str(resumed.rows[0].run_id))
    assert "the run of trial 0 is not in" in resumed.warning()
    resumed.client.restore_run(str(resumed.rows[0].run_id))
    assert resumed.warning() == ""


def test_runs_of_another_store_are_reported_missing_with_where_to_look(resumed: Resumed) -> None:
    warning = resumed.warning([*resumed.rows[:4], row(4, "ab" * 16)])
    assert "the run of trial 4 is not in experiment 'sweeps'" in warning
    assert "set tracking.uri and tracking.experiment to where they are" in warning
    assert "restore" not in warning


def test_trials_that_never_had_a_run_are_not_reported_missing(resumed: Resumed) -> None:
    assert resumed.warning([row(0, None), row(1, None, "FAIL"), row(2, None, "RUNNING")]) == ""


def test_a_sweep_without_tracking_reports_nothing_missing(resumed: Resumed) -> None:
    off = open_store(compose_config(["tracking=off"]).tracking)
    assert warnings_of(off, STUDY, resumed.config.tracking, resumed.rows, []) == []


def test_a_new_study_with_the_name_of_an_earlier_one_is_reported_as_new(resumed: Resumed) -> None:
    (earlier,) = resumed.client.search_runs([resumed.store.experiment_id], "tags.sweep = 'true'")
    new = StudyId(STUDY.name, "4567cdef")
    (said, remedy) = warnings_of(resumed.store, new, resumed.config.tracking, [], [])
    assert said.startswith(f"an earlier study lenot left run {earlier.info.run_id} in MLflow")
    assert remedy.startswith("This is a new study")
    assert warnings_of(resumed.store, StudyId("other", "89"), resumed.config.tracking, [], []) == []


def test_runs_of_a_deleted_parent_get_the_new_parent(resumed: Resumed, capsys: pytest.CaptureFixture[str]) -> None:
    first = str(open_parent(resumed.store, STUDY, resumed.plan, []).run_id)
    resumed.client.delete_run(first)
    parent = open_parent(resumed.store, STUDY, resumed.plan, [])
    runs_of_trials(resumed.store, STUDY, parent)
    said = f"the parent of the runs of 5 trials was missing; the new parent is run {parent.run_id}"
    assert said in capsys.readouterr().out
    children = [run for run in runs_of_trials(resumed.store, STUDY, parent) if run.parent_run_id == parent.run_id]
    assert [run.number for run in children] == [0, 1, 2, 3, 4]
    assert capsys.readouterr().out == ""
    assert "space.model.dropout" in resumed.client.get_run(str(parent.run_id)).data.params


# --- how a trial was trained ---------------------------------------------------------------------------------------


def test_a_trial_was_trained_as_its_run_says(resumed: Resumed) -> None:
    found = config_of_trial(resumed.store, resumed.plan, resumed.rows[0], {str(resumed.rows[0].run_id)}, 0)
    assert found is not None
    assert found["model"] == as_tree(resumed.config)["model"]
    assert found["tracking"]["uri"] != resumed.config.tracking.uri  # the run was recorded at another place


@pytest.mark.parametrize("gone", ["run", "files"])
def test_a_trial_whose_run_or_files_are_gone_was_trained_as_its_parameters_say(resumed: Resumed, gone: str) -> None:
    if gone == "files":
        shutil.rmtree(Path(resumed.config.tracking.uri.removeprefix("sqlite:///")).parent / "mlartifacts")
    known = {str(resumed.rows[0].run_id)} if gone == "files" else set()
    found = config_of_trial(resumed.store, resumed.plan, resumed.rows[0], known, 0)
    assert found is not None
    assert (found["model"], found["optimizer"]) == tuple(as_tree(resumed.config)[key] for key in ("model", "optimizer"))


@pytest.mark.parametrize(
    ("params", "first"),
    [
        ({"model.dropout": 0.25}, 1),  # the setting was changed after trial 0
        ({}, 0),  # a dimension was added later
        ({"model.dropout": 0.25, "seed": 2}, 0),  # a dimension was removed later
    ],
)
def test_the_configuration_of_a_trial_of_another_setting_or_space_is_unknown(
    resumed: Resumed, params: dict[str, float], first: int
) -> None:
    assert (
        config_of_trial(resumed.store, resumed.plan, row(0, None)._replace(params=dict(params)), set(), first) is None
    )


@pytest.mark.parametrize("name", ["pets", "image_folder"])  # the second by the first versions
def test_a_trial_s_data_is_looked_for_where_it_is_now(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(workplace.folder)
    line = ["dataset=image_folder", f"tracking.uri='{workplace.uri}'"]
    config = config_for(workplace.uri, *line, "dataset.folder=pets/train", "dataset.resize=pad")
    config.dataset.name = name
    with new_run(config) as run:
        pass
    moved = plan(*line, "dataset.folder=animals/train", "seed=1,2")
    trial = row(0, run.run_id)._replace(params={"seed": 1})
    found = config_of_trial(open_store(config.tracking), moved, trial, {str(run.run_id)}, 0)
    assert found is not None
    keys = ("folder", "name", "resize")
    assert [found["dataset"][key] for key in keys] == ["animals/train", "animals", "pad"]


def test_a_path_that_was_hidden_in_a_trial_s_run_is_the_one_of_the_sweep(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHTS", "/home/ada/weights.keras")
    line = ["dataset=synthetic", f"tracking.uri='{workplace.uri}'", "training.initial_weights='${oc.env:WEIGHTS}'"]
    config = config_for(workplace.uri, *line)
    with new_run(config) as run:
        pass
    assert run.read_config()["training"]["initial_weights"] == "***"
    trial = row(0, run.run_id)._replace(params={"seed": 1})
    found = config_of_trial(open_store(config.tracking), plan(*line, "seed=1,2"), trial, {str(run.run_id)}, 0)
    assert found is not None
    assert found["training"]["initial_weights"] == "/home/ada/weights.keras"
