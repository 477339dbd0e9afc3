"""The same search with convlab and with other tools: seconds, memory, and what is lost when a process is killed.

python -m benchmarks.peers                              all of them, in turn
python -m benchmarks.peers ours "ray tune" --trials 6   only these, fewer trials: quick, less certain

    ours               this project, two workers
    keras tuner        KerasTuner: a chief, two workers, mlflow.tensorflow.autolog()
    ray tune           Ray Tune: two trials at a time, OptunaSearch, MLflowLoggerCallback
    optuna             a plain Optuna script with MLflowCallback, in two processes that share a study in SQLite
    optuna heartbeat   the same script with heartbeats, which find trials of dead processes

LeNot on 10,000 images of MNIST. Everybody draws at random from the same values: filters and kernel sizes of
both convolutions, dropout, learning rate. Each process has half the cores.

Each contestant searches twice. Seconds and memory are those of the first search. `trial_seconds` is the time from the
first trial's start to the last one's end, divided by the number of trials; `peak_mb` is the memory of all processes
together, pages that they share counted once.

In the second search, when a third of the trials have ended, the process that trains is killed with SIGKILL: a worker of
ours or of KerasTuner, the actor in which Ray trains a trial, or one of the two processes of the Optuna script.
`lost_trials` counts the trials that began, did not end, and were not tried again. `search_ended` is 1 if everything
else ended by itself, without an error, before `--patience` times the first search's time was over.

The packages of the other tools are in requirements.lock next to this file. Full MNIST is needed: DATA_DIR names the
folder above it.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import importlib.util
import json
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.measuring import (
    ROOT,
    TRAIN,
    Failed,
    Figures,
    arguments,
    chosen,
    environment,
    in_turn,
    keep,
    positive,
    ratio,
    ready,
    run,
)
from src.process.machine import THREADS, cores

IMAGES, TRIALS, EPOCHS = 10_000, 20, 3
WORKERS = 2
LOCK = "benchmarks/peers/requirements.lock"
LOOKS = 0.3  # seconds between two looks at the processes
MEMORY_LOOKS = 2.0  # seconds between two looks at their memory, each of which takes 22 ms for a process with TensorFlow
YOUNG = 0.5  # seconds after its start in which a trial's process is not killed
SPACE = [
    "model.conv.0.filters=int(interval(4,16))",
    "model.conv.1.filters=int(interval(8,48))",
    "model.conv.0.kernel_size=choice(3,5)",
    "model.conv.1.kernel_size=choice(3,5)",
    "model.dropout=interval(0,0.5)",
    "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))",
]


class Command(NamedTuple):
    """The words after `python`, and environment variables."""

    words: Sequence[str]
    variables: Mapping[str, str] = {}


class Trial(NamedTuple):
    """A trial that began. `ended` is None if it did not end without an error; `pid` 0 if the process is not known."""

    values: str
    pid: int
    began: float
    ended: float | None


class Tool(NamedTuple):
    """A contestant.

    Attributes:
        commands: returns those of a search, from the numbers of trials and epochs; they run at the same time.
        trials: returns the trials that began so far, from the folder of the search.
        packages: what must be installed.
        distributions: those whose versions are recorded.
    """

    commands: Callable[[int, int], list[Command]]
    trials: Callable[[Path], list[Trial]]
    packages: Sequence[str] = ()
    distributions: Sequence[str] = ()


class Search(NamedTuple):
    """A search that is over.

    Attributes:
        seconds: from its start to the end of its last command.
        peak_mb: the most memory that all its processes held together.
        trials: those that began.
        ended: False if it had to be ended, or a command that was not killed failed.
        output: the last lines of each command.
    """

    seconds: float
    peak_mb: float
    trials: list[Trial]
    ended: bool
    output: str


def ours(trials: int, epochs: int) -> list[Command]:
    words = [*TRAIN, "-m", "hydra/sweeper=optuna", "hydra/sweeper/sampler=random", *SPACE]
    words += ["dataset.source=full", f"dataset.limit={IMAGES}", f"training.epochs={epochs}"]
    return [Command([*words, f"hydra.sweeper.n_trials={trials}", f"hydra.sweeper.n_jobs={WORKERS}"])]


def keras_tuner(trials: int, epochs: int) -> list[Command]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(free.getsockname()[1])}
    words = script("with_keras_tuner", trials, epochs)
    names = ["chief", *(f"tuner{number}" for number in range(WORKERS))]
    return [Command(words, half_of_cores() | address | {"KERASTUNER_TUNER_ID": name}) for name in names]


def ray_tune(trials: int, epochs: int) -> list[Command]:
    variables = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}  # it is reached from this machine alone
    variables |= {"RAY_worker_niceness": "0"}  # else another program would slow Ray more than the others
    return [Command(script("with_ray_tune", trials, epochs), half_of_cores() | variables)]


def optuna_script(trials: int, epochs: int, *more: str) -> list[Command]:
    return [Command([*script("with_optuna", trials, epochs), *more], half_of_cores())] * WORKERS


def script(name: str, trials: int, epochs: int) -> list[str]:
    return ["-m", f"benchmarks.peers.{name}", str(trials), str(epochs)]


def half_of_cores() -> dict[str, str]:
    """Return the environment in which TensorFlow uses a worker's share of the cores, as in a worker of ours."""
    return dict.fromkeys(THREADS, str(max(1, cores() // WORKERS)))


def our_trials(folder: Path) -> list[Trial]:
    """Return the trials in the study of a sweep."""
    if not (folder / "optuna.db").exists():
        return []
    with contextlib.closing(sqlite3.connect(folder / "optuna.db")) as database:
        try:
            params = database.execute("select trial_id, param_name, param_value from trial_params").fetchall()
            rows = database.execute("select trial_id, state, datetime_start, datetime_complete from trials").fetchall()
        except sqlite3.OperationalError:  # it has no tables yet
            return []
    found = []
    for trial, state, began, ended in rows:
        values = sorted((name, value) for owner, name, value in params if owner == trial)
        is_complete = state in ("COMPLETE", "PRUNED")
        if began is not None:
            found.append(Trial(str(values), 0, seconds_of(began), seconds_of(ended) if is_complete else None))
    return found


def seconds_of(moment: str) -> float:
    """Return a time of Optuna's database as seconds since 1970."""
    return datetime.datetime.fromisoformat(moment).timestamp()


def noted_trials(folder: Path) -> list[Trial]:
    """Return the trials that `lenot.noted` has noted."""
    if not (folder / "trials.jsonl").exists():
        return []
    found: list[Trial] = []
    for line in (folder / "trials.jsonl").read_text().splitlines():
        event: dict[str, Any] = json.loads(line)
        values, pid = json.dumps(event["values"]), event["pid"]
        if event["event"] == "began":
            found.append(Trial(values, pid, event["time"], None))
        else:
            at = max(at for at, trial in enumerate(found) if (trial.values, trial.pid) == (values, pid))
            found[at] = found[at]._replace(ended=event["time"])
    return found


def count_lost(trials: Sequence[Trial]) -> int:
    """Return how many trials began and did not end, neither then nor when their values were tried again."""
    return len({trial.values for trial in trials} - {trial.values for trial in trials if trial.ended})


OPTUNA = (("optuna_integration",), ("optuna", "optuna-integration"))
TOOLS = {
    "ours": Tool(ours, our_trials),
    "keras tuner": Tool(keras_tuner, noted_trials, ("keras_tuner", "tensorboard"), ("keras-tuner",)),
    "ray tune": Tool(ray_tune, noted_trials, ("ray", "tensorboardX"), ("ray",)),
    "optuna": Tool(optuna_script, noted_trials, *OPTUNA),
    "optuna heartbeat": Tool(lambda trials, epochs: optuna_script(trials, epochs, "heartbeat"), noted_trials, *OPTUNA),
}


class Processes:
    """The commands of a search, and every process that they start."""

    def __init__(self, commands: Sequence[Command], folder: Path) -> None:
        self.outputs = [folder / f"output-{number}.txt" for number in range(len(commands))]
        self.commands = []
        for command, output in zip(commands, self.outputs, strict=True):
            variables = environment({"PEERS_FOLDER": str(folder), **command.variables})
            with output.open("w") as file:
                words = [sys.executable, *command.words]
                self.commands.append(subprocess.Popen(words, cwd=folder, env=variables, stdout=file, stderr=file))
        self._seen = {command.pid: psutil.Process(command.pid) for command in self.commands}

    @property
    def are_running(self) -> bool:
        """True while a command runs."""
        return None in [command.poll() for command in self.commands]

    def living(self) -> list[psutil.Process]:
        """Return all processes, also those whose parents have ended."""
        for process in list(self._seen.values()):
            with contextlib.suppress(psutil.Error):
                for child in process.children(recursive=True):
                    self._seen.setdefault(child.pid, child)
        return [process for process in self._seen.values() if _is_alive(process)]

    def memory_mb(self) -> float:
        """Return the memory of all processes in MB; a page that n of them share counts as 1/n for each."""
        total = 0
        for process in self.living():
            with contextlib.suppress(psutil.Error):
                memory = process.memory_full_info()
                total += getattr(memory, "pss", memory.uss)  # Linux alone has the former
        return total / 1e6

    def kill(self, pid: int) -> None:
        """Kill one of the processes, as the system does when memory is short."""
        for process in self.living():
            if process.pid == pid:
                process.kill()

    def end(self) -> None:
        """Kill everything that is left."""
        for process in self.living():
            with contextlib.suppress(psutil.Error):
                process.kill()
        for command in self.commands:
            command.wait()

    def output(self) -> str:
        """Return the last lines of each command."""
        return "\n".join(output.read_text(errors="replace")[-1500:] for output in self.outputs)


def _is_alive(process: psutil.Process) -> bool:
    """Return False also for a process that has ended and for which nobody has waited."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def search(tool: Tool, folder: Path, trials: int, epochs: int, kill_after: int | None, limit: float) -> Search:
    """Run a search to its end.

    Args:
        tool: the contestant.
        folder: an empty one.
        trials: how many.
        epochs: of each trial.
        kill_after: kill a process that trains as soon as this many trials have ended; None to kill none.
        limit: seconds after which the search is ended.
    """
    if tool.packages:
        run(["-c", "from benchmarks.peers.lenot import prepare; prepare()"], folder, PEERS_FOLDER=str(folder))
    began, peak, killed, looked = time.monotonic(), 0.0, 0, 0.0
    processes = Processes(tool.commands(trials, epochs), folder)
    try:
        while processes.are_running and time.monotonic() < began + limit:
            if time.monotonic() > looked + MEMORY_LOOKS:
                looked = time.monotonic()
                peak = max(peak, processes.memory_mb())
            if kill_after is not None and not killed:
                killed = victim(tool.trials(folder), processes, kill_after)
                processes.kill(killed)
            time.sleep(LOOKS)
        seconds = time.monotonic() - began
        codes = [command.poll() for command in processes.commands if command.pid != killed]
    finally:
        processes.end()
    if kill_after is not None and not killed:
        raise Failed(f"the search was over before a process could be killed:\n{processes.output()}")
    return Search(seconds, peak, tool.trials(folder), codes == [0] * len(codes), processes.output())


def victim(trials: Sequence[Trial], processes: Processes, after: int) -> int:
    """Return the id of a process in the middle of a trial; 0 if none is, or fewer trials have ended."""
    open_trials = [trial for trial in trials if trial.ended is None and trial.began < time.time() - YOUNG]
    if sum(trial.ended is not None for trial in trials) < after or not open_trials:
        return 0
    if open_trials[-1].pid:
        return open_trials[-1].pid
    if len(open_trials) < WORKERS:  # all workers must be in a trial, since it is not known which one is
        return 0
    for process in processes.living():
        with contextlib.suppress(psutil.Error):
            if any("src.sweep.worker" in word for word in process.cmdline()):
                return process.pid
    return 0


def compared(tool: Tool, folder: Path, trials: int, epochs: int, patience: float, limit: float) -> Figures:
    """Search without a disturbance, and again with a process that is killed."""
    whole, disturbed = folder / "whole", folder / "disturbed"
    whole.mkdir()
    disturbed.mkdir()
    first = search(tool, whole, trials, epochs, None, limit)
    ended = [trial.ended for trial in first.trials if trial.ended]
    if not first.ended or len(ended) < trials:
        raise Failed(f"{len(ended)} of {trials} trials are complete:\n{first.output}")
    second = search(tool, disturbed, trials, epochs, trials // 3, patience * first.seconds)
    return {
        "trial_seconds": (max(ended) - min(trial.began for trial in first.trials)) / len(ended),
        "command_seconds": first.seconds,
        "peak_mb": first.peak_mb,
        "lost_trials": float(count_lost(second.trials)),
        "ended_trials": float(sum(trial.ended is not None for trial in second.trials)),
        "search_ended": float(second.ended),
    }


def installed(names: Sequence[str]) -> list[str]:
    """Return the contestants whose packages are installed, and print how to install those of the others."""
    found = []
    for name in names:
        if missing := [package for package in TOOLS[name].packages if importlib.util.find_spec(package) is None]:
            command = f"{sys.executable} -m pip install --require-hashes -r {ROOT / LOCK}"
            print(f"{name} is skipped: {', '.join(missing)} is missing; to install it: {command}", file=sys.stderr)
        else:
            found.append(name)
    return found or sys.exit("nothing was measured")


def main() -> None:
    parser = arguments(__doc__, list(TOOLS), repetitions=3)
    parser.add_argument("--trials", type=positive, default=TRIALS, help=f"of each search ({TRIALS})")
    parser.add_argument("--epochs", type=positive, default=EPOCHS, help=f"of each trial ({EPOCHS})")
    parser.add_argument("--patience", type=positive, default=3, help="the longest disturbed search, see above (3)")
    parser.add_argument("--limit", type=positive, default=3600, help="seconds for an undisturbed search (3600)")
    options = parser.parse_args()
    named = installed(chosen(options, list(TOOLS)))
    ready([])
    contestants = {
        name: partial(
            compared,
            tool,
            trials=options.trials,
            epochs=options.epochs,
            patience=options.patience,
            limit=options.limit,
        )
        for name, tool in TOOLS.items()
    }
    measured = in_turn(contestants, options.repeat, named)
    ratios = {
        f"trial_seconds of ours / {name}": ratio(measured, "ours", name, "trial_seconds")
        for name in measured
        if "ours" in measured and name != "ours"
    }
    tools = {name: importlib.metadata.version(name) for each in measured for name in TOOLS[each].distributions}
    counts = {"trials": options.trials, "epochs": options.epochs}
    keep("peers", measured, options.publish, ratios=ratios, tools=tools, **counts)


if __name__ == "__main__":
    main()
