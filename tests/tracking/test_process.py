"""The process that began a run, and whether it has ended: real processes, and names as other machines write them."""

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from src.tracking import process as process_module
from src.tracking.process import is_gone, process_name
from src.tracking.tags import PROCESS

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are named by /proc here")

OTHER_BOOT = "00000000-0000-4000-8000-000000000000"


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs as long as these tests."""
    with running("sleep", "600") as process:
        yield process


def tags(name: str, host: str = "") -> dict[str, str]:
    return {"host": host or platform.node(), PROCESS: name}


def older_name(pid: int, seconds: float = 0) -> str:
    """The name that earlier versions gave a process, with the clock set by some seconds since."""
    return f"{pid} since {psutil.Process(pid).create_time() + seconds:.0f}"


def test_a_process_that_runs_is_not_gone_and_one_that_was_killed_is() -> None:
    with running("sleep", "600") as process:
        name, older = process_name(process.pid), older_name(process.pid)
        assert not is_gone(tags(name))
        assert not is_gone(tags(older))
    assert is_gone(tags(name))
    assert is_gone(tags(older))


def test_a_killed_process_is_gone_even_if_its_parent_has_not_waited_for_it() -> None:
    with running("sleep", "600") as process:
        name, older = process_name(process.pid), older_name(process.pid)
        process.kill()
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            pass
        assert is_gone(tags(name))
        assert is_gone(tags(older))


def test_two_processes_give_a_third_the_same_name_and_themselves_different_ones(
    sleeper: subprocess.Popen[bytes],
) -> None:
    say = f"from src.tracking.process import process_name; print(process_name({sleeper.pid})); print(process_name())"
    said = subprocess.run([sys.executable, "-c", say], capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[0] == process_name(sleeper.pid)
    assert is_gone(tags(said[1]))
    assert not is_gone(tags(process_name()))


def test_setting_the_clock_changes_no_name(sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    name, before = process_name(sleeper.pid), psutil.Process(sleeper.pid).create_time()
    booted = psutil.boot_time()
    for module in (psutil, psutil._psplatform):  # what a start in wall-clock time is derived from
        monkeypatch.setattr(module, "boot_time", lambda: booted - 3600)
    monkeypatch.setattr(psutil._psplatform, "BOOT_TIME", booted - 3600, raising=False)
    assert psutil.Process(sleeper.pid).create_time() == pytest.approx(before - 3600)
    assert process_name(sleeper.pid) == name
    assert not is_gone(tags(name))


@pytest.mark.parametrize("seconds", [-45, -1, 1, 45])
def test_an_older_name_is_understood_even_if_the_clock_was_set(
    sleeper: subprocess.Popen[bytes], seconds: float
) -> None:
    assert not is_gone(tags(older_name(sleeper.pid, seconds)))


def test_an_older_name_with_a_very_different_start_is_that_of_another_process(sleeper: subprocess.Popen[bytes]) -> None:
    assert is_gone(tags(older_name(sleeper.pid, -3600)))


def changed(name: str, part: str, value: str) -> str:
    found, count = re.subn(rf"({part}) [^ ,]+", rf"\1 {value}", name)
    assert count == 1
    return found


@pytest.mark.parametrize(
    ("part", "value", "gone"),
    [
        ("tick", "1", True),  # the number was given to another process
        ("boot", OTHER_BOOT, True),  # the machine was restarted
        ("namespace", "1", False),  # in another container: unknown here whether it is alive
    ],
)
def test_the_same_number_of_another_start_boot_or_container(
    sleeper: subprocess.Popen[bytes], part: str, value: str, gone: bool
) -> None:
    assert is_gone(tags(changed(process_name(sleeper.pid), part, value))) is gone


@pytest.mark.parametrize("of_host", [True, False])
def test_without_a_proc_of_its_own_nothing_is_known(
    sleeper: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_host: bool
) -> None:
    names = process_name(sleeper.pid), older_name(sleeper.pid), "999999999 since 1790000000"
    if of_host:  # in a sandbox: /proc names this process by another number
        (tmp_path / "self").symlink_to("1")
    monkeypatch.setattr(process_module, "PROC", tmp_path)
    assert process_name() == "unknown"
    assert not any(is_gone(tags(name)) for name in (*names, process_name()))


def test_an_unused_number_is_unknown_only_in_another_container() -> None:
    name = re.sub(r"^\d+", "999999999", process_name())
    assert is_gone(tags(name))
    assert not is_gone(tags(changed(name, "namespace", "1")))
    assert is_gone(tags("999999999 since 1790000000"))


@pytest.mark.parametrize("command", ["a b", "a) Z 1 1 (b", "x) (y) Z", ")"])
def test_a_command_may_have_any_name(tmp_path: Path, command: str) -> None:
    program = Path(shutil.copy(str(shutil.which("sleep")), tmp_path / command))
    with running(str(program), "600") as process:
        name = process_name(process.pid)
        assert f" at tick {round(psutil.Process(process.pid)._proc.create_time(monotonic=True) * 100)} " in name
        assert not is_gone(tags(name))


@pytest.mark.parametrize("name", ["", "etl", "-1 since 0", "0 since 0", f"{10**30} since 1", "1 since", "1 at tick"])
def test_a_string_that_is_not_a_process_name_means_unknown(name: str) -> None:
    assert not is_gone(tags(name))


def test_without_a_name_or_on_another_host_nothing_is_known() -> None:
    assert not is_gone({"host": platform.node()})
    assert not is_gone({})
    assert not is_gone(tags("999999999 since 1790000000", host=f"{platform.node()}2"))
