"""Whole sweeps on a real Slurm cluster of one node."""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import psutil
import pytest

from tests.support.servers import OUTSIDE
from tests.support.shared import SharedStores
from tests.support.slurm import SlurmCluster
from tests.support.sweeps import Study
from tests.support.workplace import Workplace

pytestmark = pytest.mark.services
NAME = "shared"


@pytest.fixture
def stores(postgres: str) -> SharedStores:
    return SharedStores.make(postgres)


@pytest.fixture
def cluster(slurm: SlurmCluster) -> Iterator[SlurmCluster]:
    """The cluster, without jobs before and after."""
    yield slurm
    slurm.cancel_all()


@pytest.fixture
def variables(cluster: SlurmCluster, stores: SharedStores) -> dict[str, str]:
    """The environment of a command that uses the cluster and the stores."""
    return cluster.variables | stores.variables


def sweep(n_trials: int, epochs: int, *settings: str) -> list[str]:
    """The arguments of a sweep on the cluster; a trial takes seconds, and writes a checkpoint after each epoch."""
    kinds = ["hydra/sweeper=optuna", "hydra/sweeper/engine=slurm", "dataset=synthetic", "model=dense"]
    training = [f"training.epochs={epochs}", "training.checkpoint_minutes=0", "tracking.save_model=false"]
    space = ["model.dropout=interval(0,0.5)", f"hydra.sweeper.n_trials={n_trials}", f"hydra.sweeper.study_name={NAME}"]
    return ["-m", *kinds, *training, *space, "hydra.sweeper.engine.partition=low", *settings]


def wait_for(holds: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def in_training(study: Study) -> list[optuna.trial.FrozenTrial]:
    """The running trials that have finished an epoch."""
    try:
        trials = study.study.trials
    except Exception:  # the study does not exist yet
        return []
    return [trial for trial in trials if trial.state.name == "RUNNING" and trial.intermediate_values]


def command_lines() -> str:
    """The command lines of all processes of the machine."""
    lines = []
    for process in psutil.process_iter():
        try:
            lines.append(" ".join(process.cmdline()))
        except psutil.Error:  # it has ended
            continue
    return "\n".join(lines)


def logs(workplace: Workplace) -> dict[str, str]:
    """The workers' logs by the names of their files."""
    return {path.name: path.read_text() for path in sorted((workplace.folder / "worker_logs" / NAME).iterdir())}


def assert_complete(study: Study, n_trials: int, epochs: int) -> None:
    """Assert that the study has exactly its trials, each with every epoch once, and its report."""
    study.assert_whole(n_trials)
    for trial in study.study.trials:
        if trial.state.name == "COMPLETE":
            points = study.client.get_metric_history(study.children[trial.number].info.run_id, "val_accuracy")
            assert [point.step for point in points] == list(range(1, epochs + 1))
    assert study.artifact("trials.csv").count("COMPLETE") == n_trials


@pytest.mark.parametrize("detach", ["false", "true"])
def test_a_sweep_that_slurm_refuses_leaves_nothing_running(
    cluster: SlurmCluster, workplace: Workplace, stores: SharedStores, variables: dict[str, str], detach: str
) -> None:
    settings = ["hydra.sweeper.engine.constraint=missing", f"hydra.sweeper.detach={detach}"]
    done = workplace.run("src.train", *sweep(2, 2, *settings), **variables)
    assert done.returncode == 1
    assert done.stderr == "error: sbatch: error: Batch job submission failed: Invalid feature specification\n"
    study = stores.study(workplace)
    assert study.study.trials == []
    assert study.parent.info.status == "FAILED"
    assert cluster.jobs() == []


def test_a_preempted_worker_continues_its_trial_from_the_checkpoint(
    cluster: SlurmCluster, workplace: Workplace, stores: SharedStores, variables: dict[str, str]
) -> None:
    epochs, study = 100, stores.study(workplace)
    process = workplace.start("src.train", *sweep(4, epochs), **variables)
    wait_for(lambda: process.poll() is not None or bool(in_training(study)))
    (job,) = cluster.jobs()
    seen = command_lines() + cluster.run("scontrol", "write", "batch_script", job.name, "-")
    cluster.preempt()
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert cluster.details(job.name)["Restarts"] == "1"
    assert list(logs(workplace)) == [f"slurm-{job.name}.log"]
    assert cluster.jobs() == []
    assert_complete(study, 4, epochs)
    (retry,) = [trial for trial in study.study.trials if "retry_of" in trial.user_attrs]
    assert retry.user_attrs["started_at"] >= 1
    assert "src.sweep work shared" in seen
    assert stores.password not in seen + out + err + "".join(logs(workplace).values())


@pytest.mark.parametrize("presses", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_ctrl_c_at_the_command_that_watches_ends_the_workers_and_the_sweep_can_be_resumed(
    cluster: SlurmCluster, workplace: Workplace, stores: SharedStores, variables: dict[str, str], presses: int
) -> None:
    study = stores.study(workplace)
    process = workplace.start("src.train", *sweep(3, 500), **variables)
    wait_for(lambda: process.poll() is not None or bool(in_training(study)))
    for _ in range(presses):
        process.send_signal(signal.SIGINT)
        time.sleep(1)  # between the first request and the second
    out, err = process.communicate(timeout=240)
    assert process.returncode == 130, err
    assert err == "stopped by SIGINT\n"
    assert "stopping: the running trials end with their epoch" in out
    assert "resume with: python -m src.train" in out
    assert cluster.jobs() == []
    assert {run.info.status for run in study.runs()} == {"KILLED"}
    (trial,) = study.study.trials
    assert (trial.state.name, trial.user_attrs["interrupted"]) == ("FAIL", True)
    assert trial.user_attrs["reason"] != "its worker was killed"


@pytest.fixture
def elsewhere() -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Runs `python -m src.sweep` as another Unix user, who has none of the variables of the cluster."""
    user = "nobody"
    with tempfile.TemporaryDirectory(dir=OUTSIDE) as name:
        shutil.chown(name, user)
        start = ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups", sys.executable]
        environment = Workplace(Path(name)).environment()
        if subprocess.run([*start, "-c", "import optuna"], cwd=name, env=environment, capture_output=True).returncode:
            pytest.skip("another user cannot run this Python")

        def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
            command = [*start, "-m", "src.sweep", *arguments]
            return subprocess.run(
                command, cwd=name, env=environment | variables, capture_output=True, text=True, timeout=240
            )

        yield run


def wait_for_training(study: Study, count: int) -> None:
    """Wait until this many running trials have finished an epoch."""
    wait_for(lambda: len(in_training(study)) == count)


@pytest.mark.slow
def test_a_detached_sweep_survives_its_command_a_preemption_a_cancellation_and_time_limits(
    cluster: SlurmCluster, workplace: Workplace, stores: SharedStores, variables: dict[str, str]
) -> None:
    n_trials, epochs, study = 14, 30, stores.study(workplace)
    limits = ["hydra.sweeper.engine.timeout_min=3", "hydra.sweeper.engine.signal_delay_s=60"]
    settings = ["hydra.sweeper.n_jobs=2", "hydra.sweeper.detach=true", *limits]
    process = workplace.start("src.train", *sweep(n_trials, epochs, *settings), **variables)
    wait_for(lambda: bool(cluster.jobs()))
    process.kill()
    process.communicate()

    wait_for_training(study, 2)
    cluster.preempt(cpus=1)
    cluster.wait(lambda jobs: "PENDING" in {job.state for job in jobs if "_" in job.name})
    (preempted,) = [job.name for job in cluster.jobs() if "_" in job.name and job.state == "PENDING"]
    (other,) = [job.name for job in cluster.jobs() if "_" in job.name and job.name != preempted]
    wait_for(lambda: [trial.state.name for trial in study.study.trials].count("RUNNING") == 2)

    cluster.run("scancel", preempted)
    wait_for(lambda: cluster.details(other)["Restarts"] != "0")  # its time limit
    cluster.wait(lambda jobs: not jobs, seconds=900)

    assert_complete(study, n_trials, epochs)
    details = {name: cluster.details(name) for name in (preempted, other)}
    assert details[preempted]["JobState"].startswith("CANCEL")
    assert details[preempted]["Restarts"] == "1"
    assert details[other]["JobState"] == "COMPLETED"
    assert int(details[other]["Restarts"]) >= 1
    texts = logs(workplace)
    assert "DUE TO PREEMPTION" in texts[f"slurm-{preempted}.log"]
    interrupted = [trial for trial in study.study.trials if trial.user_attrs.get("interrupted")]
    assert len(interrupted) >= 3
    assert [trial for trial in study.study.trials if trial.user_attrs.get("started_at", 0) >= 1]


@pytest.mark.slow
def test_another_user_shows_and_stops_a_sweep(
    cluster: SlurmCluster,
    workplace: Workplace,
    stores: SharedStores,
    variables: dict[str, str],
    elsewhere: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    study = stores.study(workplace)
    settings = ["hydra.sweeper.n_jobs=3", "hydra.sweeper.detach=true"]  # one of them waits for a processor
    done = workplace.run("src.train", *sweep(12, 200, *settings), **variables)
    assert done.returncode == 0, done.stderr
    wait_for_training(study, 2)
    address = stores.admit("henry")
    shown = elsewhere("status", NAME, OPTUNA_STORAGE=address)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("RUNNING") == 2
    stopped = elsewhere("stop", NAME, OPTUNA_STORAGE=address)
    assert stopped.returncode == 0, stopped.stderr
    assert f"asked {NAME} to stop; running trials: 2" in stopped.stdout
    cluster.wait(lambda jobs: not jobs)
    assert {trial.state.name for trial in study.study.trials} == {"FAIL"}
    assert {run.info.status for run in study.runs()} == {"KILLED"}
    shown = elsewhere("status", NAME, OPTUNA_STORAGE=address)
    assert "RUNNING" not in shown.stdout
    assert len(logs(workplace)) == 3
