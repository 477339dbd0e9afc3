"""Addresses of pages of the MLflow UI, and the command that opens it."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src import console, links
from src.cli.compose import compose_config
from src.links import PROJECT, VARIABLE, address, local_address, next_commands, run_page, runs_page, version_page
from tests.support.sweeps import plan

OWN = f"sqlite:///{PROJECT}/mlflow.db"  # the store that `make ui` shows by default


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


# --- pages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (run_page("7", "abc"), "#/experiments/7/runs/abc?workflowType=machine_learning"),
        (runs_page("7"), "#/experiments/7/runs?workflowType=machine_learning"),
        (runs_page("7", "results"), "#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey=results"),
        (version_page("mnist", 3), "#/models/mnist/versions/3?workflowType=machine_learning"),
        (version_page("häuser & co?#1", 3), "#/models/h%C3%A4user%20%26%20co%3F%231/versions/3?" + links.SIDE),
    ],
)
def test_a_page_opens_on_the_side_of_trained_models(page: str, expected: str) -> None:
    assert page == expected


@pytest.mark.parametrize(
    ("server", "base"),
    [
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000/"),
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5000/"),
        ("https://mlflow.example/team/a/", "https://mlflow.example/team/a/"),
        ("https://ada:hunter2@mlflow.example:8443/team", "https://mlflow.example:8443/team/"),
        ("https://ada:p@ss@mlflow.example", "https://mlflow.example/"),
        ("HTTP://[::1]:5000", "http://[::1]:5000/"),
    ],
)
def test_an_address_keeps_the_servers_path_and_leaves_out_user_and_password(server: str, base: str) -> None:
    assert links.is_server(server)
    assert address(server, run_page("1", "abc")) == base + run_page("1", "abc")


def test_the_ui_of_this_machine_is_on_port_5000_unless_another_is_asked_for() -> None:
    assert local_address("#/x") == "http://127.0.0.1:5000/#/x"
    assert local_address("#/x", 5001) == "http://127.0.0.1:5001/#/x"


# --- the command ---------------------------------------------------------------------------------------------------


def ui_command(uri: str) -> str:
    return shlex.join(links.ui_command(uri))


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:///mlflow.db",
        "sqlite:///./mlflow.db",
        "sqlite:///docs/../mlflow.db",
        "sqlite:///mlflow.db?timeout=5",
        OWN,
    ],
)
def test_the_projects_own_store_needs_no_name(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    assert ui_command(uri) == "make ui"


def test_the_projects_own_store_is_reached_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ui_command(OWN) == f"make -C {PROJECT} ui"


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("sqlite:///.debug/mlflow.db", f"URI=sqlite:///{PROJECT}/.debug/mlflow.db"),
        ("sqlite:////srv/runs.db", "URI=sqlite:////srv/runs.db"),
        ("sqlite:////srv/it's.db", """'URI=sqlite:////srv/it'"'"'s.db'"""),
        ("sqlite+pysqlite:///runs.db", f"URI=sqlite+pysqlite:///{PROJECT}/runs.db"),
        ("sqlite:///runs.db?timeout=5", f"'URI=sqlite:///{PROJECT}/runs.db?timeout=5'"),
        ("postgresql://ada@db.example/runs", "URI=postgresql://ada@db.example/runs"),
    ],
)
def test_another_store_is_named_by_its_absolute_address(uri: str, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    assert ui_command(uri) == f"make ui {named}"


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "sqlite:///docs/mlflow.db"])
def test_a_store_in_another_folder_is_named_by_its_path(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ui_command(uri) == f"make -C {PROJECT} ui URI=sqlite:///{tmp_path}/{uri.removeprefix('sqlite:///')}"


def test_a_store_from_the_environment_is_named_for_terminals_without_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setenv(VARIABLE, "sqlite:////srv/runs.db")
    assert ui_command("sqlite:////srv/runs.db") == "make ui URI=sqlite:////srv/runs.db"


def test_the_projects_own_store_is_named_where_the_environment_names_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setenv(VARIABLE, "http://mlflow.example:5000")
    assert ui_command("sqlite:///mlflow.db") == f"make ui URI={OWN}"


@pytest.mark.parametrize("given", ["", "sqlite:///mlflow.db", OWN])
def test_a_variable_that_names_the_projects_own_store_changes_nothing(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setenv(VARIABLE, given)
    assert ui_command("sqlite:///mlflow.db") == "make ui"


def test_a_link_to_the_projects_own_store_is_that_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").symlink_to(PROJECT)
    monkeypatch.chdir(PROJECT)
    assert ui_command(f"sqlite:///{tmp_path}/project/mlflow.db") == "make ui"


SHOW = '#!/bin/sh\nprintf %s "$MLFLOW_TRACKING_URI" > {folder}/address\nprintf %s "$*" > {folder}/typed\n'


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project's Makefile, whose python writes down what it is given."""
    folder = tmp_path_factory.mktemp("make")
    (folder / "Makefile").write_text((PROJECT / "Makefile").read_text().replace("ui: setup", "ui:"))
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").write_text(SHOW.format(folder=folder))
    (folder / ".venv/bin/python").chmod(0o755)
    return folder


def typed(command: str, fake: Path, **variables: str) -> tuple[str, str]:
    """Return what the command's program gets: the address, and the rest."""
    environment = {"PATH": "/usr/bin:/bin"} | variables
    done = subprocess.run(command, shell=True, cwd=fake, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return (fake / "address").read_text(), (fake / "typed").read_text()


@given(name=st.text(st.characters(codec="utf-8", exclude_characters="\0\n\r/?"), min_size=1))
@settings(deadline=None, max_examples=40)
def test_any_file_name_passes_the_shell_and_make_unchanged(name: str, fake: Path) -> None:
    word = links.ui_command(f"sqlite:////srv/{name}.db")[-1]
    assert typed(f"make ui {shlex.quote(word)}", fake) == (word.removeprefix("URI="), "-m src.ui")


def test_make_passes_on_port_and_open(fake: Path) -> None:
    assert typed("make ui PORT=5001 OPEN=1", fake) == ("", "-m src.ui port=5001 open=1")


def test_variables_of_these_names_in_the_environment_do_not_count(fake: Path) -> None:
    of_others = {"PORT": "3000", "URI": "nonsense", "OPEN": "nonsense"}
    assert typed("make ui", fake, MLFLOW_TRACKING_URI="sqlite:///x.db", **of_others) == ("sqlite:///x.db", "-m src.ui")


@pytest.mark.parametrize(
    ("uri", "variable", "named"),
    [
        ("sqlite:///mlflow.db", None, ""),
        ("sqlite:///./mlflow.db", None, ""),
        ("sqlite:///other.db", None, "MLFLOW_TRACKING_URI=sqlite:///{here}/other.db "),
        ("sqlite:///other.db", "sqlite:///other.db", ""),
        ("sqlite:///mlflow.db", "sqlite:///other.db", "MLFLOW_TRACKING_URI=sqlite:///{here}/mlflow.db "),
        ("http://127.0.0.1:5000", None, "MLFLOW_TRACKING_URI=http://127.0.0.1:5000 "),
        ("sqlite:////data/my store.db", None, "MLFLOW_TRACKING_URI='sqlite:////data/my store.db' "),
    ],
)
def test_a_command_of_mlflow_names_the_store_unless_mlflow_finds_it_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, variable: str | None, named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if variable:
        monkeypatch.setenv(VARIABLE, variable)
    command = links.mlflow_command(uri, "runs", "restore", "--run-id", "abc")
    assert command == named.format(here=tmp_path) + "mlflow runs restore --run-id abc"


@pytest.mark.parametrize(
    ("address", "printed"),
    [
        ("postgresql://ada@db.example/x", "{}"),
        ("postgresql://ada:hunter2@db.example/x", "{} (with the values that *** hides)"),
    ],
)
def test_a_command_can_be_pasted_unless_it_has_a_password(
    address: str, printed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = ["-m", "seed=1,2", f"hydra.sweeper.storage='{address}'"]
    monkeypatch.setattr("sys.argv", ["src.train", *typed])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    console.say(links.same_command())
    command = shlex.join(["python", "-m", "src.train", *typed]).replace("ada:hunter2", "ada:***")
    assert capsys.readouterr().out == printed.format(command) + "\n"


def resume_command_with(local: str | None, uri: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The command that resumes a run, on a machine with these settings in conf/local."""
    file = folder / "default.yaml"
    if local is not None:
        file.write_text(f"# @package _global_\n{local}")
    monkeypatch.setattr(links, "LOCAL", file)
    monkeypatch.chdir(folder)
    return links.resume_command(uri, "0123").removeprefix("python -m src.train resume=0123")


OWN_STORE = 'tracking: {uri: "http://127.0.0.1:5000"}'


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "http://127.0.0.1:5000"])
@pytest.mark.parametrize("local", [OWN_STORE, "defaults: [override /tracking: mine]"])
def test_a_command_that_resumes_names_the_store_if_the_settings_of_the_machine_may_name_another(
    local: str, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resume_command_with(local, uri, tmp_path, monkeypatch) == f" 'tracking.uri=\"{uri}\"'"


@pytest.mark.parametrize("local", [None, "dataset: {data_dir: /mnt/datasets}"])
def test_a_command_that_resumes_does_not_name_the_store_that_it_finds_by_itself(
    local: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resume_command_with(local, "sqlite:///mlflow.db", tmp_path, monkeypatch) == ""


def test_a_command_of_the_doctor_does_not_depend_on_the_settings_of_trainings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resume_command_with(OWN_STORE, "sqlite:///mlflow.db", tmp_path, monkeypatch)
    assert links.doctor_command("sqlite:///mlflow.db") == "python -m src.doctor"


@pytest.mark.parametrize(
    ("uri", "command"),
    [
        ("sqlite:///mlflow.db", "python -m src.doctor fix=true"),
        ("http://127.0.0.1:5001", "python -m src.doctor fix=true 'tracking.uri=\"http://127.0.0.1:5001\"'"),
    ],
)
def test_a_command_of_the_doctor_names_the_store_unless_the_doctor_finds_it_by_itself(
    uri: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert links.doctor_command(uri, "fix=true") == command


# --- what to try next ----------------------------------------------------------------------------------------------


def next_words(*typed: str, run_id: str | None = "a" * 32) -> list[list[str]]:
    config = compose_config(["dataset=image_folder", "dataset.folder=pets", *typed])
    return [shlex.split(command) for _, command in next_commands(config, ["dataset.folder=pets", *typed], run_id)]


def test_the_next_commands_repeat_what_was_typed_and_can_be_composed() -> None:
    check, transfer, varied, search, predict = next_words("training.epochs=3", "optimizer.learning_rate=0.1")
    assert check == ["python", "-m", "src.check_data", "dataset.folder=pets"]
    assert transfer[3:] == ["dataset.folder=pets", "training.epochs=3", "optimizer.learning_rate=0.1", "model=transfer"]
    assert compose_config(["dataset=image_folder", *varied[3:]]).augmentation.changes_images
    assert plan("dataset=image_folder", *search[4:]).settings.n_trials == 10
    assert predict[2:] == ["src.predict", f"run_id={'a' * 32}", "images=pets"]


def test_what_is_done_already_is_not_proposed() -> None:
    done = ["model=transfer", "model.weights=null", "augmentation=light", "dataset.flips=true"]
    modules = [words[2] for words in next_words(*done, run_id=None)]
    assert modules == ["src.check_data", "src.train"]


def test_a_folder_with_a_space_is_quoted_for_hydra() -> None:
    predict = next_words("dataset.folder=My Pets")[-1]
    assert compose_config(predict[3:], "predict").images == "My Pets"
