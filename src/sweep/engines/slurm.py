"""Workers as the tasks of one Slurm job array."""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from src.errors import ConfigError, UserError
from src.places import read_variable
from src.process.machine import THREADS
from src.schema import SlurmEngineConfig
from src.sweep.engines.work import Work

ROOT = Path(__file__).resolve().parents[3]  # of the project
PROGRAMS = ("sbatch", "sinfo", "squeue", "scancel")
ANSWER_SECONDS = 120  # a limit: Slurm's commands give up earlier and say why
MIN_SECONDS = 20  # a task that its time limit stops earlier is not queued again: it would never train anything

# The script runs as one task. Before the time limit Slurm signals the script alone. When a job is preempted or
# canceled, some clusters signal all processes of the task: the worker gets the signal twice and counts it once.
# `scontrol requeue` would queue a canceled job too. So it is called only for a job that is still running. Slurm itself
# queues a preempted one again. The number of the array's last task is that of the array, and would name all tasks.
SCRIPT = """\
#!/bin/bash
# A worker of the study {study}. Before the time limit Slurm sends TERM: the worker ends its epoch and
# writes a checkpoint, and this task is queued again. After any other end it is not.
task="${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"
log={log}
set -e
{setup}
set +e

{command} &
worker=$!
stopped=no
trap 'stopped=yes; kill -TERM "$worker" 2>/dev/null' TERM
wait "$worker"
code=$?
while kill -0 "$worker" 2>/dev/null; do  # the signal ended `wait`, not the worker
    wait "$worker"
    code=$?
done

if [ "$stopped" = yes ] && [ "$code" -eq 143 ] &&
    scontrol show job --oneliner "$task" | grep -q ' JobState=RUNNING '; then
    if [ "$SECONDS" -ge {min_seconds} ]; then
        scontrol requeue "$task"
    else
        echo "the time limit stopped this worker after $SECONDS s, too early for a trial, so it is not queued again" >&2
    fi
fi
exit "$code"
"""


class SlurmEngine:
    """Starts workers as the tasks of one job array, and removes them. Nothing depends on Slurm's accounting.

    Attributes:
        settings: the options of the job.
    """

    def __init__(self, settings: SlurmEngineConfig) -> None:
        self.settings = settings
        self._count = 0  # of workers at the last answer

    def check(self) -> None:
        """Raise ConfigError if Slurm cannot be used here, or has no such partition."""
        if absent := [name for name in PROGRAMS if shutil.which(name) is None]:
            raise ConfigError(
                f"hydra/sweeper/engine=slurm: {', '.join(absent)} not found on the PATH; type the command on a machine "
                "of the cluster, such as its login node"
            )
        try:
            partitions = _ask("sinfo", "--all", "--noheader", "--format=%R").split()
        except UserError as error:
            raise ConfigError(f"hydra/sweeper/engine=slurm: {error}") from error
        for name in (self.settings.partition or "").split(","):
            if name and name not in partitions:
                raise ConfigError(
                    f"hydra.sweeper.engine.partition={self.settings.partition}: the cluster has no partition {name!r}; "
                    f"choose from {', '.join(partitions)}"
                )

    def start(self, work: Work) -> str:
        """Submit the job array, and return its name.

        Raises:
            UserError: Slurm refused it.
        """
        answer = _ask("sbatch", *self._options(work), script=self._script(work), variables=self._variables(work))
        self._count = work.n_jobs
        return f"Slurm job {_id(answer.splitlines()[-1])}"  # a site may print before it, and `;CLUSTER` may follow

    def count(self, name: str) -> int:
        """Return how many workers are queued or running; the last known number while Slurm does not answer."""
        try:
            self._count = len(_ask("squeue", "--array", "--noheader", "--format=%i", f"--jobs={_id(name)}").split())
        except UserError as error:
            if "Invalid job id" in str(error):  # the job ended some minutes ago
                self._count = 0
        return self._count

    def stop(self, name: str, now: bool) -> None:
        """Remove queued workers, and with `now` end running ones too, which write a checkpoint.

        Raises:
            UserError: Slurm refused, for example because the job belongs to another user.
        """
        _ask("scancel", *([] if now else ["--state=PENDING"]), _id(name))

    def _options(self, work: Work) -> list[str]:
        """Return the options of sbatch. Options override its environment variables, such as SBATCH_EXPORT."""
        settings = self.settings
        at_a_time = f"%{settings.array_parallelism}" if settings.array_parallelism else ""
        chosen = {
            "partition": settings.partition,
            "qos": settings.qos,
            "account": settings.account,
            "time": settings.timeout_min,
            "mem": settings.mem_gb and f"{math.ceil(1024 * settings.mem_gb)}M",
            "gres": settings.gres,
            "constraint": settings.constraint,
        }
        folder = str(work.log_folder).replace("%", "%%")  # Slurm replaces %A and %a
        return [
            "--parsable",
            f"--job-name={work.study}",
            f"--array=0-{work.n_jobs - 1}{at_a_time}",
            "--requeue",
            f"--signal=B:TERM@{settings.signal_delay_s}",
            "--export=ALL",
            f"--chdir={Path.cwd()}",
            f"--output={folder}/slurm-%A_%a.log",
            "--open-mode=append",
            "--nodes=1",
            "--ntasks=1",
            f"--cpus-per-task={settings.cpus_per_task}",
            *(f"--{name}={value}" for name, value in chosen.items() if value is not None),
        ]

    def _script(self, work: Work) -> str:
        """Return the shell script of a task, which contains no password."""
        log = "the worker's log"  # is replaced by a variable of the shell, which must not be quoted
        command = ['"$log"' if word == log else shlex.quote(word) for word in work.command(log)]
        return SCRIPT.format(
            study=" ".join(work.study.split()),  # in a comment, which ends with the line
            log=shlex.quote(f"{work.log_folder}/slurm-") + "$task.log",
            setup="\n".join(self.settings.setup),
            command=" ".join(command),
            min_seconds=MIN_SECONDS,
        )

    def _variables(self, work: Work) -> dict[str, str]:
        """Return the environment of sbatch, which Slurm gives to the worker."""
        threads = dict.fromkeys(THREADS, str(self.settings.cpus_per_task))
        path = os.pathsep.join(filter(None, [str(ROOT), read_variable("PYTHONPATH")]))
        return threads | os.environ | work.secret_variables() | {"PYTHONPATH": path}


def _id(name: str) -> str:
    found = re.search("[0-9]+", name)
    assert found is not None, name
    return found[0]


def _ask(*command: str, script: str = "", variables: dict[str, str] | None = None) -> str:
    """Return what a command of Slurm prints.

    Raises:
        UserError: the command failed; the message contains its output.
    """
    try:
        done = subprocess.run(
            command, input=script, env=variables, capture_output=True, text=True, timeout=ANSWER_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{command[0]} does not answer: {error}") from error
    if done.returncode != 0:
        raise UserError("; ".join(done.stderr.strip().splitlines()) or f"{command[0]} ended with {done.returncode}")
    return done.stdout.strip()
