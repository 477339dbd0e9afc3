"""GPUs that processes may use, and how workers divide them."""

from pathlib import Path

import pytest

from src.errors import ConfigError
from src.process import gpus
from src.process.gpus import (
    Gpu,
    check_count,
    check_gpus_of_worker,
    describe_sharing,
    divide_gpus,
    installed_gpus,
    read_listing,
    visible_gpus,
)
from tests.support.gpus import MODEL, install_nvidia_smi, listing, uuid

PARTS = ("MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", "MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb")


def test_the_driver_lists_gpus_and_their_parts() -> None:
    assert read_listing(listing(2, [PARTS])) == [Gpu(MODEL, uuid(0), PARTS), Gpu(MODEL, uuid(1))]


@pytest.mark.parametrize("count", [0, 1, 4])
def test_there_are_as_many_gpus_as_the_driver_lists(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_nvidia_smi(tmp_path, listing(count), monkeypatch)
    assert [gpu.uuid for gpu in installed_gpus()] == [uuid(index) for index in range(count)]


def test_without_a_driver_there_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert installed_gpus() == []


def test_a_driver_that_fails_has_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_nvidia_smi(tmp_path, "NVIDIA-SMI has failed\n", monkeypatch, exit_code=9)
    assert installed_gpus() == []


def test_a_program_that_cannot_be_started_lists_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_nvidia_smi(tmp_path, "", monkeypatch)
    (tmp_path / "nvidia-smi").write_bytes(b"\x7fELF of another machine")
    assert installed_gpus() == []


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (None, ["0", "1"]),
        ("", []),
        ("-1", []),
        ("none", []),
        ("NoDevFiles", []),  # Slurm, for a job without GPUs
        ("1", ["1"]),
        ("1,0", ["1", "0"]),
        (" 1 , 0 ", ["1", "0"]),
        ("0,-1,1", ["0"]),
        (uuid(1), [uuid(1)]),
        ("GPU-1932f937", ["GPU-1932f937"]),
    ],
)
def test_the_list_of_visible_gpus_is_kept_as_it_is(value: str | None, names: list[str]) -> None:
    environment = {} if value is None else {"CUDA_VISIBLE_DEVICES": value}
    assert visible_gpus(environment, read_listing(listing(2))) == names


def test_the_parts_of_a_divided_gpu_are_named_by_their_uuids() -> None:
    """CUDA has no numbers for them, and no clear ones for the other GPUs of such a machine."""
    assert visible_gpus({}, read_listing(listing(2, [PARTS]))) == [*PARTS, uuid(1)]


def test_names_are_trusted_where_no_program_lists_the_gpus() -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "3,MIG-GPU-8932f937/1/0"}, []) == ["3", "MIG-GPU-8932f937/1/0"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("first", r"^CUDA_VISIBLE_DEVICES=first: got 'first', expected numbers such as 0,1 or UUIDs .*unset"),
        ("0,,1", "got ''"),
        ("0;1", "got '0;1'"),
        ("0,1.5", "got '1.5'"),
        ("0,-2", "got '-2'"),
        ("0,1,0", "^CUDA_VISIBLE_DEVICES=0,1,0: 0 is listed twice; list each GPU once$"),
        ("0,7", "^CUDA_VISIBLE_DEVICES=0,7: this machine has no GPU 7, only 0, 1 "),
        ("GPU-deadbeef", "this machine has no GPU GPU-deadbeef"),
    ],
)
def test_nonsense_in_the_list_of_visible_gpus_is_refused(value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        visible_gpus({"CUDA_VISIBLE_DEVICES": value}, read_listing(listing(2)))


@pytest.mark.parametrize(
    ("gpus", "workers", "per_worker", "divided"),
    [
        ([], 2, None, [None, None]),
        (["0"], 3, None, ["0", "0", "0"]),
        (["3", "1"], 2, None, ["3", "1"]),
        (["0", "1"], 5, None, ["0", "1", "0", "1", "0"]),
        (["0", "1"], 4, 0.5, ["0", "1", "0", "1"]),
        (["0"], 10, 0.1, ["0"] * 10),
        (["0"], 2, 0.4, ["0", "0"]),
        (["0", "1", "2", "3"], 2, 2, ["0,1", "2,3"]),
        (["0", "1"], 2, 0, ["-1", "-1"]),
        ([], 1, 0, ["-1"]),
    ],
)
def test_each_worker_gets_its_share_of_the_gpus(
    gpus: list[str], workers: int, per_worker: float | None, divided: list[str | None]
) -> None:
    assert divide_gpus(gpus, workers, per_worker) == divided


@pytest.mark.parametrize(
    ("count", "workers", "per_worker", "message"),
    [
        (0, 1, 1, "gpus_per_worker=1: hydra.sweeper.n_jobs=1 needs 1 GPU, but this command can use none"),
        (0, 2, 0.5, "gpus_per_worker=0.5: hydra.sweeper.n_jobs=2 needs 1 GPU, but this command can use none"),
        (2, 3, 1, "n_jobs=3 needs 3 GPUs, but this command can use 2;"),
        (3, 2, 2, "n_jobs=2 needs 4 GPUs, but this command can use 3;"),
        (2, 5, 0.5, "n_jobs=5 needs 3 GPUs, but this command can use 2;"),
        (1, 2, 0.6, "n_jobs=2 needs 2 GPUs, but this command can use 1;"),
    ],
)
def test_more_gpus_than_there_are_cannot_be_requested(
    count: int, workers: int, per_worker: float, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        divide_gpus([str(index) for index in range(count)], workers, per_worker)


@pytest.mark.parametrize("count", [None, 1, 2])
@pytest.mark.parametrize("divided", [["0,1", "2,3"], ["0,1"]])
def test_a_training_may_use_the_gpus_of_its_worker(count: int | None, divided: list[str | None]) -> None:
    check_gpus_of_worker(count, divided)


@pytest.mark.parametrize(
    ("divided", "message"),
    [
        (["0,1", "2,3"], r"training\.devices=3: each worker has 2 GPUs; set hydra\.sweeper\.gpus_per_worker=3"),
        (["0"], "each worker has 1 GPU;"),
        (["-1"], "no GPU can be used"),
        ([None], "no GPU can be used"),
    ],
)
def test_a_training_with_more_devices_than_its_worker_is_refused(divided: list[str | None], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_gpus_of_worker(3, divided)


def test_nothing_is_refused_where_the_driver_is_loaded_but_lists_no_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some containers do not have its program."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(gpus, "DRIVER", tmp_path)
    check_gpus_of_worker(3, [None])
    check_count(3, {})
    with pytest.raises(ConfigError, match="there are 2 GPUs"):
        check_count(3, {"CUDA_VISIBLE_DEVICES": "0,1"})


@pytest.mark.parametrize(
    ("divided", "line"),
    [
        ([None, None], None),
        (["-1", "-1"], None),
        (["0", "1"], None),
        (["0", "1", "0"], "3 workers share 2 GPUs"),
        (["0", "0"], "2 workers share 1 GPU"),
    ],
)
def test_sharing_is_described_in_a_line(divided: list[str | None], line: str | None) -> None:
    assert describe_sharing(divided) == line
