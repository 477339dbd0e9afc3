"""Against the services of `compose.yaml`, started here: PostgreSQL and an MLflow server with users."""

import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import optuna
import pytest
import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.server import get_app_client

from tests.support.servers import SECRETS, Postgres, Team, make_databases, postgres_server, team_services
from tests.support.studies import opened
from tests.support.workplace import Workplace

pytestmark = pytest.mark.services
SMALL = ("dataset=synthetic", "training.epochs=2")


@pytest.fixture(scope="module")
def team(postgres_programs: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with team_services(postgres_programs, tmp_path_factory.mktemp("team")) as services:
        yield services


@pytest.fixture
def client(team: Team, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    for name, value in team.client.items():
        monkeypatch.setenv(name, value)
    return MlflowClient(team.uri)


def runs_of(client: MlflowClient, experiment: str) -> list[Run]:
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return list(client.search_runs([found.experiment_id]))


def finished(*processes: subprocess.Popen[str], folder: Path) -> tuple[str, set[str]]:
    """What was printed, and the name of every file that was in the folder at any time, once all have ended well."""
    out, seen = "", set[str]()
    for process in processes:
        while True:
            seen.update(path.name for path in folder.iterdir())
            try:
                said, err = process.communicate(timeout=0.1)
            except subprocess.TimeoutExpired:
                continue
            assert process.returncode == 0, err
            out += said + err
            break
    return out, seen


@pytest.fixture(scope="module")
def trained_there(team: Team, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, set[str]]:
    workplace = Workplace(tmp_path_factory.mktemp("there"))
    process = workplace.start("src.train", *SMALL, "tracking.experiment=whole", **team.client)
    return finished(process, folder=workplace.folder)


def test_a_run_is_whole_with_its_files_behind_the_server(
    team: Team, trained_there: tuple[str, set[str]], client: MlflowClient
):
    (run,) = runs_of(client, "whole")
    page = f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}?workflowType=machine_learning"
    assert f"{team.uri}/{page}\n" in trained_there[0]
    assert run.info.status == "FINISHED"
    assert [point.step for point in client.get_metric_history(run.info.run_id, "val_loss")] == [1, 2]
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
    kept = {path.name for path in team.artifacts.rglob(f"{run.info.run_id}/artifacts/*/*")}
    assert {"model.keras", "model.h5", "saved_model", "confusion_matrix.png", "config.yaml"} <= kept


def test_a_run_on_a_server_keeps_nothing_here(trained_there: tuple[str, set[str]]):
    assert {name for name in trained_there[1] if not name.startswith(".")} == set()
    assert not {name for name in trained_there[1] if name.startswith((".mlflow", ".optuna"))}


def test_the_passwords_are_in_nothing_that_was_said_or_kept(team: Team, trained_there: tuple[str, set[str]]):
    kept = [path.read_bytes() for path in team.artifacts.rglob("*") if path.is_file()]
    texts = [trained_there[0].encode(), team.log.read_bytes(), *kept]
    assert len(texts) > 10
    assert not [secret for secret in SECRETS.values() for text in texts if secret.encode() in text]


def test_a_run_is_scored_again_from_the_server(
    team: Team, trained_there: tuple[str, set[str]], client: MlflowClient, workplace: Workplace
):
    (run,) = runs_of(client, "whole")
    done = workplace.run("src.evaluate", f"run_id={run.info.run_id}", **team.client)
    assert done.returncode == 0, done.stderr
    assert f"test_accuracy {run.data.metrics['test_accuracy']:.4f}" in done.stdout
    assert client.get_run(run.info.run_id).data.metrics == run.data.metrics


@pytest.mark.slow  # tests/sweep/test_outages.py has two commands with one study on PostgreSQL
def test_two_terminals_share_one_sweep_with_both_stores_on_postgresql(
    team: Team, client: MlflowClient, workplace: Workplace, postgres: str
):
    space = ["training.epochs=1", "hydra/sweeper=optuna", "model.dropout=interval(0,0.5)", "hydra.sweeper.n_trials=4"]
    line = ["-m", "dataset=synthetic", *space, "tracking.experiment=swept"]
    terminals = [workplace.start("src.train", *line, **team.worker) for _ in range(2)]
    out, seen = finished(*terminals, folder=workplace.folder)
    with opened(f"{postgres}/optuna") as storage:
        (study,) = optuna.get_all_study_summaries(storage.optuna)
        trials = optuna.load_study(study_name=study.study_name, storage=storage.optuna).trials
    assert [(trial.number, trial.state.name) for trial in trials] == [(number, "COMPLETE") for number in range(4)]
    runs = runs_of(client, "swept")
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert sorted(run.data.tags["trial"] for run in children) == ["0", "1", "2", "3"]
    assert {run.info.status for run in (parent, *children)} == {"FINISHED"}
    kept = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert {"trials.csv", "best.yaml", "sweep.html", "figures"} <= kept
    assert not {name for name in seen if "mlflow" in name or "optuna" in name or name.startswith("ml")}
    assert not [secret for secret in SECRETS.values() if secret in out]


@pytest.mark.filterwarnings("ignore:starlette.middleware.wsgi is deprecated")  # MLflow's own server imports it
def test_a_password_in_the_address_is_in_nothing_that_is_written_or_said(
    team: Team, client: MlflowClient, workplace: Workplace
):
    password = token_hex(8)
    with environment_of(team.admin):
        get_app_client("basic-auth", tracking_uri=team.uri).create_user("ada", password)
    address = team.uri.replace("http://", f"http://ada:{password}@")
    done = workplace.run("src.train", *SMALL, f"tracking.uri={address}", "tracking.experiment=secret")
    assert done.returncode == 0, done.stderr
    assert password not in done.stdout + done.stderr
    (run,) = runs_of(client, "secret")
    assert run.data.params["tracking.uri"] == team.uri.replace("http://", "http://***@")
    files = [path for path in (*workplace.folder.rglob("*"), *team.artifacts.rglob("*")) if path.is_file()]
    assert not [path for path in files if password.encode() in path.read_bytes()]
    assert password.encode() not in team.log.read_bytes()


WRONG = {"MLFLOW_TRACKING_PASSWORD": "not-the-password"}


@pytest.mark.parametrize("command", [("src.train", *SMALL), ("src.evaluate", "run_id=0123456789abcdef")])
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"MLFLOW_TRACKING_USERNAME": "", "MLFLOW_TRACKING_PASSWORD": ""}, "asks for a user"),
        (WRONG, "does not know this user and password"),
    ],
    ids=["without credentials", "with a wrong password"],
)
def test_a_command_is_answered_in_a_sentence(
    team: Team, workplace: Workplace, command: Sequence[str], changes: dict[str, str], sentence: str
):
    given = {name: value for name, value in (team.client | changes).items() if value}
    done = workplace.run(*command, **given)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: the tracking server {team.uri} {sentence}")
    assert "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "not-the-password" not in done.stderr


def ask(team: Team, path: str, user: Mapping[str, str], **headers: str) -> int:
    """The status of the server's answer to the user of this environment."""
    opener = urllib.request.build_opener()
    password = urllib.request.HTTPPasswordMgrWithPriorAuth()
    known = user["MLFLOW_TRACKING_USERNAME"], user["MLFLOW_TRACKING_PASSWORD"]
    password.add_password(None, team.uri, *known, is_authenticated=True)
    opener.add_handler(urllib.request.HTTPBasicAuthHandler(password))
    request = urllib.request.Request(f"{team.uri}{path}", headers=headers)
    try:
        with opener.open(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


EXPERIMENTS = "/api/2.0/mlflow/experiments/search?max_results=1"


def test_the_server_answers_its_own_names_only(team: Team):
    assert ask(team, EXPERIMENTS, team.client) == 200
    assert ask(team, EXPERIMENTS, team.client, Host="elsewhere.example") == 403


def test_the_admin_has_a_page_for_new_users_and_a_trainer_does_not(team: Team):
    assert [ask(team, "/signup", user) for user in (team.admin, team.client)] == [200, 403]


# --- the user of trainers and workers ----------------------------------------------------------------------------


@contextmanager
def environment_of(user: Mapping[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
            patch.setenv(name, user[name])
        yield


def test_a_trainer_is_a_user_of_its_own_who_registers_and_reads_what_others_trained(
    team: Team, trained_there: tuple[str, set[str]], client: MlflowClient, workplace: Workplace
):
    (run,) = runs_of(client, "whole")
    assert team.client["MLFLOW_TRACKING_USERNAME"] == "trainer"
    done = workplace.run("src.register", f"run_id={run.info.run_id}", "alias=champion", **team.client)
    assert (done.returncode, done.stderr) == (0, "")
    by_admin = {name: value for name, value in team.admin.items() if name != "MLFLOW_TRAINER_PASSWORD"}
    line = [*SMALL, "tracking.experiment=of-the-admin", "tracking.save_model=false"]
    assert workplace.run("src.train", *line, **by_admin).returncode == 0
    (other,) = runs_of(client, "of-the-admin")
    assert client.get_run(other.info.run_id).data.params == other.data.params
    with pytest.raises(MlflowException, match="Permission denied"):
        client.delete_experiment(other.info.experiment_id)


@pytest.mark.filterwarnings("ignore:starlette.middleware.wsgi is deprecated")
def test_a_trainer_cannot_make_users_or_admins(team: Team, client: MlflowClient):
    users = get_app_client("basic-auth", tracking_uri=team.uri)
    for forbidden in (
        lambda: users.create_user("eve", token_hex(8)),
        lambda: users.update_user_admin("trainer", True),
        lambda: users.update_user_password("admin", token_hex(8)),
        lambda: users.delete_user("admin"),
    ):
        with pytest.raises(MlflowException, match="Permission denied"):
            forbidden()
    with environment_of(team.admin):
        assert not users.get_user("trainer").is_admin


def test_making_the_trainers_user_again_is_harmless_and_updates_its_password(team: Team, client: MlflowClient):
    again = team.make_trainer()
    assert (again.returncode, "its password is now" in again.stdout) == (0, True)
    assert ask(team, EXPERIMENTS, team.client) == 200
    changed = token_hex(8)
    try:
        done = team.make_trainer(MLFLOW_TRAINER_PASSWORD=changed)
        assert done.returncode == 0, done.stderr
        assert ask(team, EXPERIMENTS, team.client | {"MLFLOW_TRACKING_PASSWORD": changed}) == 200
        assert not [secret for secret in (changed, *SECRETS.values()) if secret in done.stdout + done.stderr]
    finally:
        assert team.make_trainer().returncode == 0


def test_a_password_that_the_server_refuses_is_reported_in_a_sentence(team: Team):
    done = team.make_trainer(MLFLOW_TRAINER_PASSWORD="short")
    assert done.returncode == 1
    assert "error: the server did not accept the user trainer with MLFLOW_TRAINER_PASSWORD: " in done.stderr
    assert "Traceback" not in done.stderr


def test_what_was_backed_up_is_put_back_into_a_new_server(
    trained_there: tuple[str, set[str]], client: MlflowClient, postgres_programs: Postgres
):
    (run,) = runs_of(client, "whole")
    dump = [str(postgres_programs.programs / "pg_dumpall"), "--clean", "--if-exists"]
    backup = subprocess.run([*dump, f"--dbname={postgres_programs.url}"], capture_output=True, check=True).stdout
    with postgres_server() as new:
        make_databases(new)
        subprocess.run([new.programs / "psql", "--quiet", f"{new.url}/postgres"], input=backup, capture_output=True)
        restored = f"{new.url.replace('postgresql', 'postgresql+psycopg')}/mlflow"
        engine = sqlalchemy.create_engine(restored, poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            found = connection.execute(sqlalchemy.text("select run_uuid, status from runs")).all()
            users = connection.execute(sqlalchemy.text("select username from users")).scalars().all()
    assert (run.info.run_id, "FINISHED") in [tuple(row) for row in found]
    assert "admin" in users
