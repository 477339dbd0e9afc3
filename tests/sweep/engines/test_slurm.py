"""Workers on a real Slurm cluster of one node: their start, their end, and the tasks that are queued again."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from src.errors import ConfigError, UserError
from src.schema import SlurmEngineConfig
from src.sweep.engines import slurm as engine_of_slurm
from src.sweep.engines.slurm import SlurmEngine
from src.sweep.engines.work import Work
from tests.support.slurm import SlurmCluster
from tests.support.workplace import Workplace

pytestmark = pytest.mark.services
NOWHERE = "postgresql://ada@127.0.0.1:1/nowhere"  # a port on which no server listens


@dataclass(frozen=True)
class ShellWork(Work):
    """Work whose workers are shell commands, which start within milliseconds."""

    script: str = "true"

    def command(self, log: str) -> list[str]:
        return ["bash", "-c", self.script]


def ends_when_asked(code: int) -> str:
    """A worker that waits for SIGTERM and then ends with this exit code."""
    return f"trap 'exit {code}' TERM; echo started; while :; do sleep 0.1; done"


@pytest.fixture
def cluster(slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    """The cluster without jobs, used by this process, whose working folder is the test's own."""
    monkeypatch.setenv("SLURM_CONF", slurm.variables["SLURM_CONF"])
    monkeypatch.chdir(tmp_path)
    yield slurm
    slurm.cancel_all()


def work(folder: Path, n_jobs: int = 1, **changes: str) -> Work:
    settings = {"study": "mine", "storage": NOWHERE, "tracking_uri": NOWHERE} | changes
    kind = ShellWork if "script" in changes else Work
    return kind(n_jobs=n_jobs, places=[], log_folder=folder, **settings)


def wait_for(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def started(engine: SlurmEngine, given: Work) -> str:
    """Start workers; return the task of the first one when as many run as may run at a time."""
    job = engine.start(given).removeprefix("Slurm job ")
    count = 1 if engine.settings.array_parallelism else given.n_jobs
    logs = [given.log_folder / f"slurm-{job}_{number}.log" for number in range(count)]
    wait_for(lambda: all(log.exists() and "started" in log.read_text() for log in logs))
    return f"{job}_0"


def meet_time_limit(cluster: SlurmCluster, task: str) -> None:
    """Send the script the signal that `--signal=B:TERM@SECONDS` asks for, without the minutes before it."""
    cluster.run("scancel", "--batch", "--signal=TERM", task)


def ended(cluster: SlurmCluster, task: str) -> dict[str, str]:
    """The details of a task that has left the queue."""
    cluster.wait(lambda jobs: task not in {job.name for job in jobs})
    return cluster.details(task)


def was_canceled(details: dict[str, str]) -> bool:
    return details["JobState"].startswith("CANCEL")


def test_each_key_reaches_slurm(cluster: SlurmCluster, tmp_path: Path) -> None:
    cluster.preempt(seconds=60)  # so that the tasks stay in the queue
    cluster.wait(lambda jobs: [job.state for job in jobs] == ["RUNNING"])
    settings = SlurmEngineConfig(
        partition="low",
        qos="short",
        account="lab",
        timeout_min=7,
        mem_gb=1.5,
        cpus_per_task=2,
        gres="shelf:1",
        constraint="brisk",
        signal_delay_s=75,
        array_parallelism=1,
    )
    name = SlurmEngine(settings).start(work(tmp_path, n_jobs=3))
    details = cluster.details(name.removeprefix("Slurm job "))
    expected = {
        "JobName": "mine",
        "Partition": "low",
        "Account": "lab",
        "TimeLimit": "00:07:00",
        "MinMemoryNode": "1.50G",
        "CPUs/Task": "2",
        "TresPerNode": "gres:shelf:1",
        "Features": "brisk",
        "ArrayTaskId": "0-2%1",
        "ArrayTaskThrottle": "1",
        "Requeue": "1",
        "WorkDir": str(tmp_path),
    }
    assert expected.items() <= details.items()


def test_a_script_starts_the_command_of_a_worker_and_quotes_it(cluster: SlurmCluster, tmp_path: Path) -> None:
    folder = tmp_path / "it's 100% $HOME"
    folder.mkdir()
    setup = ["export GREETING='good day'", 'echo "$GREETING, $TF_NUM_INTRAOP_THREADS threads"']
    engine = SlurmEngine(SlurmEngineConfig(setup=setup, cpus_per_task=2))
    given = work(folder, study="mine;\n'touch' bad\n$(touch bad) `touch bad`")
    task = engine.start(given).removeprefix("Slurm job ") + "_0"
    details = ended(cluster, task)
    assert (details["JobState"], details["Restarts"]) == ("FAILED", "0")  # an error is not tried again
    (log,) = folder.iterdir()
    assert log.name == f"slurm-{task}.log"
    assert "good day, 2 threads" in log.read_text()
    assert "error: the database postgresql+psycopg://ada@127.0.0.1:1/nowhere does not answer" in log.read_text()
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_worker_is_not_started_when_its_setup_fails(cluster: SlurmCluster, tmp_path: Path) -> None:
    engine = SlurmEngine(SlurmEngineConfig(setup=["echo before", "module load nothing", "echo after"]))
    task = engine.start(work(tmp_path, script="echo started")).removeprefix("Slurm job ") + "_0"
    assert ended(cluster, task)["JobState"] == "FAILED"
    log = (tmp_path / f"slurm-{task}.log").read_text()
    assert "before" in log
    assert "module: command not found" in log
    assert "after" not in log
    assert "started" not in log


@pytest.mark.parametrize("count", [1, 2])
def test_workers_are_counted_until_they_end(cluster: SlurmCluster, tmp_path: Path, count: int) -> None:
    engine = SlurmEngine(SlurmEngineConfig())
    name = engine.start(work(tmp_path, n_jobs=count, script="sleep 1"))
    assert engine.count(name) == count
    wait_for(lambda: engine.count(name) == 0)


def test_an_old_job_has_no_workers(cluster: SlurmCluster) -> None:
    assert SlurmEngine(SlurmEngineConfig()).count("Slurm job 4711") == 0


def test_workers_are_not_given_up_while_slurm_does_not_answer(
    cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = SlurmEngine(SlurmEngineConfig())
    name = engine.start(work(tmp_path, n_jobs=2, script="sleep 60"))
    monkeypatch.setenv("SLURM_CONF", os.devnull)
    assert engine.count(name) == 2
    with pytest.raises(UserError, match="scancel: error: "):
        engine.stop(name, now=True)


def test_stopping_removes_workers_from_the_queue_and_leaves_running_ones(cluster: SlurmCluster, tmp_path: Path) -> None:
    engine = SlurmEngine(SlurmEngineConfig(array_parallelism=1))
    given = work(tmp_path, n_jobs=3, script=ends_when_asked(0))
    task = started(engine, given)
    name = f"Slurm job {task.partition('_')[0]}"
    engine.stop(name, now=False)
    cluster.wait(lambda jobs: [(job.name, job.state) for job in jobs] == [(task, "RUNNING")])
    engine.stop(name, now=True)
    assert was_canceled(ended(cluster, task))


def test_a_worker_that_meets_its_time_limit_is_queued_again(
    cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_of_slurm, "MIN_SECONDS", 0)
    task = started(SlurmEngine(SlurmEngineConfig()), work(tmp_path, script=ends_when_asked(143)))
    meet_time_limit(cluster, task)
    cluster.wait(lambda jobs: [(job.name, job.state) for job in jobs] == [(task, "PENDING")])
    assert cluster.details(task)["Restarts"] == "1"


@pytest.mark.parametrize("number", [0, 1])
def test_a_time_limit_queues_only_its_task_again(
    cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(engine_of_slurm, "MIN_SECONDS", 0)
    job = started(SlurmEngine(SlurmEngineConfig()), work(tmp_path, 2, script=ends_when_asked(143)))[:-2]
    meet_time_limit(cluster, f"{job}_{number}")
    wait_for(lambda: cluster.details(f"{job}_{number}")["Restarts"] == "1")
    other = cluster.details(f"{job}_{1 - number}")
    assert (other["JobState"], other["Restarts"]) == ("RUNNING", "0")


def test_a_canceled_worker_stays_away_when_another_one_meets_its_time_limit(
    cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_of_slurm, "MIN_SECONDS", 0)
    first = started(SlurmEngine(SlurmEngineConfig()), work(tmp_path, 2, script=ends_when_asked(143)))
    last = first.replace("_0", "_1")
    cluster.run("scancel", first)
    assert was_canceled(ended(cluster, first))
    meet_time_limit(cluster, last)
    wait_for(lambda: cluster.details(last)["Restarts"] == "1")
    assert was_canceled(cluster.details(first))


def test_a_worker_whose_time_limit_leaves_no_time_is_not_queued_again(cluster: SlurmCluster, tmp_path: Path) -> None:
    task = started(SlurmEngine(SlurmEngineConfig()), work(tmp_path, script=ends_when_asked(143)))
    meet_time_limit(cluster, task)
    assert ended(cluster, task)["Restarts"] == "0"
    assert "too early for a trial, so it is not queued again" in (tmp_path / f"slurm-{task}.log").read_text()


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_worker_that_ends_by_itself_at_its_time_limit_is_not_queued_again(
    cluster: SlurmCluster, tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_of_slurm, "MIN_SECONDS", 0)
    task = started(SlurmEngine(SlurmEngineConfig()), work(tmp_path, script=ends_when_asked(code)))
    meet_time_limit(cluster, task)
    details = ended(cluster, task)
    assert (details["ExitCode"], details["Restarts"]) == (f"{code}:0", "0")


def test_a_canceled_worker_is_not_queued_again(
    cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_of_slurm, "MIN_SECONDS", 0)
    task = started(SlurmEngine(SlurmEngineConfig()), work(tmp_path, script=ends_when_asked(143)))
    cluster.run("scancel", task)
    details = ended(cluster, task)
    assert was_canceled(details)
    assert details["Restarts"] == "0"


def test_a_preempted_worker_is_queued_again_by_slurm_and_once(
    cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_of_slurm, "MIN_SECONDS", 0)
    engine = SlurmEngine(SlurmEngineConfig(partition="low"))
    task = started(engine, work(tmp_path, script=ends_when_asked(143)))
    cluster.preempt(seconds=1)
    wait_for(lambda: (tmp_path / f"slurm-{task}.log").read_text().count("started") == 2)
    assert cluster.details(task)["Restarts"] == "1"


@pytest.mark.parametrize("absent", ["sbatch", "scancel"])
def test_a_machine_without_slurm_is_refused(absent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {"sbatch", "sinfo", "squeue", "scancel"} - {absent}:
        (tmp_path / name).symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=f"^hydra/sweeper/engine=slurm: {absent} not found on the PATH; type"):
        SlurmEngine(SlurmEngineConfig()).check()


def test_messages_of_slurm_are_shown(cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = SlurmEngine(SlurmEngineConfig(constraint="missing"))
    engine.check()
    with pytest.raises(UserError, match="sbatch: error: Batch job submission failed: Invalid feature specification"):
        engine.start(work(tmp_path))
    monkeypatch.setenv("SLURM_CONF", os.devnull)
    with pytest.raises(ConfigError, match="sinfo: error: ClusterName needs to be specified"):
        engine.check()


@pytest.mark.parametrize("partition", ["low", "low,high", None])
def test_a_partition_of_the_cluster_is_accepted(cluster: SlurmCluster, partition: str | None) -> None:
    SlurmEngine(SlurmEngineConfig(partition=partition)).check()


def slurm_sweep(*settings: str) -> Sequence[str]:
    """The arguments of a small sweep on the cluster."""
    kinds = ["hydra/sweeper=optuna", "hydra/sweeper/engine=slurm", "dataset=synthetic", "model=dense"]
    space = ["model.dropout=interval(0,0.5)", "hydra.sweeper.study_name=mine", "tracking.save_model=false"]
    return ["-m", *kinds, *space, *settings]


def test_an_unknown_partition_is_refused_before_anything_is_created(slurm: SlurmCluster, workplace: Workplace) -> None:
    stores = {"OPTUNA_STORAGE": NOWHERE, "MLFLOW_TRACKING_URI": NOWHERE}
    arguments = slurm_sweep("hydra.sweeper.engine.partition=lwo", "hydra.sweeper.n_trials=2")
    done = workplace.run("src.train", *arguments, **slurm.variables, **stores)
    assert done.returncode == 2
    assert done.stderr == (
        "error: hydra.sweeper.engine.partition=lwo: the cluster has no partition 'lwo'; choose from low, high\n"
    )
    assert list(workplace.folder.iterdir()) == []
    assert slurm.jobs() == []
