"""Naming the process that started a run, and finding out whether it has ended.

Process numbers are reused, and a start in wall-clock time changes when the clock is set. So a process is named by its
number, its start in ticks since boot, the boot, and the namespaces in which both are counted.
"""

import os
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from src.tracking.tags import PROCESS, host_of, read_tag

PROC = Path("/proc")
BOOT_ID = PROC / "sys/kernel/random/boot_id"
UNKNOWN = "unknown"  # the name of a process where the system gives none
CLOCK_TOLERANCE = 60  # seconds by which the clock may have been set since an earlier version named a process
ENDED = "ZX"  # states of a process that has ended before its parent waited for it: zombie, dead

_NAME = re.compile(r"(?P<pid>[1-9]\d{0,8}) at tick (?P<ticks>\d+) of boot (?P<boot>\S+), namespace (?P<namespace>\S+)")
_OLDER_NAME = re.compile(r"(?P<pid>[1-9]\d{0,8}) since (?P<start>\d{1,12})")  # still written where there is no /proc


def process_name(pid: int | None = None) -> str:
    """Return a name that no other process of this machine ever has, `unknown` where the system gives none.

    Args:
        pid: the number of a running process, None for this one.
    """
    pid = os.getpid() if pid is None else pid
    if not _is_proc_ours():
        return UNKNOWN
    try:
        _, ticks = _state_and_ticks(pid)
        return f"{pid} at tick {ticks} of boot {_boot_id()}, namespace {_namespace()}"
    except OSError:  # macOS has no /proc
        return f"{pid} since {psutil.Process(pid).create_time():.0f}"


def is_gone(tags: Mapping[str, str]) -> bool:
    """Return True if a run with these tags was started by a process of this machine that has ended."""
    return has_process(tags) is False


def has_process(tags: Mapping[str, str]) -> bool | None:
    """Return True if the process of a run with these tags exists, None if that cannot be seen from here.

    Processes of other machines and containers cannot be seen.
    """
    if host_of(tags) != platform.node() or not _is_proc_ours():
        return None
    name = read_tag(tags, PROCESS) or ""
    try:
        if found := _NAME.fullmatch(name):
            if found["boot"] != _boot_id():
                return False  # the machine was restarted
            if found["namespace"] != _namespace():
                return None
            return not _has_ended(int(found["pid"]), int(found["ticks"]))
        if found := _OLDER_NAME.fullmatch(name):
            process = psutil.Process(int(found["pid"]))
            is_other = abs(process.create_time() - int(found["start"])) > CLOCK_TOLERANCE
            return not is_other and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except (OSError, psutil.Error):  # this process has no permission to look
        pass
    return None


def has_other_process(tags: Mapping[str, str]) -> bool | None:
    """Return True if the process of a run with these tags exists and is not this one, None if that cannot be seen."""
    return False if read_tag(tags, PROCESS) == process_name() != UNKNOWN else has_process(tags)


def _has_ended(pid: int, ticks: int) -> bool:
    if not psutil.pid_exists(pid):
        return True
    state, ticks_now = _state_and_ticks(pid)  # raises for a process that is hidden from this user
    return ticks_now != ticks or state in ENDED


def _state_and_ticks(pid: int) -> tuple[str, int]:
    """Return the state and the start, in clock ticks since boot: fields 3 and 22 of proc_pid_stat(5)."""
    stat = (PROC / str(pid) / "stat").read_bytes()
    fields = stat.rpartition(b")")[2].split()  # the command's name before it may hold spaces and parentheses
    return fields[0].decode(), int(fields[19])


def _boot_id() -> str:
    return BOOT_ID.read_text().strip()


def _namespace() -> str:
    """Return the ids of the PID and time namespaces: process ids and ticks differ from one container to another."""
    files = (PROC / "self/ns" / kind for kind in ("pid", "time"))  # the second came with Linux 5.6
    return "+".join(re.sub(r"\D", "", str(file.readlink())) for file in files if file.is_symlink())


def _is_proc_ours() -> bool:
    """Return True if /proc shows the processes that this one sees. A sandbox may have none, or its host's."""
    try:
        return sys.platform != "linux" or PROC.joinpath("self").readlink() == Path(str(os.getpid()))
    except OSError:
        return False
