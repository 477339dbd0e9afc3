"""A Ray cluster of the tests' own: real processes on 127.0.0.1 that accept only requests with its token.

Run as a script, this file starts the cluster. So the process of the tests imports nothing of Ray.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import psutil

from tests.support.servers import missing
from tests.support.workplace import ROOT

STORE = 80 * 2**20  # bytes for objects; Ray refuses less than 75 MB
PREFIX = "convlab-ray-test-"
LOOPBACK = ("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # without it Ray uses the other addresses of the machine


@dataclass(frozen=True)
class RayCluster:
    """A cluster that is up.

    Attributes:
        address: HOST:PORT.
        environment: with which a command can use it.
        machines: the number of the process that each of its machines consists of, which is the parent of all others.
        folder: for Ray's files.
    """

    address: str
    environment: Mapping[str, str]
    machines: Sequence[int]
    folder: Path

    def processes_of(self, machine: int) -> list[psutil.Process]:
        """The processes of a machine, as if it were a real one."""
        first = psutil.Process(self.machines[machine])
        return [first, *first.children(recursive=True)]

    def commands(self) -> list[list[str]]:
        """The command lines of the processes of all machines that are not lost."""
        found = []
        for machine, first in enumerate(self.machines):
            for process in self.processes_of(machine) if is_alive(psutil.Process(first)) else ():
                with suppress(psutil.NoSuchProcess):  # it has just ended
                    found.append(process.cmdline())
        return found

    def lose(self, machine: int) -> None:
        """Ends all processes of a machine at once, as a power failure does."""
        kill(self.processes_of(machine))


def kill(processes: Sequence[psutil.Process]) -> None:
    """Ends the processes; those whose parent has not noticed it yet count as ended."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + 30
    while any(is_alive(process) for process in processes):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def ray_cluster(*cpus: int, token: bool = True, **variables: str) -> Iterator[RayCluster]:
    """A cluster that is up, with a machine for each number of CPUs. Commands are connected to the first machine.

    Each machine says that it has a GPU.

    Args:
        cpus: of each machine.
        token: whether requests need one.
        variables: of the environment of every machine.
    """
    if importlib.util.find_spec("ray") is None:
        missing("Ray is not installed: make setup RAY=1")
    folder = tempfile.mkdtemp(prefix=PREFIX, dir="/tmp")  # Ray's sockets have long names below it
    access = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token_hex(32)} if token else {"RAY_AUTH_MODE": "disabled"}
    access |= {"RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0", **dict([LOOPBACK])}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_", "COV"))}
    inherited.pop("DATA_DIR", None)
    with Path(folder, "cluster.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", __file__, *map(str, cpus)],  # -P: `import ray` is not this file
            env=inherited | {"PYTHONPATH": str(ROOT), "HOME": folder} | access | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, Path(folder, "cluster.log").read_text()[-2000:]
        yield RayCluster(**json.loads(line), environment=access, folder=Path(folder))
    finally:
        top = psutil.Process(process.pid)
        kill([*top.children(recursive=True), top])
        process.communicate()
        shutil.rmtree(folder)


def main() -> None:
    """Start the cluster, print its address and the processes of its machines, and wait for the end of the input."""
    from ray.cluster_utils import Cluster

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    cluster = Cluster()
    shared = {"node_ip_address": "127.0.0.1", "object_store_memory": STORE, "include_log_monitor": False}
    shared |= {"include_dashboard": False, "num_gpus": 1}
    nodes = [cluster.add_node(num_cpus=int(cpus), **shared) for cpus in sys.argv[1:]]
    machines = [node.all_processes["raylet"][0].process.pid for node in nodes]
    print(json.dumps({"address": cluster.address, "machines": machines}), file=answers, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
