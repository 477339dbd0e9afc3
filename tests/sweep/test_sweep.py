"""Sweeps as users run them: real commands, real stores, real processes, some of which are killed."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import yaml

from src.study.storage import open_existing
from tests.support.sweeps import SMALL, SPACE, Study, Swept
from tests.support.workplace import ROOT, Workplace, copy_of

pytestmark = pytest.mark.services

# --- what a sweep leaves behind ------------------------------------------------------------------------------------


def test_every_third_configuration_is_impossible_and_the_sweep_has_the_right_counts_and_reasons(swept: Swept) -> None:
    swept.study.assert_whole(6)
    by_kernel = [(trial.params["model.conv.0.kernel_size"], trial.state.name) for trial in swept.study.study.trials]
    assert by_kernel == [(3, "COMPLETE")] * 2 + [(5, "COMPLETE")] * 2 + [(40, "FAIL")] * 2
    reasons = {trial.user_attrs.get("reason") for trial in swept.study.study.trials[4:]}
    assert all("model.conv.0.kernel_size: 40 is larger than the 32x32 map" in str(reason) for reason in reasons)
    assert "6 trials: 4 complete, 2 failed" in swept.out


def test_a_failed_trial_has_a_failed_run_with_its_params_and_the_reason(swept: Swept) -> None:
    run = swept.study.children[5]
    assert run.info.status == "FAILED"
    assert run.info.run_name == "trial-005"
    assert run.data.params["model.conv.0.kernel_size"] == "40"
    assert "larger than the 32x32 map" in run.data.tags["error"]


def test_a_trial_says_in_mlflow_and_in_optuna_what_it_reached(swept: Swept) -> None:
    for trial in swept.study.study.trials[:4]:
        run = swept.study.children[trial.number]
        assert trial.user_attrs["run_id"] == run.info.run_id
        values = [point.value for point in swept.study.client.get_metric_history(run.info.run_id, "val_accuracy")]
        assert trial.value == max(values)
        assert list(trial.intermediate_values.values()) == values
        assert run.data.params["seed"] == str(trial.params["seed"])
        assert run.info.run_name == f"trial-{trial.number:03}"


def test_study_run_and_table_give_the_same_value_of_each_trial_s_best_epoch(swept: Swept) -> None:
    rows = {int(row["number"]): row for row in csv.DictReader(swept.study.artifact("trials.csv").splitlines())}
    for trial in swept.study.study.trials[:4]:
        metrics = swept.study.children[trial.number].data.metrics
        assert trial.value == metrics["best_val_accuracy"] == float(rows[trial.number]["value"])
        assert trial.user_attrs["best_val_loss"] == metrics["best_val_loss"]
        assert trial.user_attrs["best_epoch"] == metrics["best_epoch"] == int(rows[trial.number]["best_epoch"])
        assert f"{trial.number}  COMPLETE  val_accuracy {metrics['best_val_accuracy']:.4f}" in swept.out
    best = swept.study.children[swept.study.study.best_trial.number].data.metrics
    parent = swept.study.parent.data.metrics
    assert parent == {name: best[name] for name in ("best_val_accuracy", "best_val_loss", "best_epoch")} | {
        "val_accuracy": best["best_val_accuracy"]
    }


def test_a_pruned_trial_has_the_same_value_in_the_table_the_terminal_and_its_run(workplace: Workplace) -> None:
    always = [
        "hydra/sweeper/pruner=threshold",
        "hydra.sweeper.pruner.lower=0.99",
        "hydra.sweeper.pruner.n_warmup_steps=4",
    ]
    space = ["hydra/sweeper=optuna", "optimizer.learning_rate=0.3,0.2", "hydra.sweeper.n_trials=2", *always]
    done = workplace.run("src.train", "-m", *SMALL, "model=dense", "training.epochs=9", *space)
    assert done.returncode == 0, done.stderr
    study = Study(workplace.folder)
    values = []
    for row in csv.DictReader(study.artifact("trials.csv").splitlines()):
        metrics = study.children[int(row["number"])].data.metrics
        assert (row["state"], float(row["value"])) == ("PRUNED", metrics["best_val_accuracy"])
        assert f"{row['number']}  PRUNED    val_accuracy {metrics['best_val_accuracy']:.4f}" in done.stdout
        values.append((metrics["best_val_accuracy"], metrics["val_accuracy"]))
    assert any(best != last for best, last in values)  # otherwise this test proves nothing


def test_no_trial_looks_at_the_test_split(swept: Swept) -> None:
    assert not [run for run in swept.study.children.values() if "test_accuracy" in run.data.metrics]


def test_the_parent_is_named_after_the_study_and_says_what_was_searched(swept: Swept) -> None:
    parent = swept.study.parent
    assert parent.info.run_name == swept.study.study.study_name
    assert re.fullmatch(r"grid-[0-9a-f]{8}", parent.info.run_name)
    assert parent.data.params["space.model.conv.0.kernel_size"] == "3, 5, 40"
    assert parent.data.params["hydra.sweeper.sampler.name"] == "grid"
    best = swept.study.study.best_trial
    assert parent.data.metrics["val_accuracy"] == best.value
    assert f"runs/{best.user_attrs['run_id']}" in parent.data.tags["mlflow.note.content"]


def test_the_parent_has_the_command_that_resumes_the_sweep_without_its_secrets(swept: Swept) -> None:
    command = swept.study.parent.data.tags["convlab.command"]
    assert command.startswith("python -m src.train -m dataset=synthetic training.epochs=2 model.conv.0.kernel_size=")
    assert "tags.api_token=***" in command
    assert not any("convlab.command" in run.data.tags for run in swept.study.children.values())


def test_the_parent_says_what_all_trials_have_in_common(swept: Swept) -> None:
    parent = swept.study.parent
    names = ("model.name", "dataset.name", "optimizer.learning_rate", "training.epochs")
    assert {name: parent.data.params[name] for name in names} == {
        name: swept.study.children[0].data.params[name] for name in names
    }
    assert not {"seed", "tracking.run_name"} & parent.data.params.keys()
    assert (parent.data.tags["model"], parent.data.tags["dataset"]) == ("lenot", "synthetic")
    (parent_input,), (trial_input,) = (run.inputs.dataset_inputs for run in (parent, swept.study.children[0]))
    assert parent_input.dataset == trial_input.dataset


def test_the_table_of_trials_has_a_row_for_each(swept: Swept) -> None:
    header, *rows = swept.study.artifact("trials.csv").splitlines()
    assert header.startswith("number,state,value,seconds,best_epoch,epochs,run_id,reason,")
    assert [row.split(",")[1] for row in rows] == ["COMPLETE"] * 4 + ["FAIL"] * 2


def test_the_best_trial_is_a_recipe_that_trains_as_it_is_and_reaches_its_value(
    swept: Swept, workplace: Workplace
) -> None:
    recipe = workplace.folder / "conf" / "experiment" / "best.yaml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text(swept.study.artifact("best.yaml"))
    assert "# python -m src.train experiment=best" in recipe.read_text()
    assert yaml.safe_load(recipe.read_text())["tags"]["best_of"] == swept.study.study.study_name
    done = workplace.run("src.train", "--config-dir", str(recipe.parent.parent), "experiment=best")
    assert done.returncode == 0, done.stderr
    reached = float(done.stdout.partition("best epoch")[2].partition("val_accuracy ")[2].split()[0])
    assert reached == pytest.approx(swept.study.study.best_value, abs=0.005)


def test_a_secret_that_was_typed_is_nowhere(swept: Swept) -> None:
    files = [path for path in swept.workplace.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if b"tok-5150" in path.read_bytes()]
    assert "tok-5150" not in swept.out


def test_nothing_is_written_next_to_the_stores(swept: Swept) -> None:
    ours = {"optuna.db-wal", "optuna.db-shm"}  # as long as this test has the study open
    names = {path.name for path in swept.workplace.folder.iterdir()} - {".keras", ".config", ".cache"} - ours
    stores = {"mlflow.db", ".mlflow.db.lock", "mlartifacts", "optuna.db", ".optuna.db.lock", ".optuna.db.locks"}
    assert names <= stores | {"worker_logs"}


def test_each_worker_of_a_local_sweep_has_a_log_that_status_shows(swept: Swept) -> None:
    logs = sorted((swept.workplace.folder / "worker_logs" / swept.study.study.study_name).iterdir())
    assert [path.name.rpartition("-")[2] for path in logs] == ["1.log", "2.log"]
    lines = "".join(path.read_text() for path in logs).splitlines()
    for number in range(4):
        assert sum(f" trial {number} is complete: val_accuracy 0." in line for line in lines) == 1
    assert sum(" trial 5 failed: " in line for line in lines) == 1
    shown = swept.workplace.run("src.sweep", "status", swept.study.study.study_name).stdout
    for path in logs:
        last = " ".join(path.read_text().splitlines()[-1].split()[:5])  # the table wraps what follows
        assert path.name in shown
        assert last in shown


QUICK = ["dataset=synthetic", "dataset.limit=100", "training.epochs=1", "model=dense"]
TWO_TRIALS = ["-m", "hydra/sweeper=optuna", *QUICK, SPACE[-1], "hydra.sweeper.n_trials=2"]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A sweep of two trials that has ended."""
    workplace = Workplace(tmp_path_factory.mktemp("ended"))
    finish(workplace, *TWO_TRIALS)
    return workplace


@pytest.fixture
def finished(ended: Workplace, tmp_path: Path) -> Workplace:
    """A copy of it, for a test to continue."""
    return copy_of(ended, tmp_path / "copy")


def test_a_larger_total_runs_only_the_rest_and_does_not_repeat_the_parameters(finished: Workplace) -> None:
    done = finished.run("src.train", *TWO_TRIALS, "hydra.sweeper.n_trials=3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("COMPLETE  val_accuracy") == 1
    study = Study(finished.folder)
    study.assert_whole(3)
    assert len({tuple(trial.params.values()) for trial in study.study.trials}) == 3


def test_a_sweep_whose_runs_are_gone_resumes_and_writes_its_results_from_the_study(finished: Workplace) -> None:
    (finished.folder / "mlflow.db").unlink()
    shutil.rmtree(finished.folder / "mlartifacts")
    done = finished.run("src.train", *TWO_TRIALS, "hydra.sweeper.n_trials=3")
    assert done.returncode == 0, done.stderr
    warned, _, trained = done.stdout.partition("trial 2  COMPLETE")
    assert "the runs of 2 trials (0-1) are not in experiment" in warned
    assert "resume with" not in trained
    study = Study(finished.folder)
    best = study.study.best_trial
    recipe = yaml.safe_load(study.artifact("best.yaml"))
    assert recipe["optimizer"]["learning_rate"] == best.params["optimizer.learning_rate"]
    assert len(study.artifact("trials.csv").splitlines()) == 4
    assert study.artifact("sweep.html")
    there = {run.info.run_id for run in study.runs()}
    linked = re.findall(r"runs/([0-9a-f]{32})", study.parent.data.tags["mlflow.note.content"])
    assert linked == [study.children[2].info.run_id]
    assert set(linked) <= there
    assert study.parent.info.status == "FINISHED"


def test_a_repeated_finished_sweep_keeps_its_end_time_and_a_stopped_one_becomes_finished(
    finished: Workplace,
) -> None:
    study = Study(finished.folder)
    parent = study.parent.info
    repeated = finished.run("src.train", *TWO_TRIALS)
    assert (repeated.returncode, "COMPLETE  val_accuracy" in repeated.stdout) == (0, False), repeated.stderr
    assert (study.parent.info.status, study.parent.info.end_time) == ("FINISHED", parent.end_time)
    for metric in study.parent.data.metrics:
        assert len(study.client.get_metric_history(parent.run_id, metric)) == 1  # nothing new was recorded
    study.client.set_terminated(parent.run_id, "KILLED", end_time=parent.end_time - 1)
    finish(finished, *TWO_TRIALS)
    assert (study.parent.info.status, study.parent.info.end_time) == ("FINISHED", parent.end_time - 1)


def test_conditional_keys_are_sampled_only_where_they_exist(workplace: Workplace) -> None:
    space = ["model=choice(lenot,dense)", "optimizer=choice(adam,rmsprop)", "optimizer.beta_1=interval(0.8,0.95)"]
    space += [
        "optimizer.rho=interval(0.8,0.95)",
        "model.conv.0.filters=range(4,9,2)",
        "model.dense=choice([16],[32,16])",
    ]
    settings = ["hydra/sweeper=optuna", "hydra/sweeper/sampler=random", "hydra.sweeper.n_trials=6"]
    done = workplace.run("src.train", "-m", *SMALL, "training.epochs=1", *space, *settings)
    assert done.returncode == 0, done.stderr
    Study(workplace.folder).assert_whole(6)
    for trial in Study(workplace.folder).study.trials:
        expected = {"model", "optimizer", "model.dense"}
        expected |= {"optimizer.beta_1"} if trial.params["optimizer"] == "adam" else {"optimizer.rho"}
        expected |= {"model.conv.0.filters"} if trial.params["model"] == "lenot" else set()
        assert set(trial.params) == expected


def test_too_many_failures_in_a_row_end_the_sweep_with_the_last_reason(workplace: Workplace) -> None:
    rates = "optimizer.learning_rate=1e20,2e20,3e20,1e-3"
    done = workplace.run("src.train", "-m", *SMALL, rates, "hydra.sweeper.max_failures=3")
    assert done.returncode == 1
    assert "hydra.sweeper.max_failures=3 trials in a row failed, the last with: the loss became" in done.stderr
    study = Study(workplace.folder)
    assert [trial.state.name for trial in study.study.trials] == ["FAIL"] * 3
    assert "resume with" not in done.stdout  # more of the same would fail again
    assert study.parent.info.status == "FAILED"


def test_after_the_timeout_no_further_trial_begins_and_the_way_to_resume_is_printed(
    workplace: Workplace,
) -> None:
    done = workplace.run("src.train", "-m", *SMALL, "seed=range(1,100)", "hydra.sweeper.timeout=0.1")
    assert done.returncode == 0, done.stderr
    assert "resume with: python -m src.train -m dataset=synthetic training.epochs=2 'seed=range(1,100)'" in done.stdout
    assert len(Study(workplace.folder).study.trials) < 99


def test_a_sweep_without_tracking_leaves_only_the_study(workplace: Workplace) -> None:
    done = workplace.run("src.train", "-m", *SMALL, "seed=1,2", "tracking=off")
    assert done.returncode == 0, done.stderr
    assert [trial.state.name for trial in Study(workplace.folder).study.trials] == ["COMPLETE"] * 2
    assert not (workplace.folder / "mlflow.db").exists()


def test_a_named_study_with_another_setting_is_refused_unless_that_is_wanted(finished: Workplace) -> None:
    command = [*TWO_TRIALS, f"hydra.sweeper.study_name={Study(finished.folder).study.study_name}"]
    changed = finished.run("src.train", *command, "training.batch_size=64")
    assert changed.returncode == 2
    assert "training.batch_size was 128, is 64" in changed.stderr
    finish(finished, *command, "training.batch_size=64", "hydra.sweeper.on_change=continue")


@pytest.mark.parametrize(
    ("storage", "code", "sentence"),
    [
        ("mysql://ada:hunter22@127.0.0.1/x", 1, "needs locks that mysql does not have"),
        ("sqlite:///mlflow.db", 1, "is MLflow's database"),
        ("postgresql://ada:hunter22@127.0.0.1:1/x", 1, "does not answer"),
    ],
)
def test_a_storage_that_cannot_be_used_is_refused_before_a_trial(
    workplace: Workplace, storage: str, code: int, sentence: str
) -> None:
    done = workplace.run("src.train", "-m", *SMALL, "seed=1,2", f"hydra.sweeper.storage='{storage}'")
    assert done.returncode == code
    assert sentence in done.stderr
    assert "hunter22" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


SCRIPT = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from src.space.planning import plan_line
from src.sweep import run_study
result = run_study(plan_line(["dataset=synthetic", "dataset.limit=100", "training.epochs=1", "seed=1,2"]))
assert result.counts.complete == 2
"""


def test_the_workers_of_a_script_import_the_code_that_the_script_imported(workplace: Workplace) -> None:
    (workplace.folder / "src").mkdir()
    (workplace.folder / "src" / "__init__.py").write_text("raise SystemExit('the code of another project')")
    script = workplace.folder / "elsewhere" / "search.py"
    script.parent.mkdir()
    script.write_text(SCRIPT)
    environment = workplace.environment(PYTHONPATH="")
    done = subprocess.run(
        [sys.executable, script], cwd=workplace.folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


# --- what cannot be lost -------------------------------------------------------------------------------------------

LONG = ["dataset=synthetic", "training.epochs=15", *SPACE, "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=2"]


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children()
    return [child for child in children if "src.sweep.worker" in " ".join(child.cmdline())]


def in_a_terminal(workplace: Workplace, *arguments: str) -> subprocess.Popen[str]:
    """`python -m src.train arguments`, in a process group of its own, as a terminal starts a command."""
    return subprocess.Popen(
        [sys.executable, "-m", "src.train", *arguments],
        cwd=workplace.folder,
        env=workplace.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_running_trials(workplace: Workplace, count: int) -> None:
    """Return when this number of trials is in the middle of their training."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (workplace.folder / "optuna.db").exists():
            try:
                running = [trial for trial in Study(workplace.folder).study.trials if trial.state.name == "RUNNING"]
                if sum(bool(trial.intermediate_values) for trial in running) >= count:
                    return
            except Exception:  # the storage is just being made
                time.sleep(0.1)
        time.sleep(0.1)
    raise TimeoutError("no trial began")


def wait_for_trials(study: Study, count: int) -> None:
    """Return when this number of trials is complete."""
    deadline = time.monotonic() + 120
    while [trial.state.name for trial in study.study.trials].count("COMPLETE") < count:
        assert time.monotonic() < deadline, "no trial was completed"
        time.sleep(0.1)


def finish(workplace: Workplace, *command: str) -> None:
    done = workplace.run("src.train", *command)
    assert done.returncode == 0, done.stderr


@pytest.mark.fault
def test_a_killed_worker_is_replaced_and_its_trial_tried_again_with_the_same_parameters(workplace: Workplace) -> None:
    process = workplace.start("src.train", "-m", *LONG)
    wait_for_running_trials(workplace, 2)
    workers_of(process)[0].kill()
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    study = Study(workplace.folder)
    study.assert_whole(3)
    (interrupted,) = [trial for trial in study.study.trials if trial.user_attrs.get("interrupted")]
    (retry,) = [trial for trial in study.study.trials if trial.user_attrs.get("retry_of") == interrupted.number]
    assert retry.params == interrupted.params
    assert study.children[interrupted.number].info.status == "KILLED"


@pytest.mark.fault
def test_trials_that_are_killed_and_not_tried_again_end_the_sweep_like_those_that_fail(workplace: Workplace) -> None:
    limits = ["hydra.sweeper.n_jobs=1", "hydra.sweeper.max_retries=0", "hydra.sweeper.max_failures=1"]
    process = workplace.start("src.train", "-m", *LONG, *limits)
    wait_for_running_trials(workplace, 1)
    workers_of(process)[0].kill()
    out, err = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "its worker was killed; not tried again after 1 attempt; a larger hydra.sweeper.max_retries" in out
    assert "trial 0 is not tried again after 1 attempt; a larger hydra.sweeper.max_retries allows more" in out
    assert "hydra.sweeper.max_failures=1 trials in a row failed, the last with: its worker was killed" in err
    assert Study(workplace.folder).parent.info.status == "FAILED"


@pytest.mark.fault
def test_the_workers_of_a_killed_parent_end_and_the_same_command_resumes_the_sweep(workplace: Workplace) -> None:
    process = workplace.start("src.train", "-m", *LONG, "hydra.sweeper.max_retries=0")
    wait_for_running_trials(workplace, 1)
    workers = workers_of(process)
    process.kill()
    process.communicate()
    _, left = psutil.wait_procs(workers, timeout=5)
    assert not left
    finish(workplace, "-m", *LONG, "hydra.sweeper.max_retries=0")
    study = Study(workplace.folder)
    study.assert_whole(3)
    assert [trial.state.name for trial in study.study.trials].count("COMPLETE") == 3


@pytest.mark.fault
@pytest.mark.parametrize(
    ("signum", "code", "message"), [(signal.SIGKILL, -signal.SIGKILL, ""), (signal.SIGINT, 130, "stopped by SIGINT\n")]
)
def test_a_sweep_that_is_stopped_while_its_workers_start_leaves_no_trace_and_no_worker(
    workplace: Workplace, signum: int, code: int, message: str
) -> None:
    process = in_a_terminal(workplace, "-m", *LONG)
    while not (workers := workers_of(process)):
        assert process.poll() is None
    os.killpg(process.pid, signum) if signum == signal.SIGINT else process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, "", message)
    assert not psutil.wait_procs(workers, timeout=5)[1]


@pytest.mark.fault
def test_a_sweep_that_is_killed_while_it_writes_its_results_is_completed_by_the_same_command(
    workplace: Workplace,
) -> None:
    command = ["-m", *QUICK, "seed=1,2"]
    process = workplace.start("src.train", *command)
    deadline = time.monotonic() + 120
    while not list((workplace.folder / "mlartifacts").glob("*/artifacts/best.yaml")):
        assert time.monotonic() < deadline, "no results were written"
        time.sleep(0.01)
    process.kill()
    _, err = process.communicate()
    assert (process.returncode, err) == (-signal.SIGKILL, "")
    finish(workplace, *command)
    study = Study(workplace.folder)
    study.assert_whole(2)
    assert study.artifact("sweep.html")
    assert not [path for path in (workplace.folder / "mlartifacts").rglob("*") if path.name.startswith(".part-")]


@pytest.mark.slow  # tests/sweep/test_outages.py has two terminals, and tests/study/test_claims.py killed processes
@pytest.mark.fault
def test_two_terminals_share_one_study_even_when_a_worker_is_killed(workplace: Workplace) -> None:
    processes = [workplace.start("src.train", "-m", *LONG) for _ in range(2)]
    wait_for_running_trials(workplace, 2)
    workers_of(processes[0])[0].kill()
    for process in processes:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, out + err
    Study(workplace.folder).assert_whole(3)


@pytest.mark.fault
def test_a_sweep_that_ends_while_another_terminal_writes_the_results_waits_for_it(finished: Workplace) -> None:
    study = Study(finished.folder)
    with closing(open_existing(study.storage)) as storage, storage.locks.holding(f"results {study.study.study_name}"):
        process = finished.start("src.train", *TWO_TRIALS, "hydra.sweeper.n_trials=3")
        wait_for_trials(study, 3)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        assert study.parent.info.status == "RUNNING"
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    study.assert_whole(3)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_one_signal_lets_the_epochs_end_and_prints_how_to_resume(workplace: Workplace, signum: int, code: int) -> None:
    process = in_a_terminal(workplace, "-m", *LONG, "training.epochs=400")
    wait_for_running_trials(workplace, 2)
    os.killpg(process.pid, signum) if signum == signal.SIGINT else process.send_signal(signum)  # as a terminal does it
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert "resume with: python -m src.train -m dataset=synthetic" in out
    study = Study(workplace.folder)
    assert {trial.state.name for trial in study.study.trials} == {"FAIL"}
    assert all(trial.user_attrs["interrupted"] for trial in study.study.trials)
    assert {run.info.status for run in study.runs()} == {"KILLED"}


@pytest.mark.fault
def test_a_second_ctrl_c_ends_everything_at_once(workplace: Workplace) -> None:
    process = workplace.start("src.train", "-m", "dataset=synthetic", "dataset.train_size=60000", *LONG[1:])
    wait_for_epoch_to_begin(workplace)
    workers = workers_of(process)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("stopping:"):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert not psutil.wait_procs(workers, timeout=5)[1]
    assert {run.info.status for run in Study(workplace.folder).runs()} == {"KILLED"}
    trials = Study(workplace.folder).study.trials
    assert {(trial.state.name, trial.user_attrs["reason"]) for trial in trials} == {
        ("FAIL", "the sweep was stopped or killed")
    }


def wait_for_epoch_to_begin(workplace: Workplace) -> None:
    """Return when a trial's run is RUNNING in MLflow: its first epoch takes long."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if any((workplace.folder / "mlartifacts").glob("*/artifacts/config/config.yaml")):
            return
        time.sleep(0.1)
    raise TimeoutError("no trial began")


@pytest.mark.slow  # tests/sweep/engines has workers that Slurm or Ray stops in the same way
@pytest.mark.fault
def test_a_worker_that_is_asked_to_stop_gives_its_trial_back(workplace: Workplace) -> None:
    process = workplace.start("src.train", "-m", *LONG)
    wait_for_running_trials(workplace, 1)
    workers_of(process)[0].terminate()
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    Study(workplace.folder).assert_whole(3)


def test_the_recipe_of_a_name_that_no_sweep_has_made_is_not_written_over(workplace: Workplace) -> None:
    done = workplace.run("src.train", "-m", *SMALL, "seed=1,2", "hydra.sweeper.save_best_as=lenot_mnist")
    assert done.returncode == 2
    assert "conf/experiment/lenot_mnist.yaml was not made by a sweep" in done.stderr
    assert not [path for path in Path(workplace.folder).iterdir() if path.name.endswith(".db")]
