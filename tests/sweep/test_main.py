"""`python -m src.sweep`: the state of sweeps, and how to stop one."""

import pytest
from optuna import create_study
from optuna.trial import TrialState, create_trial

from src.sweep.__main__ import read_arguments
from tests.support.sweeps import SMALL, SPACE, Study
from tests.support.workplace import Workplace

NAME = "grid-0123abcd"


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A folder with a study of four trials that are complete, two that failed and one that was interrupted."""
    workplace = Workplace(tmp_path_factory.mktemp("listed"))
    study = create_study(study_name=NAME, storage=Study(workplace.folder).storage)
    failed = create_trial(state=TrialState.FAIL, user_attrs={"reason": "larger than the 32x32 map"})
    interrupted = create_trial(state=TrialState.FAIL, user_attrs={"interrupted": True})
    study.add_trials([create_trial(value=0.5)] * 4 + [failed] * 2 + [interrupted])
    return workplace


def test_the_studies_are_listed_with_their_counts(listed: Workplace) -> None:
    done = listed.run("src.sweep", "status")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.strip().startswith("grid-")]
    assert line.split() == [NAME, "4", "0", "2", "1", "0"]


def test_a_study_is_shown_trial_by_trial(listed: Workplace) -> None:
    done = listed.run("src.sweep", "status", NAME)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("COMPLETE") == 4
    assert done.stdout.count("larger than the 32x32 map") == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "STUDY", "--storage", "URL"],
        ["--storage", "URL", "status", "STUDY"],
        ["--storage=URL", "status", "STUDY"],
        ["status", "--storage", "URL", "STUDY"],
        ["status", "STUDY", "storage=URL"],
        ["storage=URL", "status", "STUDY"],
    ],
)
def test_the_storage_may_be_named_before_or_after_the_action(arguments: list[str]) -> None:
    assert read_arguments(arguments)[:3] == ("status", "STUDY", "URL")


@pytest.mark.parametrize(
    ("variable", "storage"), [("sqlite:///a.db\n", "sqlite:///a.db"), (" ", "sqlite:///optuna.db")]
)
def test_the_storage_of_the_environment_is_the_default(
    variable: str, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTUNA_STORAGE", variable)
    assert read_arguments(["stop", "STUDY"])[:3] == ("stop", "STUDY", storage)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["status", "nope"], "error: no study 'nope'; known: grid-"),
        (["stop", "nope"], "error: no study 'nope'; known: grid-"),
        (["--storage", " ", "status"], "error: storage: got an empty string; give a value, or remove it"),
        (["stop", ""], "error: study: got an empty string; give a value, or remove it"),
        (["status", "storage="], "error: storage: got an empty string; give a value, or remove it"),
        (["stop"], "error: stop: name the study; python -m src.sweep status lists them"),
        ([], "error: the following arguments are required: action"),
        (["halt"], "error: argument action: invalid choice: 'halt'"),
        (
            ["status", "--sotrage=postgresql://ada:hunter2@db/x"],
            "error: unrecognized arguments: --sotrage=postgresql://ada:***@db/x",
        ),
        (["--storage", "sqlite:///gone.db", "status"], "error: there is no storage sqlite:///gone.db; name the one of"),
    ],
)
def test_what_does_not_exist_is_answered_in_a_sentence(listed: Workplace, arguments: list[str], sentence: str) -> None:
    done = listed.run("src.sweep", *arguments)
    assert done.returncode == (1 if "sqlite:///gone.db" in arguments else 2)
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1


@pytest.mark.fault
def test_a_sweep_that_another_terminal_stops_finishes_its_epochs_and_can_be_resumed(
    workplace: Workplace,
) -> None:
    from tests.sweep.test_sweep import wait_for_running_trials

    command = ["-m", *SMALL[:1], *SPACE, "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2", "training.epochs=300"]
    process = workplace.start("src.train", *command)
    wait_for_running_trials(workplace, 1)
    asked = workplace.run("src.sweep", "stop", Study(workplace.folder).study.study_name)
    assert asked.returncode == 0, asked.stderr
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "stopped by `python -m src.sweep stop`" in err
    assert "resume with: " in out
    study = Study(workplace.folder)
    assert all(trial.user_attrs.get("interrupted") for trial in study.study.trials)
    assert {run.info.status for run in study.runs()} == {"KILLED"}
    assert workplace.run("src.train", *command, "hydra.sweeper.timeout=1").returncode == 0  # it can be resumed
