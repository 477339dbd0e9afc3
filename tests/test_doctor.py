"""`python -m src.doctor`: it names what is wrong in a real store, repairs what can be repaired, and changes no more."""

import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from src import doctor, tracking
from src.cli.compose import compose_config
from src.errors import ConfigError, StoreError
from src.results import DoctorResult
from src.tracking import RunRecord, Survey, Undelivered
from src.tracking.process import process_name
from src.tracking.undelivered import Points
from tests.support.patients import Patient, age, ended_process, execute, tables
from tests.support.servers import free_port, missing, plain_server
from tests.support.workplace import RunHere, Workplace, copy_of

SMALL = ["dataset=synthetic", "model=dense", "model.dense=[8]", "training.epochs=2", "training.max_batches=4"]


@pytest.fixture(scope="module")
def gone() -> str:
    """The name of a process that has ended."""
    return ended_process()


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Patient:
    """A store with one training, which nothing has trained."""
    patient = Patient(Workplace(tmp_path_factory.mktemp("untouched")))
    patient.train()
    patient.storage.close()
    return patient


@pytest.fixture
def patient(untouched: Patient, tmp_path: Path) -> Patient:
    """A copy of it, for a test to damage."""
    return copied(untouched.workplace, tmp_path)


# --- a real store -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Two trainings, a registered model, and a sweep of three trials, made by the commands."""
    workplace = Workplace(tmp_path_factory.mktemp("real"))
    for name in ("first", "second"):
        done = workplace.run("src.train", *SMALL, f"tracking.run_name={name}")
        assert done.returncode == 0, done.stderr
    patient = Patient(workplace)
    done = workplace.run("src.register", f"run_id={id_of(patient, 'first')}", "name=digits")
    assert done.returncode == 0, done.stderr
    done = workplace.run("src.train", "-m", *SMALL, "seed=1,2,3", "hydra.sweeper.study_name=search")
    assert done.returncode == 0, done.stderr
    return workplace


def id_of(patient: Patient, name: str) -> str:
    """The id of the run with this name in the real store."""
    (run,) = patient.client.search_runs(["1"], f"attributes.run_name = '{name}'")
    return str(run.info.run_id)


def copied(real: Workplace, folder: Path) -> Patient:
    return Patient(copy_of(real, folder / "store"))


def examined(patient: Patient, *overrides: str) -> tuple[int, str]:
    """The exit code of the command and what it printed, in the folder of the store."""
    places = [f"tracking.uri={patient.workplace.uri}", f"cache_dir={patient.folder / 'cache'}"]
    done = patient.workplace.run("src.doctor", *places, *overrides)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def abandon(patient: Patient, gone: str) -> str:
    return patient.begin(gone)


def abandon_sweep(patient: Patient, gone: str) -> str:
    run_id = id_of(patient, "search")
    patient.client.update_run(run_id, status="RUNNING")
    patient.client.set_tag(run_id, "convlab.process", gone)
    return run_id


def kill_worker(patient: Patient, gone: str) -> str:
    trial = patient.claim()
    patient.begin(gone, **patient.study_id.tags_of_trial(trial.number))
    return f"trial {trial.number} of study search"


def forget_end_of_trial(patient: Patient, gone: str) -> str:
    run_id = id_of(patient, "trial-001")
    forget_end = "UPDATE runs SET status = 'RUNNING', end_time = NULL WHERE run_uuid = ?"
    execute(patient.folder / "mlflow.db", forget_end, run_id)
    patient.client.set_tag(run_id, "convlab.process", gone)
    return run_id


def leave_model_pending(patient: Patient, gone: str) -> str:
    return patient.log_model(id_of(patient, "second"), "PENDING")[0]


def leave_half_of_a_file(patient: Patient, gone: str) -> str:
    file = patient.artifacts(id_of(patient, "second")) / "figures" / ".part-curves.png"
    file.write_text("so far")
    return str(age(file))


def forget_best_epoch(patient: Patient, gone: str) -> str:
    run_id = id_of(patient, "second")
    for table, key in (("params", "resolved.best_epoch"), ("metrics", "best_epoch"), ("latest_metrics", "best_epoch")):
        execute(patient.folder / "mlflow.db", f"DELETE FROM {table} WHERE run_uuid = ? AND key = ?", run_id, key)
    return f"{run_id} (second) is FINISHED, but lacks resolved.best_epoch, best_epoch"


def leave_checkpoint(patient: Patient, gone: str) -> str:
    return str(patient.checkpoint(id_of(patient, "first")).parent)


def damage_checkpoint(patient: Patient, gone: str) -> str:
    run_id = patient.begin(gone)
    patient.client.set_terminated(run_id, "KILLED")
    patient.checkpoint(run_id, epoch=5)
    manifest = patient.checkpoint(run_id, epoch=10)
    manifest.with_name("variables-00010.npy").write_text("short")
    age(manifest.parent)  # files that were just written may belong to a process of another machine
    return str(manifest)


def delete_run_of_trial(patient: Patient, gone: str) -> str:
    run_id = id_of(patient, "trial-002")
    patient.client.delete_run(run_id)
    return f"mlflow runs restore --run-id {run_id}"


def remove_configuration(patient: Patient, gone: str) -> str:
    (patient.artifacts(id_of(patient, "second")) / "config" / "config.yaml").unlink()
    return "its config/config.yaml is missing"


def damage_model(patient: Patient, gone: str) -> str:
    file = patient.artifacts(id_of(patient, "second")) / "model" / "model.h5"
    file.write_bytes(file.read_bytes()[:-1])
    return "differs from its manifest.json: model.h5"


def remove_version(patient: Patient, gone: str) -> str:
    (version,) = patient.client.search_model_versions("name = 'digits'")
    shutil.rmtree(patient.folder / "mlartifacts" / "models" / version.source.removeprefix("models:/"))
    return "version 1 of digits is registered, but its files are missing"


def leave_points(patient: Patient, gone: str) -> str:
    kept = Undelivered(patient.uri, id_of(patient, "first"), "1")
    kept.add_points([Points({"loss": 1.0}, 1, 1)])
    return kept.command


def delete_run_of_version(patient: Patient, gone: str) -> str:
    run_id = id_of(patient, "first")
    patient.client.delete_run(run_id)
    return f"version 1 of digits is registered, but its run {run_id} was deleted"


Damage = Callable[[Patient, str], str]  # makes a fault; returns what a report must contain
REPAIRABLE: list[Damage] = [
    abandon,
    abandon_sweep,
    kill_worker,
    forget_end_of_trial,
    leave_model_pending,
    leave_half_of_a_file,
    forget_best_epoch,
    leave_checkpoint,
    damage_checkpoint,
]
OTHERS: list[Damage] = [
    delete_run_of_trial,
    remove_configuration,
    damage_model,
    remove_version,
    leave_points,
    delete_run_of_version,
]


def contents(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file except databases and locks."""
    files = [path for path in folder.rglob("*") if path.is_file() and not re.search(r"\.(db|lock)\b", path.name)]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def state(patient: Patient) -> tuple[dict[str, set[Any]], dict[str, str]]:
    """All rows of both databases by table, and all files."""
    patient.storage.close()
    databases = [tables(patient.folder / f"{name}.db") for name in ("mlflow", "optuna")]
    names = [f"{name} of Optuna" if name == "alembic_version" else name for name in databases[1]]
    return databases[0] | dict(zip(names, databases[1].values(), strict=True)), contents(patient.folder)


@pytest.mark.services
def test_every_fault_of_a_damaged_store_is_named_and_repaired_and_nothing_else_is_changed(
    real: Workplace, tmp_path: Path, gone: str
) -> None:
    patient = copied(real, tmp_path)
    assert examined(patient) == (0, f"nothing is wrong in {patient.workplace.uri}\n")
    whole = state(patient)

    expected = [damage(patient, gone) for damage in REPAIRABLE]
    damaged = state(patient)
    code, printed = examined(patient)
    assert [text for text in expected if text not in printed] == []
    assert f"error: {len(REPAIRABLE) + 1} faults are in" in printed  # a damaged checkpoint has a manifest and a file
    assert code == 1
    assert state(patient) == damaged  # without fix=true nothing is changed

    code, printed = examined(patient, "fix=true")
    assert [text for text in expected if text not in printed] == []
    assert code == 0, printed
    assert printed.count("done: ") == len(REPAIRABLE) + 1
    assert_only_repaired(patient, whole)
    repaired = state(patient)
    code, printed = examined(patient, "fix=true")
    assert (code, "done: " in printed) == (0, False)
    assert state(patient) == repaired


def assert_only_repaired(patient: Patient, whole: tuple[dict[str, set[Any]], dict[str, str]]) -> None:
    """Assert that all that was there before the damage is there again, and that only new runs and trials came."""
    rows, files = state(patient)
    before, files_before = whole
    missing = {table: found - rows[table] for table, found in before.items() if found - rows[table]}
    # The sweep and a trial's run have the same status again, but other processes or end times, and the metric that was
    # computed again has another time.
    assert set(missing) <= {"runs", "tags", "metrics", "latest_metrics"}
    assert len(missing.get("runs", ())) <= 2
    changed = {row[0] for table in ("tags", "metrics", "latest_metrics") for row in missing.get(table, ())}
    assert changed <= {"convlab.process", "best_epoch"}
    added = {name for name in files.keys() - files_before.keys() if not name.startswith("checkpoints/")}
    assert added == set()
    assert {name: files.get(name) for name in files_before} == files_before
    assert sorted(Path(name).name for name in files if name.startswith("checkpoints/")) == [
        "00005.json",
        "variables-00005.npy",
    ]


@pytest.mark.services
def test_faults_that_only_a_user_can_repair_are_named_each_time(real: Workplace, tmp_path: Path, gone: str) -> None:
    patient = copied(real, tmp_path)
    expected = [damage(patient, gone) for damage in OTHERS]
    damaged = state(patient)
    for overrides in ([], ["fix=true"]):
        code, printed = examined(patient, *overrides)
        assert [text for text in expected if text not in printed] == []
        assert f"error: {len(OTHERS) + 1} faults are left in" in printed  # the model and its version have no files
        assert code == 1
        assert state(patient) == damaged


# --- the command ------------------------------------------------------------------------------------------------------


def test_a_store_without_faults_is_reported_in_one_line(patient: Patient, run_here: RunHere) -> None:
    out = run_here(patient.workplace, "src.doctor", f"cache_dir='{patient.folder}'")
    assert out == f"nothing is wrong in {patient.workplace.uri}\n"


def test_a_store_without_runs_is_reported_in_one_line(workplace: Workplace, run_here: RunHere) -> None:
    Patient(workplace).client.search_experiments()
    out = run_here(workplace, "src.doctor", f"cache_dir='{workplace.folder}'")
    assert out == f"nothing is wrong in {workplace.uri}\n"


def test_faults_are_an_exit_code_and_the_setting_that_repairs_them(
    patient: Patient, gone: str, run_here: RunHere, capsys: pytest.CaptureFixture[str]
) -> None:
    patient.begin(gone)
    with pytest.raises(SystemExit) as stopped:
        run_here(patient.workplace, "src.doctor", f"cache_dir='{patient.folder}'")
    assert stopped.value.code == 1
    printed = capsys.readouterr()
    assert "fix=true will mark the run KILLED" in printed.out
    assert (
        printed.err == f"error: 1 fault is in {patient.workplace.uri}; to repair it, repeat the command with fix=true\n"
    )
    out = run_here(patient.workplace, "src.doctor", "fix=true", f"cache_dir='{patient.folder}'")
    assert "done: the run is KILLED now" in out
    assert out.splitlines()[-1] == f"nothing is wrong in {patient.workplace.uri} (1 repaired)"


@pytest.mark.parametrize(
    ("faults", "repairable", "said"),
    [
        (1, 1, "1 fault is in {uri}; to repair it, repeat the command with fix=true"),
        (1, 0, "1 fault is left in {uri}; the lines above say what to do"),
        (3, 3, "3 faults are in {uri}; to repair all of them, repeat the command with fix=true"),
        (3, 2, "3 faults are in {uri}; to repair 2 of them, repeat the command with fix=true"),
        (3, 0, "3 faults are left in {uri}; the lines above say what to do"),
    ],
)
def test_the_error_says_how_many_faults_can_be_repaired(
    workplace: Workplace, faults: int, repairable: int, said: str
) -> None:
    config = Patient(workplace).config()
    found = DoctorResult(faults=faults, repairable=repairable)
    assert doctor.explain(found, config) == said.format(uri=config.tracking.uri)


def test_clean_frees_space_and_fix_does_not(patient: Patient, gone: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = patient.begin(gone, "KILLED")
    older, newest = patient.checkpoint(run_id, 5), patient.checkpoint(run_id, 10)
    found = doctor.examine(patient.config("fix=true"))
    assert (found.faults, found.freed, found.freeable > 800, older.exists()) == (0, 0, True, True)
    assert "clean=true will remove the checkpoints before epoch 10 (1.2 kB)" in capsys.readouterr().out
    found = doctor.examine(patient.config("clean=true"))
    assert (found.faults, found.freed > 800, found.freeable) == (0, True, 0)
    assert (older.exists(), newest.exists()) == (False, True)
    assert "done: the checkpoints before epoch 10 were removed" in capsys.readouterr().out


def test_after_cleaning_the_advice_to_resume_fits_what_is_on_the_disk(
    patient: Patient, gone: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = patient.begin(gone, "KILLED")
    patient.checkpoint(run_id, 5)
    patient.checkpoint(run_id, 10)
    patient.client.log_metric(run_id, tracking.WRITTEN, 0.1, step=10)
    for overrides in ([], ["clean=true"], ["fix=true", "clean=true"]):
        doctor.examine(patient.config(*overrides))
        assert "to resume it after epoch 10:" in capsys.readouterr().out
    doctor.examine(patient.config(f"discard={run_id}"))
    printed = capsys.readouterr().out
    assert "to resume it after" not in printed
    assert "its checkpoints are gone" in printed


def test_discard_removes_what_it_names_and_nothing_else(patient: Patient, gone: str) -> None:
    named, other = patient.begin(gone, "KILLED"), patient.begin(gone, "KILLED")
    left = patient.begin(gone)
    for run_id in (named, other):
        patient.checkpoint(run_id, 5)
        patient.checkpoint(run_id, 10)
    found = doctor.examine(patient.config(f"discard={named}"))
    assert (found.faults, found.freed > 1600, patient.status(left)) == (1, True, "RUNNING")
    assert [len(list(folder.iterdir())) for folder in (patient.folder / "checkpoints").iterdir()] == [4]


def test_discard_names_the_folder_that_does_not_exist(patient: Patient) -> None:
    key = "0" * 32
    with pytest.raises(StoreError, match=rf"^discard={key}: .*checkpoints contains no folder with this name"):
        doctor.examine(patient.config(f"discard={key}"))


def test_a_repair_that_fails_is_reported_and_its_fault_is_left(
    patient: Patient, gone: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [patient.begin(gone) for _ in range(2)]
    end = Survey.end_killed

    def end_second(survey: Survey, run: RunRecord) -> None:
        if run.run_id == others[0]:
            raise OSError("read-only file system")
        end(survey, run)

    monkeypatch.setattr(Survey, "end_killed", end_second)
    found = doctor.examine(patient.config("fix=true"))
    assert (found.faults, found.repaired, found.left) == (2, 1, 1)
    assert "could not mark the run KILLED: read-only file system" in capsys.readouterr().out
    assert [patient.status(run_id) for run_id in others] == ["RUNNING", "KILLED"]


def test_long_lists_of_information_are_cut_and_faults_are_not(
    patient: Patient, gone: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(13):
        patient.client.set_terminated(patient.begin(gone), "KILLED")
        patient.begin(gone)
    assert doctor.examine(patient.config()).faults == 13
    printed = capsys.readouterr().out
    assert printed.count("says RUNNING, but its process has ended") == 13
    assert printed.count("was stopped or killed") == 10
    assert "- and 3 more" in printed


@pytest.mark.parametrize("experiment", ["*", "convlab", "other"])
def test_all_experiments_are_checked_unless_one_is_named(patient: Patient, gone: str, experiment: str) -> None:
    other = patient.client.create_experiment("other")
    tags = {"convlab.host": "", "host": "", "convlab.process": gone}
    patient.client.create_run(other, tags=tags)
    patient.begin(gone)
    patient.begin(process_name())
    found = doctor.examine(patient.config("hosts=all", f"tracking.experiment='{experiment}'"))
    assert found.faults == {"*": 2, "convlab": 1, "other": 1}[experiment]


def test_more_runs_than_a_page_has_are_all_checked_and_repaired(
    patient: Patient, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.tracking.survey.PAGE", 5)
    left = [patient.begin(gone) for _ in range(23)]
    assert doctor.examine(patient.config("fix=true")).repaired == 23
    assert {patient.status(run_id) for run_id in left} == {"KILLED"}


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hosts=none", r"^hosts: got 'none', expected one of this, all"),
        ("tracking=off", r"^tracking=off: the doctor examines a store"),
        (
            "discard=../mine",
            r"^discard: got '../mine', expected the id of a run, or the folder of a trial, trial-ID-NUMBER",
        ),
        ("fix=perhaps", r"^fix: "),
    ],
)
def test_a_setting_that_is_not_allowed_is_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compose_config([override], "doctor")


@pytest.mark.parametrize("state", ["does not exist", "is empty"])
def test_without_a_store_the_command_fails_and_says_how_to_name_one_and_creates_nothing(
    workplace: Workplace, run_here: RunHere, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    if state == "is empty":
        (workplace.folder / "mlflow.db").touch()
    before = list(workplace.folder.iterdir())
    with pytest.raises(SystemExit) as stopped:
        run_here(workplace, "src.doctor")
    assert stopped.value.code == 1
    printed = capsys.readouterr().err
    file = workplace.folder / "mlflow.db"
    assert f"nothing was examined: tracking.uri=sqlite:///{file} is the file {file}, which {state}" in printed
    assert "name the store: tracking.uri=sqlite:////FOLDER/mlflow.db" in printed
    assert list(workplace.folder.iterdir()) == before


def test_an_experiment_that_does_not_exist_is_answered_with_those_that_do(patient: Patient) -> None:
    with pytest.raises(StoreError, match=r"contains no experiment 'digits'; known: .*convlab"):
        doctor.examine(patient.config("tracking.experiment=digits"))


def test_a_server_that_does_not_answer_is_named(patient: Patient) -> None:
    with pytest.raises(StoreError, match="does not answer"):
        doctor.examine(patient.config(f"tracking.uri='http://127.0.0.1:{free_port()}'"))


def test_a_storage_that_was_named_and_does_not_exist_is_an_error(patient: Patient) -> None:
    with pytest.raises(StoreError, match=r"^storage=sqlite:///.*typo\.db does not exist; .*storage=null"):
        doctor.examine(patient.config(f"storage='sqlite:///{patient.folder}/typo.db'"))


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("sqlite:///{folder}/mlflow.db", "is MLflow's database"),
        ("postgresql://127.0.0.1:{port}/x", "does not answer .*; start it, or correct storage$"),
        ("mysql://127.0.0.1/x", "^storage=mysql://127.0.0.1/x: a sweep needs locks"),
    ],
)
def test_a_storage_that_cannot_be_used_is_an_error_with_the_key_of_the_doctor(
    patient: Patient, address: str, problem: str
) -> None:
    named = address.format(folder=patient.folder, port=free_port())
    with pytest.raises(StoreError, match=problem) as raised:
        doctor.examine(patient.config(f"storage='{named}'"))
    assert "hydra.sweeper" not in str(raised.value)


@pytest.mark.parametrize("has_trials", [True, False])
def test_without_the_usual_storage_no_trials_are_checked_and_a_line_says_so(
    patient: Patient, has_trials: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = patient.folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    if has_trials:
        patient.train(**{"convlab.study_id": "0123", "trial": "1"})
    assert doctor.examine(patient.config("storage='sqlite:///optuna.db'")).faults == 0
    assert ("trials are not checked" in capsys.readouterr().out) == has_trials
    assert doctor.examine(patient.config("storage=null")).faults == 0
    assert "trials are not checked" not in capsys.readouterr().out
    assert list(elsewhere.iterdir()) == []


# --- a server ---------------------------------------------------------------------------------------------------------


@pytest.mark.services
def test_a_store_behind_a_server_is_checked_by_its_answers(
    tmp_path: Path, gone: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with plain_server(tmp_path) as server:
        patient = Patient(Workplace(tmp_path), server.uri)
        whole, stripped = patient.train(), patient.train()
        artifacts = tmp_path / "mlartifacts" / "1" / stripped / "artifacts"
        shutil.rmtree(artifacts / "model")
        (artifacts / "config" / "config.yaml").unlink()
        left = patient.begin(gone)
        found = doctor.examine(patient.config("fix=true", "storage=null"))
        printed = capsys.readouterr().out
        assert (found.faults, found.repaired, patient.status(left)) == (3, 1, "KILLED")
        assert (whole in printed, printed.count(stripped)) == (False, 2)


# --- a store that can only be read ------------------------------------------------------------------------------------


@pytest.fixture
def read_only(patient: Patient, gone: str) -> Iterator[Patient]:
    """A store with an abandoned run, on a file system that cannot be written."""
    patient.begin(gone)
    patient.claim()
    patient.storage.close()
    folder = str(patient.folder)
    mounted = subprocess.run(["mount", "--bind", folder, folder], capture_output=True)
    if mounted.returncode:
        missing(f"a folder cannot be mounted: {mounted.stderr.decode().strip()}")
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    yield Patient(patient.workplace)
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.fault
def test_a_store_that_can_only_be_read_is_examined(read_only: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(read_only.folder)
    assert doctor.examine(read_only.config()).faults == 1
    printed = capsys.readouterr().out
    assert "says RUNNING, but its process has ended" in printed
    assert f"trials are not checked, because {read_only.folder / 'optuna.db'} or its folder is read-only" in printed
    assert contents(read_only.folder) == before


@pytest.mark.fault
def test_a_repair_of_a_store_that_can_only_be_read_fails_with_one_sentence(
    read_only: Patient, run_here: RunHere, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_here(read_only.workplace, "src.doctor", "fix=true")
    assert stopped.value.code == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (
        "",
        f"error: nothing was repaired: {read_only.folder / 'mlflow.db'} or its folder is read-only; make both "
        "writable, or repeat the command without fix=true to examine the store\n",
    )
