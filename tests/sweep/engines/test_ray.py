"""Sweeps whose workers run on a Ray cluster: a real one, on this machine."""

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from src.errors import ConfigError, UserError
from src.schema.engines import RayEngineConfig
from src.sweep.engines import ray_client
from src.sweep.engines.ray import RayEngine
from src.sweep.engines.work import Work
from tests.support.ray import LOOPBACK, RayCluster, ray_cluster
from tests.support.servers import execute, free_port, missing
from tests.support.sweeps import SPACE, Study, plan
from tests.support.workplace import Workplace

SECRET = "hunter2-for-ray"
STORAGE = f"postgresql://bob:{SECRET}@127.0.0.1:1/optuna"
# Writes its process and its environment into the file NOTES, then waits.
PROBE = [
    "timeit", "-n1", "-r1", "-s", "import json, os, time",
    "print(json.dumps([os.getpid(), dict(os.environ)]), file=open(os.environ['NOTES'], 'a'), flush=True); "
    "time.sleep(300)",
]  # fmt: skip


@pytest.fixture
def ray_installed() -> None:
    if importlib.util.find_spec("ray") is None:
        missing("Ray is not installed: make setup RAY=1")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    """A cluster of two machines with a CPU each."""
    with ray_cluster(1, 1, NOTES=str(tmp_path_factory.mktemp("ray") / "notes")) as started:
        yield started


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch, ray_installed: None) -> None:
    """A token that no cluster knows."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)
    monkeypatch.setenv(*LOOPBACK)


@pytest.fixture
def in_cluster(monkeypatch: pytest.MonkeyPatch, cluster: RayCluster) -> None:
    """The environment of this process is that of a user of the cluster."""
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)


def engine(address: str, **settings: Any) -> RayEngine:
    return RayEngine(RayEngineConfig(address=address, **settings))


@dataclass(frozen=True)
class Probes(Work):
    """Workers that only write down their process and environment."""

    def command(self, log: str) -> list[str]:
        return [sys.executable, "-m", *PROBE]


def probes(folder: Path, n_jobs: int, storage: str = "postgresql://ada@127.0.0.1:1/optuna") -> Probes:
    return Probes("probes", n_jobs, storage, "http://127.0.0.1:1", [], folder / "logs")


def wait_until(holds: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


# --- errors --------------------------------------------------------------------------------------------------------


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"the package ray is not installed; run `make setup RAY=1`"):
        engine("auto").check()


@pytest.mark.parametrize(
    "variables", [{}, {"RAY_AUTH_MODE": "token"}, {"RAY_AUTH_TOKEN": "abc"}, {"RAY_AUTH_MODE": "disabled"}]
)
def test_a_cluster_is_not_used_without_a_token(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ray_installed: None
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN here and on each machine"):
        engine("127.0.0.1:1").check()


@pytest.mark.parametrize("address", ["10.0.0.5", "ray://10.0.0.5:10001", "10.0.0.5:port", ":6379"])
def test_a_malformed_address_is_refused(address: str, token: None) -> None:
    with pytest.raises(ConfigError, match=r"expected auto, local or HOST:PORT"):
        engine(address).check()


def test_an_address_where_nothing_answers_is_refused(token: None) -> None:
    with pytest.raises(ConfigError, match=r"engine\.address=127\.0\.0\.1:\d+ does not answer \(.*refused\); start Ray"):
        engine(f"127.0.0.1:{free_port()}").check()


@pytest.mark.services
def test_a_server_other_than_ray_is_given_up_in_time_with_one_line(
    token: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ray_client, "CONNECT_SECONDS", 8)
    words = r"cannot connect to Ray: no answer within 8 s \(.+\)\. Start"
    with closing(socket.create_server(("127.0.0.1", 0))) as server, pytest.raises(ConfigError, match=words) as refused:
        engine(f"127.0.0.1:{server.getsockname()[1]}").check()
    assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["hydra.sweeper.storage='sqlite:///optuna.db'"], r"hydra\.sweeper\.storage=sqlite:///optuna\.db: the workers"),
        (["hydra.sweeper.detach=true", "hydra.sweeper.engine.address=local"], r"hydra\.sweeper\.detach=true"),
        (["hydra.sweeper.engine.cpus_per_worker=-1"], r"hydra\.sweeper\.engine\.cpus_per_worker"),
    ],
)
def test_what_ray_cannot_do_is_refused_before_anything_starts(typed: list[str], words: str) -> None:
    addresses = ["hydra.sweeper.storage='postgresql://ada@127.0.0.1:1/optuna'", "tracking.uri='http://127.0.0.1:1'"]
    with pytest.raises(ConfigError, match=words):
        plan("dataset=synthetic", *SPACE, "hydra/sweeper/engine=ray", *addresses, *typed)


def test_auto_is_the_address_in_the_environment(token: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port()}")
    with pytest.raises(ConfigError, match=r"engine\.address=127\.0\.0\.1:\d+ does not answer"):
        engine("auto").check()


@pytest.mark.services
def test_an_absent_cluster_on_this_machine_is_reported_in_one_line(
    token: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if any(process.info["name"] == "gcs_server" for process in psutil.process_iter(["name"])):
        pytest.skip("a cluster runs on this machine")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    words = "address=auto: cannot connect to Ray: .+ Start Ray on this"
    with pytest.raises(ConfigError, match=words) as refused:
        engine("auto").check()
    assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.services
def test_a_wrong_token_is_refused(token: None, cluster: RayCluster, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="the Ray cluster refused the token; set RAY_AUTH_TOKEN to the token of"):
        engine(cluster.address).check()
    assert capfd.readouterr() == ("", "")


@pytest.mark.services
def test_the_token_may_be_in_a_file(
    cluster: RayCluster, in_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".ray" / "auth_token"
    file.parent.mkdir()
    file.write_text(cluster.environment["RAY_AUTH_TOKEN"])
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("HOME", str(tmp_path))
    engine(cluster.address).check()


@pytest.mark.services
@pytest.mark.parametrize("wanted", [{"cpus_per_worker": 2}, {"gpus_per_worker": 2}])
def test_a_worker_that_is_larger_than_each_machine_is_refused(
    wanted: dict[str, float], cluster: RayCluster, in_cluster: None
) -> None:
    with pytest.raises(ConfigError, match=r"no machine of the Ray cluster has .*: the machines have CPU: 1, GPU: 1;"):
        engine(cluster.address, **wanted).check()


def test_a_worker_larger_than_this_machine_is_refused(ray_installed: None) -> None:
    with pytest.raises(ConfigError, match=r"no machine .* has cpus_per_worker=4096 and gpus_per_worker=0:"):
        engine("local", cpus_per_worker=4096).check()


@pytest.mark.services
def test_a_cluster_that_needs_no_token_is_refused(token: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ray_cluster(1, token=False) as open_cluster:
        careful = engine(open_cluster.address)
        careful.check()
        with pytest.raises(UserError, match="accepts requests without a token; start Ray there with RAY_AUTH_MODE"):
            careful.start(probes(tmp_path, 1))


@pytest.mark.services
def test_a_folder_that_a_machine_does_not_have_is_named(
    cluster: RayCluster, in_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    started = engine(cluster.address)
    started.check()
    monkeypatch.setattr(Path, "cwd", lambda: tmp_path / "missing")
    with pytest.raises(UserError, match=r"Ray cannot start the workers: .* has no folder .*/missing; each machine"):
        started.start(probes(tmp_path, 2))


# --- a worker -----------------------------------------------------------------------------------------------------


class Notes:
    """The processes and environments that the probes wrote down."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.unlink(missing_ok=True)

    def read(self) -> list[tuple[int, dict[str, str]]]:
        return [tuple(json.loads(line)) for line in self.file.read_text().splitlines()] if self.file.exists() else []

    def wait(self, count: int) -> list[tuple[int, dict[str, str]]]:
        wait_until(lambda: len(self.read()) >= count)
        return self.read()


@pytest.fixture
def notes(cluster: RayCluster) -> Notes:
    return Notes(Path(psutil.Process(cluster.machines[0]).environ()["NOTES"]))


@pytest.fixture
def started(cluster: RayCluster, in_cluster: None, tmp_path: Path) -> Iterator[Callable[..., tuple[RayEngine, str]]]:
    """Starts probes, and ends them after the test."""
    begun: list[tuple[RayEngine, str]] = []

    def begin(n_jobs: int, storage: str = STORAGE, **settings: float) -> tuple[RayEngine, str]:
        made = engine(cluster.address, **settings)
        made.check()
        begun.append((made, made.start(probes(tmp_path, n_jobs, storage))))
        return begun[-1]

    yield begin
    for made, name in begun:
        with suppress(UserError):  # a test has ended its connection
            wait_until(partial(_are_gone, made, name))


def _are_gone(used: RayEngine, name: str) -> bool:
    used.stop(name, now=True)
    return used.count(name) == 0


Started = Callable[..., tuple[RayEngine, str]]


@pytest.mark.services
def test_a_worker_gets_its_share_of_the_cores_and_no_password_or_token(
    started: Started, notes: Notes, cluster: RayCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    used, name = started(1)
    (pid, variables) = notes.wait(1)[0]
    assert used.count(name) == 1
    assert variables["OPTUNA_STORAGE"] == "postgresql://bob@127.0.0.1:1/optuna"
    assert [variables[key] for key in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")] == ["1", "1"]
    assert not [key for key in variables if key.startswith("RAY_")]
    assert "Ray does not send passwords: start Ray on each machine with OPTUNA_STORAGE in" in capsys.readouterr().out
    processes = [process for machine in (0, 1) for process in cluster.processes_of(machine)]
    assert pid in [process.pid for process in processes]
    for process in processes:
        assert SECRET not in " ".join(process.cmdline()) + str(process.environ())
    for file in cluster.folder.rglob("*"):
        if file.is_file():
            assert SECRET.encode() not in file.read_bytes()


@pytest.mark.services
@pytest.mark.parametrize(("gpus", "visible"), [(0, ""), (0.5, "0")])
def test_a_worker_sees_the_gpus_that_it_asked_for(gpus: float, visible: str, started: Started, notes: Notes) -> None:
    started(1, gpus_per_worker=gpus)
    assert notes.wait(1)[0][1]["CUDA_VISIBLE_DEVICES"] == visible


@pytest.mark.services
def test_an_address_in_the_environment_of_a_machine_is_used_instead_of_one_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ray_installed: None
) -> None:
    notes = Notes(tmp_path / "notes")
    with ray_cluster(1, NOTES=str(notes.file), OPTUNA_STORAGE=STORAGE) as single:
        for key, value in single.environment.items():
            monkeypatch.setenv(key, value)
        used = engine(single.address)
        used.check()
        used.start(probes(tmp_path, 1, STORAGE))
        assert notes.wait(1)[0][1]["OPTUNA_STORAGE"] == STORAGE


@pytest.mark.services
def test_workers_are_queued_started_again_when_they_are_killed_and_end_when_they_are_asked(
    started: Started, notes: Notes, capsys: pytest.CaptureFixture[str]
) -> None:
    used, name = started(3)
    assert name.endswith("(3 workers)")
    assert "1 of 3 workers are queued until the Ray cluster has free CPUs or GPUs" in capsys.readouterr().out
    first = notes.wait(2)
    assert used.count(name) == 3
    os.kill(first[0][0], signal.SIGKILL)
    again = notes.wait(3)
    used.stop(name, now=False)
    wait_until(lambda: used.count(name) == 2)
    used.stop(name, now=True)
    wait_until(lambda: used.count(name) == 0)
    assert not any(psutil.pid_exists(pid) for pid, _ in again)


@pytest.mark.services
def test_the_workers_outlive_the_command_that_started_them_and_another_one_stops_them(
    started: Started, notes: Notes, cluster: RayCluster
) -> None:
    used, name = started(1)
    pid, _ = notes.wait(1)[0]
    assert used._session is not None
    used._session._process.kill()
    with pytest.raises(UserError, match=r"engine\.address=.+: the connection to Ray has ended \(.+repeat the command"):
        used.count(name)
    other = engine(cluster.address)
    assert other.count(name) == 1
    assert psutil.pid_exists(pid)
    other.stop(name, now=True)
    wait_until(lambda: other.count(name) == 0)


@pytest.mark.services
def test_a_worker_ends_with_its_actor(started: Started, notes: Notes) -> None:
    started(1)
    pid, _ = notes.wait(1)[0]
    actor = psutil.Process(pid).parent()
    assert actor is not None
    actor.kill()
    again = notes.wait(2)
    assert again[1][0] != pid
    wait_until(lambda: not psutil.pid_exists(pid))


# --- sweeps --------------------------------------------------------------------------------------------------------

EPOCHS = 60  # so that the first worker is still training when the second one has started


@dataclass(frozen=True)
class Place:
    """Where a sweep on a cluster runs."""

    workplace: Workplace
    optuna: str
    mlflow: str
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def study(self) -> Study:
        return Study(self.workplace.folder, self.optuna, self.mlflow)

    def command(self, n_trials: int, *more: str) -> list[str]:
        settings = [f"training.epochs={EPOCHS}", f"hydra.sweeper.n_trials={n_trials}", "tracking.save_model=false"]
        return ["-m", "dataset=synthetic", "model=dense", *settings, *SPACE, "training.checkpoint_minutes=0", *more]

    def environment(self, cluster: RayCluster) -> dict[str, str]:
        return {**cluster.environment, "OPTUNA_STORAGE": self.optuna, "MLFLOW_TRACKING_URI": self.mlflow}

    def start(self, cluster: RayCluster, *arguments: str) -> subprocess.Popen[str]:
        chosen = ["hydra/sweeper/engine=ray", f"hydra.sweeper.engine.address='{cluster.address}'"]
        process = self.workplace.start("src.train", *arguments, *chosen, **self.environment(cluster))
        self.started.append(process)
        return process

    def trials(self) -> Sequence[Any]:
        try:
            return self.study.study.trials
        except Exception:  # the study is just being made
            return []

    def wait_for_running(self, count: int) -> None:
        """Return when this number of trials are being trained, and have reported an epoch."""
        wait_until(
            lambda: sum(t.state.name == "RUNNING" and bool(t.intermediate_values) for t in self.trials()) >= count
        )

    def wait_for_report(self, cluster: RayCluster) -> None:
        """Return when the sweep's run has ended, and no worker is left."""

        def is_over() -> bool:
            is_reported = self.study.parent.info.status == "FINISHED"
            return is_reported and not any("src.sweep" in command for command in cluster.commands())

        wait_until(is_over, 500)

    def logs(self) -> str:
        return "\n".join(file.read_text() for file in sorted(self.workplace.folder.glob("worker_logs/*/*.log")))


@pytest.fixture
def place(workplace: Workplace, postgres: str, request: pytest.FixtureRequest) -> Iterator[Place]:
    key = abs(hash(request.node.name))
    for kind in ("optuna", "mlflow"):
        execute(f"{postgres}/postgres", f"create database ray_{kind}_{key}")
    driver = postgres.replace("postgresql:", "postgresql+psycopg:")
    made = Place(workplace, f"{postgres}/ray_optuna_{key}", f"{driver}/ray_mlflow_{key}")
    yield made
    for process in made.started:
        process.kill()
        print(*process.communicate())  # of a test that failed


@pytest.mark.services
def test_the_trials_of_a_machine_that_is_lost_continue_on_another_one(place: Place, ray_installed: None) -> None:
    with ray_cluster(2, 1) as lossy:
        process = place.start(lossy, *place.command(4, "hydra.sweeper.n_jobs=2"))
        place.wait_for_running(2)
        lossy.lose(1)
        out, err = process.communicate(timeout=240)
    assert (process.returncode, err) == (0, "")
    assert "4 trials: 4 complete; 1 interrupted" in out
    place.study.assert_whole(4)
    (retry,) = [trial for trial in place.study.study.trials if "retry_of" in trial.user_attrs]
    assert f"trial {retry.number} continues trial {retry.user_attrs['retry_of']} after epoch " in place.logs()
    assert place.study.artifact("sweep.html")


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["detached", "killed"])
def test_a_sweep_completes_without_its_driver_and_with_one_machine_less(
    driver: str, place: Place, postgres: str, ray_installed: None
) -> None:
    """The workers find the password of the study's database in a file, which Ray does not know."""
    user = f"ray_{driver}"
    for statement in (
        f"create role {user} login password '{SECRET}'",
        f"alter database {place.optuna.rpartition('/')[2]} owner to {user}",
    ):
        execute(f"{postgres}/postgres", statement)
    passwords = place.workplace.folder / "pgpass"
    passwords.write_text(f"127.0.0.1:*:*:{user}:{SECRET}\n")
    passwords.chmod(0o600)
    place = replace(place, optuna=place.optuna.replace("ada@", f"{user}:{SECRET}@"))
    with ray_cluster(2, 1, PGPASSFILE=str(passwords)) as lossy:
        detach = f"hydra.sweeper.detach={str(driver == 'detached').lower()}"
        process = place.start(lossy, *place.command(8, "hydra.sweeper.n_jobs=2", detach))
        if driver == "detached":
            out, err = process.communicate(timeout=240)
            assert (process.returncode, err) == (0, "")
            assert SECRET not in out
            assert "python -m src.sweep watch" in out
        place.wait_for_running(2)
        process.kill()
        lossy.lose(1)
        place.wait_for_report(lossy)
    place.study.assert_whole(8)
    assert [trial.state.name for trial in place.study.study.trials].count("COMPLETE") == 8
    assert place.study.artifact("sweep.html")
    assert SECRET not in place.logs()


@pytest.mark.slow
def test_ctrl_c_ends_the_workers_after_a_checkpoint_and_the_same_command_resumes_the_sweep(
    place: Place, ray_installed: None
) -> None:
    command = place.command(4, "hydra.sweeper.n_jobs=2")
    with ray_cluster(1, 1) as pair:
        process = place.start(pair, *command)
        place.wait_for_running(2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=240)
        assert process.returncode == 130, out + err
        assert not [trial for trial in place.trials() if trial.state.name == "RUNNING"]
        again = place.start(pair, *command)
        out, err = again.communicate(timeout=400)
        assert (again.returncode, err) == (0, "")
    place.study.assert_whole(4)
    assert re.search(r"trial \d+ continues trial \d+ after epoch \d+", place.logs())


@pytest.mark.slow
def test_a_cluster_on_this_machine_trains_a_sweep_and_ends_with_it(place: Place, ray_installed: None) -> None:
    before = set(Path("/tmp").glob("convlab-ray-*"))
    done = place.workplace.run(
        "src.train",
        *place.command(2, "hydra/sweeper/engine=ray", "hydra.sweeper.engine.address=local"),
        OPTUNA_STORAGE=place.optuna,
        MLFLOW_TRACKING_URI=place.mlflow,
    )
    assert (done.returncode, done.stderr) == (0, "")
    place.study.assert_whole(2)
    assert not [folder for folder in set(Path("/tmp").glob("convlab-ray-*")) - before if "-test-" not in folder.name]
