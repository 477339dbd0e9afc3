"""A Slurm cluster of the tests' own: one node on this machine, with its own key, ports and folders."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.servers import OUTSIDE, free_port, missing

CPUS = 2  # of the node, on paper; the machine may have fewer
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged", "unshare", "setpriv")

# Partitions: jobs of `high` push jobs of `low` back into the queue. A job that was requeued waits for `cred_expire`
# seconds, of which 5 is the minimum. Memory and processors are not those of the machine: see `config_overrides`.
CONF = """
ClusterName=convlab-tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
GresTypes=shelf
OverTimeLimit=0
KillWait=30
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=65536 Features=brisk Gres=shelf:2 State=UNKNOWN
PartitionName=low Nodes={host} Default=YES PriorityTier=1
PartitionName=high Nodes={host} PriorityTier=2 PreemptMode=OFF
"""

# All of it is in a process namespace of its own, so that killing its first process ends every daemon and job.
START = """
setpriv --reuid=munge --regid=munge --clear-groups \
    munged --foreground --force --socket=munge/socket --key-file=munge/key --pid-file=munge/pid \
    --log-file=munge/log --seed-file=munge/seed &
while [ ! -S munge/socket ]; do sleep 0.05; done
slurmctld -D &
slurmd -D &
wait
"""


class Job(NamedTuple):
    """A job, or a task of an array, as Slurm's queue shows it."""

    name: str  # 17, or 17_0 for a task
    state: str
    reason: str


class SlurmCluster:
    """A running cluster.

    Attributes:
        variables: of the environment of a command that uses it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.variables = {"SLURM_CONF": str(folder / "slurm.conf")}

    def run(self, *command: str) -> str:
        """Run a command of Slurm; return what it printed."""
        done = subprocess.run(command, env=os.environ | self.variables, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def jobs(self) -> list[Job]:
        """The jobs that are queued or running; each task of an array is one."""
        lines = self.run("squeue", "--array", "--noheader", "--format=%i|%T|%r").splitlines()
        return [Job(*line.split("|")) for line in lines]

    def details(self, job: str) -> dict[str, str]:
        """What Slurm knows about a job, such as `Restarts`."""
        words = self.run("scontrol", "show", "job", "--oneliner", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait(self, holds: Callable[[list[Job]], bool], seconds: float = 120) -> None:
        """Wait until the queue is as the function wants it."""
        deadline = time.monotonic() + seconds
        while not holds(jobs := self.jobs()):
            assert time.monotonic() < deadline, f"{jobs}\n{self.log()}"
            time.sleep(0.2)

    def preempt(self, cpus: int = CPUS, seconds: float = 0) -> str:
        """Submit a job that pushes others out of processors; return its name."""
        options = ["--partition=high", f"--ntasks={cpus}", "--parsable", "--output=/dev/null"]
        return self.run("sbatch", *options, f"--wrap=sleep {seconds}")

    def cancel_all(self) -> None:
        """Remove all jobs, and wait until none is left."""
        self.run("scancel", "--user=root")
        self.wait(lambda jobs: not jobs)

    def log(self) -> str:
        """The ends of the daemons' logs."""
        return "\n".join(path.read_text()[-2000:] for path in sorted(self._folder.glob("*.log")))


@contextmanager
def slurm_cluster() -> Iterator[SlurmCluster]:
    """A Slurm cluster of one node, which ends with the block, and with this process, together with its jobs."""
    if os.geteuid() != 0:
        pytest.skip("a Slurm cluster of the tests' own takes root")
    if absent := [name for name in PROGRAMS if shutil.which(name) is None]:
        missing(f"{', '.join(absent)} not found: apt-get install slurmctld slurmd slurm-client munge util-linux")
    # Not in /tmp: its files are read by other users, to whom pytest's folders are closed.
    with tempfile.TemporaryDirectory(prefix="convlab-slurm-", dir=OUTSIDE) as name:
        folder = Path(name)
        folder.chmod(0o755)
        _write_files(folder)
        cluster = SlurmCluster(folder)
        with (folder / "daemons.log").open("wb") as log:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "bash",
                 "-c", START],
                cwd=folder, env=os.environ | cluster.variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            _wait_for_node(cluster, process)
            yield cluster
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def _write_files(folder: Path) -> None:
    """Write the configuration and the key, and make the folders of the daemons."""
    for part in ("state", "spool", "munge"):
        (folder / part).mkdir(mode=0o755)
    key = folder / "munge/key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    for path in (key.parent, key):
        shutil.chown(path, "munge", "munge")
    ports = {"controller_port": free_port(), "node_port": free_port()}
    host = socket.gethostname().partition(".")[0]
    (folder / "slurm.conf").write_text(CONF.format(folder=folder, host=host, cpus=CPUS, **ports))


def _wait_for_node(cluster: SlurmCluster, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    command = ["sinfo", "--noheader", "--partition=low", "--format=%t"]
    while process.poll() is None and time.monotonic() < deadline:
        done = subprocess.run(command, env=os.environ | cluster.variables, capture_output=True, text=True)
        if done.stdout.strip() == "idle":
            return
        time.sleep(0.1)
    raise TimeoutError(f"Slurm did not come up:\n{cluster.log()}")
