"""A study is continued from its definition alone, by any machine that has the addresses of its two stores."""

import os
import shlex
from pathlib import Path

import optuna
import pytest

from src import study
from src.sweep.looking import command_of, last_line
from tests.support.sweeps import SMALL
from tests.support.workplace import Workplace

NAME = "joined"

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A folder with a study of one trial, which a command has made."""
    workplace = Workplace(tmp_path_factory.mktemp("first"))
    space = ["hydra/sweeper=optuna", "model.dropout=interval(0,0.5)", f"hydra.sweeper.study_name={NAME}"]
    done = workplace.run("src.train", "-m", *SMALL, *space, "hydra.sweeper.n_trials=1")
    assert done.returncode == 0, done.stderr
    return workplace


@pytest.fixture
def stores(first: Workplace) -> dict[str, str]:
    """The variables of the environment that name both stores. Nobody has asked the study to stop."""
    storage = f"sqlite:///{first.folder / 'optuna.db'}"
    optuna.load_study(study_name=NAME, storage=storage).set_user_attr("stop", False)
    return {"OPTUNA_STORAGE": storage, "MLFLOW_TRACKING_URI": f"sqlite:///{first.folder / 'mlflow.db'}"}


def test_another_folder_trains_what_was_ordered_and_completes_the_run(stores: dict[str, str], tmp_path: Path) -> None:
    elsewhere = Workplace(tmp_path)
    done = elsewhere.run("src.sweep", "resume", NAME, "--n-trials", "3", "--log", "logs/w.log", **stores)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "3 trials: 3 complete" in (tmp_path / "logs" / "w.log").read_text()
    assert not (tmp_path / "optuna.db").exists()
    assert not (tmp_path / "mlflow.db").exists()

    shown = elsewhere.run("src.sweep", "status", NAME, **stores)
    assert " logs/w.log " in shown.stdout  # relative to the folder where the command runs
    assert "the report lacks trials" not in shown.stdout

    watched = elsewhere.run("src.sweep", "watch", NAME, **stores)
    assert watched.returncode == 0, watched.stderr
    assert "3 trials: 3 complete" in watched.stdout


def test_more_trials_than_a_grid_has_are_refused_with_the_size_of_the_grid(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path)
    grid = ["seed=1,2,3", "hydra.sweeper.n_trials=1", f"hydra.sweeper.study_name={NAME}"]
    assert workplace.run("src.train", "-m", *SMALL, "model=dense", *grid).returncode == 0
    done = workplace.run("src.sweep", "resume", NAME, "--n-trials", "4")
    assert done.returncode == 2
    assert "--n-trials 4: the grid has 3 combinations; order no more than that" in done.stderr


def test_a_report_that_a_killed_worker_has_not_written_is_written_by_resume(
    stores: dict[str, str], tmp_path: Path
) -> None:
    opened = optuna.load_study(study_name=NAME, storage=stores["OPTUNA_STORAGE"])
    opened.set_user_attr("reported", 0)
    elsewhere = Workplace(tmp_path)
    assert f"python -m src.sweep resume {NAME}" in elsewhere.run("src.sweep", "status", NAME, **stores).stdout
    assert elsewhere.run("src.sweep", "resume", NAME, **stores).returncode == 0
    assert "the report lacks trials" not in elsewhere.run("src.sweep", "status", NAME, **stores).stdout


def test_a_store_that_does_not_have_the_run_of_the_sweep_is_refused(stores: dict[str, str], tmp_path: Path) -> None:
    done = Workplace(tmp_path).run("src.sweep", "work", NAME, OPTUNA_STORAGE=stores["OPTUNA_STORAGE"])
    assert done.returncode == 2
    assert "the run of the study 'joined' is not in sqlite:///mlflow.db; name the store that has it" in done.stderr


def test_a_value_of_a_variable_is_the_same_setting_for_a_worker(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path)
    space = ["hydra/sweeper=optuna", "model.dropout=interval(0,0.5)", f"hydra.sweeper.study_name={NAME}"]
    typed = [*SMALL, *space, "hydra.sweeper.n_trials=1", "seed=${oc.env:CHOSEN}"]
    assert workplace.run("src.train", "-m", *typed, CHOSEN="7").returncode == 0
    done = workplace.run("src.sweep", "resume", NAME, "--n-trials", "2")
    assert done.returncode == 0, done.stderr


def test_a_worker_trains_nothing_for_a_study_that_was_asked_to_stop(stores: dict[str, str], tmp_path: Path) -> None:
    elsewhere = Workplace(tmp_path)
    assert elsewhere.run("src.sweep", "stop", NAME, **stores).returncode == 0
    done = elsewhere.run("src.sweep", "work", NAME, **stores)
    assert done.returncode == 0, done.stderr
    assert f"python -m src.sweep resume {NAME}" in done.stdout


@pytest.mark.parametrize("key", ["code", "keras"])
def test_a_machine_with_other_code_or_packages_is_named_and_refused(
    stores: dict[str, str], tmp_path: Path, key: str
) -> None:
    opened = optuna.load_study(study_name=NAME, storage=stores["OPTUNA_STORAGE"])
    origin = opened.user_attrs[study.ORIGIN]
    opened.set_user_attr(study.ORIGIN, origin | {key: "another"})
    try:
        done = Workplace(tmp_path).run("src.sweep", "work", NAME, **stores)
    finally:
        opened.set_user_attr(study.ORIGIN, origin)
    assert done.returncode == 2
    assert f"{os.uname().nodename} cannot work on the study '{NAME}', because it has {key} " in done.stderr


def test_a_machine_with_other_data_is_refused_and_changes_nothing_in_the_study(
    stores: dict[str, str], tmp_path: Path
) -> None:
    opened = optuna.load_study(study_name=NAME, storage=stores["OPTUNA_STORAGE"])
    setting = opened.user_attrs["setting"]
    (data,) = [name for name in setting if name.startswith("data ")]
    opened.set_user_attr("setting", setting | {data: "other images"})
    study.ask_to_stop(opened)
    before = opened.user_attrs
    try:
        done = Workplace(tmp_path).run("src.sweep", "resume", NAME, "--n-trials", "50", **stores)
        assert opened.user_attrs == before  # the order, its deadline and the request to stop
    finally:
        opened.set_user_attr("setting", setting)
    assert done.returncode == 2
    assert f"{data} was other images, is " in done.stderr
    assert "Give this machine the same data and files" in done.stderr


def test_more_workers_than_the_machine_can_run_are_refused(stores: dict[str, str], tmp_path: Path) -> None:
    done = Workplace(tmp_path).run("src.sweep", "work", NAME, "--n-jobs", "1000", **stores)
    assert done.returncode == 2
    assert "--n-jobs: got 1000, expected at most" in done.stderr


def test_an_extension_that_is_missing_is_named_with_what_to_type(stores: dict[str, str], tmp_path: Path) -> None:
    opened = optuna.load_study(study_name=NAME, storage=stores["OPTUNA_STORAGE"])
    origin = opened.user_attrs[study.ORIGIN]
    opened.set_user_attr(study.ORIGIN, origin | {"resolved.extensions": "my_nets 0123456789ab"})
    try:
        done = Workplace(tmp_path).run("src.sweep", "work", NAME, **stores)
    finally:
        opened.set_user_attr(study.ORIGIN, origin)
    assert done.returncode == 2
    assert "has extensions none instead of my_nets 0123" in done.stderr
    assert "Type `extensions=[my_nets]` behind the name of the study" in done.stderr


def test_a_setting_of_the_study_cannot_be_typed(stores: dict[str, str], tmp_path: Path) -> None:
    done = Workplace(tmp_path).run("src.sweep", "work", NAME, "training.epochs=7", **stores)
    assert done.returncode == 2
    assert "training.epochs=7: the study decides this setting; remove `training.epochs=7`" in done.stderr


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", ""),
        ("one\n", "one"),
        ("one\ntwo\n\n", "two"),
        ("x" * 9000 + "\nlast", "last"),
    ],
)
def test_the_last_line_of_a_log_is_shown(content: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "w.log").write_text(content)
    assert last_line(tmp_path / "w.log") == line
    assert last_line(tmp_path / "missing.log") == ""


@pytest.mark.parametrize("folder", ["", "/proc/missing/"])
def test_a_log_that_cannot_be_written_is_reported_in_a_sentence(
    folder: str, stores: dict[str, str], tmp_path: Path
) -> None:
    log = f"{folder}w.log" if folder else str(tmp_path)
    done = Workplace(tmp_path).run("src.sweep", "work", NAME, "--log", log, **stores)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --log: ")
    assert done.stderr.count("\n") == 1


def test_a_refused_resume_changes_nothing_in_the_study(stores: dict[str, str], tmp_path: Path) -> None:
    elsewhere = Workplace(tmp_path)
    assert elsewhere.run("src.sweep", "stop", NAME, **stores).returncode == 0
    opened = optuna.load_study(study_name=NAME, storage=stores["OPTUNA_STORAGE"])
    before = opened.user_attrs
    done = elsewhere.run("src.sweep", "resume", NAME, "--n-trials", "30", "training.epochs=7", **stores)
    assert done.returncode == 2
    assert optuna.load_study(study_name=NAME, storage=stores["OPTUNA_STORAGE"]).user_attrs == before


def test_a_study_whose_deadline_has_passed_is_neither_worked_on_nor_watched_forever(
    stores: dict[str, str], tmp_path: Path
) -> None:
    opened = optuna.load_study(study_name=NAME, storage=stores["OPTUNA_STORAGE"])
    order = opened.user_attrs["order"]
    opened.set_user_attr("order", {"n_trials": 50, "deadline": 1.0})
    elsewhere = Workplace(tmp_path)
    try:
        done = elsewhere.run("src.sweep", "work", NAME, **stores)
        watched = elsewhere.run("src.sweep", "watch", NAME, **stores)
    finally:
        opened.set_user_attr("order", order)
    assert done.returncode == watched.returncode == 0
    assert f"study {NAME} has passed its deadline; resume it with: python -m src.sweep resume {NAME}" in done.stdout


def test_printed_commands_are_quoted_and_name_the_storage_that_was_typed() -> None:
    command = command_of("resume", "it's mine", "sqlite:///other.db")
    assert shlex.split(command)[3:] == ["resume", "it's mine", "--storage", "sqlite:///other.db"]
