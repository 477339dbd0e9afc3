"""The worker processes of a sweep: the GPUs that each of them finds in its environment."""

import time
from pathlib import Path

import pytest

from src.errors import UserError
from src.sweep.local import LocalWorkers
from tests.support.gpus import install_nvidia_smi, listing, uuid
from tests.support.workplace import Workplace

VARIABLE = "CUDA_VISIBLE_DEVICES"
MIG = "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f"


def gpus_found(workers: LocalWorkers) -> list[str | None]:
    """The variable as the processes find it, in the order of their numbers."""
    return [environment_of(popen.pid).get(VARIABLE) for _, popen in sorted(workers._living.values())]


def environment_of(pid: int) -> dict[str, str]:
    """The environment with which a process was started. The system shows it a moment after the start."""
    while not (variables := Path(f"/proc/{pid}/environ").read_bytes()):
        time.sleep(0.001)
    return dict(entry.split("=", 1) for entry in variables.decode().split("\0") if entry)


@pytest.mark.parametrize("n_jobs", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_each_worker_gets_a_gpu(n_jobs: int, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_nvidia_smi(tmp_path, listing(count), monkeypatch)
    monkeypatch.delenv(VARIABLE, raising=False)
    with LocalWorkers(n_jobs) as workers:
        assert gpus_found(workers) == [str(number % count) if count else None for number in range(n_jobs)]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("3,1", ["3", "1", "3"]),
        (f"{uuid(2)},{uuid(0)}", [uuid(2), uuid(0), uuid(2)]),
        (f"0,{MIG}", ["0", MIG, "0"]),
        ("", [""] * 3),
        ("-1", ["-1"] * 3),
    ],
)
def test_workers_get_the_gpus_of_a_list_that_is_set_already(
    visible: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_nvidia_smi(tmp_path, listing(4, [[MIG]]), monkeypatch)
    monkeypatch.setenv(VARIABLE, visible)
    with LocalWorkers(3) as workers:
        assert gpus_found(workers) == expected


def test_a_worker_may_have_several_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_nvidia_smi(tmp_path, listing(4), monkeypatch)
    monkeypatch.setenv(VARIABLE, "3,2,1,0")
    with LocalWorkers(2, 2) as workers:
        assert gpus_found(workers) == ["3,2", "1,0"]


@pytest.mark.parametrize("dead", [0, 1, 2])
def test_a_replacement_gets_the_gpu_of_the_dead_worker(
    dead: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_nvidia_smi(tmp_path, listing(4), monkeypatch)
    monkeypatch.delenv(VARIABLE, raising=False)
    with LocalWorkers(3) as workers:
        processes = dict(workers._living.values())
        processes[dead].kill()
        processes[dead].wait()
        workers.wait(60)
        workers.replace_dead()
        assert {popen.pid for _, popen in workers._living.values()} != {popen.pid for popen in processes.values()}
        assert gpus_found(workers) == ["0", "1", "2"]


def kill_worker(workers: LocalWorkers) -> None:
    """Kill the only worker, and start another one."""
    ((_, popen),) = workers._living.values()
    popen.kill()
    workers.wait(60)
    workers.replace_dead()


@pytest.mark.parametrize(("max_retries", "limit"), [(0, 3), (2, 4), (5, 7)])
def test_a_sweep_ends_when_more_workers_die_in_a_row_than_a_trial_may_kill(max_retries: int, limit: int) -> None:
    with LocalWorkers(1, max_retries=max_retries) as workers:
        for _ in range(limit - 1):
            kill_worker(workers)
        with pytest.raises(UserError, match=f"{limit} workers died one after the other, the last with exit code -9"):
            kill_worker(workers)


@pytest.mark.parametrize(
    ("overrides", "visible", "message"),
    [
        (["hydra.sweeper.gpus_per_worker=1"], "0", "n_jobs=2 needs 2 GPUs, but this command can use 1"),
        (
            ["training.devices=2"],
            "0,1",
            "each worker has 1 GPU; set hydra.sweeper.gpus_per_worker=2",
        ),
        (["training.devices=2"], "-1", "training.devices=2: no GPU can be used"),
        ([], "0,first", "CUDA_VISIBLE_DEVICES=0,first: got 'first'"),
    ],
)
def test_gpus_that_do_not_exist_end_the_sweep_at_once(
    overrides: list[str], visible: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_nvidia_smi(tmp_path / "bin", listing(2), monkeypatch)
    sweep = ["-m", "dataset=synthetic", "seed=1,2", "hydra.sweeper.n_jobs=2", *overrides]
    done = Workplace(tmp_path).run("src.train", *sweep, CUDA_VISIBLE_DEVICES=visible)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert not list(tmp_path.glob("*.db"))


@pytest.mark.services
def test_a_sweep_says_in_a_line_that_its_workers_share_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_nvidia_smi(tmp_path / "bin", listing(1), monkeypatch)
    monkeypatch.delenv(VARIABLE, raising=False)
    sweep = ["-m", "dataset=synthetic", "model=dense", "training.epochs=1", "seed=1,2", "hydra.sweeper.n_jobs=2"]
    done = Workplace(tmp_path).run("src.train", *sweep, "tracking=off")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines().count("2 workers share 1 GPU") == 1
    assert done.stdout.count("TensorFlow cannot use it") == 1  # TensorFlow itself finds no GPU, and two workers say so
