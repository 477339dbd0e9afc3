"""A process that is connected to a Ray cluster, for `src.sweep.engines.ray`. No other process imports Ray.

Ray prints its own messages, and ends its process when the cluster is gone. So it has a process of its own. This process
reads requests from its input, one JSON array in each line, and answers each with a line. It ends with its input.

The workers are detached actors: they outlive this process. An actor runs the command of a worker as a child process.
Ray sends the class `Worker` to the machines of the cluster, so it uses only Python's own library.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray

NAMESPACE = "convlab"
MAX_RESTARTS = 20  # of a worker; after more deaths than that, something kills it each time
START_SECONDS = 20  # for a worker to start if the cluster has free CPUs and GPUs for it
ANSWER_SECONDS = 10  # for a running worker to answer
SIGNAL_SECONDS = 3  # between two signals: the command counts signals within `stopping.ECHO_SECONDS`, 2 s, as one
SHUTDOWN_SECONDS = 15
MIN_STORE = 80 * 2**20  # bytes of Ray's memory for objects, which are not used here; Ray refuses less than 75 MB
# The child becomes the worker's command after Linux has been asked to kill it when this process ends.
CODE = (
    "import runpy, sys; from src.process.parent import end_with_parent; end_with_parent(int(sys.argv.pop(1)), 1); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


class Worker:
    """An actor that runs the command of a worker, and ends with it.

    Ray starts it again, on this machine or another one, when its machine or its process dies.

    Args:
        name: of the actor.
        command: the module and its arguments.
        root: the folder of the code, the same on each machine.
        folder: the folder in which the command is run, the same on each machine.
        log: the file to which the output is appended.
        defaults: variables of the environment for a machine that does not have them.
        has_gpu: False if the worker must not use a GPU.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        root: str,
        folder: str,
        log: str,
        defaults: Mapping[str, str],
        has_gpu: bool,
    ) -> None:
        if os.getenv("RAY_AUTH_MODE") != "token":
            raise RuntimeError(
                f"{platform.node()} accepts requests without a token; start Ray there with RAY_AUTH_MODE=token"
            )
        for needed in (root, folder):
            if not Path(needed).is_dir():
                raise RuntimeError(f"{platform.node()} has no folder {needed}; each machine needs it under this path")
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        path = os.pathsep.join(filter(None, (root, inherited.get("PYTHONPATH"))))
        environment = {**defaults, **inherited, "PYTHONPATH": path}
        if not has_gpu:  # otherwise Ray has set it
            environment["CUDA_VISIBLE_DEVICES"] = ""
        Path(log).parent.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._started = threading.Event()
        self._is_asked = False
        # Linux kills the child when the thread ends that started it.
        threading.Thread(target=self._run, args=(name, command, folder, environment, log)).start()

    def host(self) -> str:
        """Return the name of the machine. An answer shows that the actor runs."""
        return platform.node()

    def stop(self) -> None:
        """Ask the child process to end at once; its trial keeps its checkpoint."""
        self._started.wait()
        assert self._process is not None
        self._is_asked = True
        self._process.terminate()  # the command ends after the epoch of its trial
        time.sleep(SIGNAL_SECONDS)
        self._process.terminate()  # the second signal ends it at once

    def _run(self, name: str, command: Sequence[str], folder: str, environment: Mapping[str, str], log: str) -> None:
        with Path(log).open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", CODE, str(os.getpid()), *command],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._started.set()
        if self._process.wait() < 0 and not self._is_asked:  # killed, perhaps because memory was short
            os._exit(1)  # Ray starts the actor again
        ray.kill(ray.get_actor(name, NAMESPACE))


def connect(address: str) -> list[dict[str, float]]:
    """Connect to a cluster, or start one on this machine; return the CPUs and GPUs of each of its machines."""
    if address == "local":
        ray.init(
            namespace=NAMESPACE,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=MIN_STORE,
            _node_ip_address="127.0.0.1",
            _temp_dir=os.environ["CONVLAB_RAY_FOLDER"],
        )
    else:
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False)
    return [
        {name: node["Resources"].get(name, 0.0) for name in ("CPU", "GPU")} for node in ray.nodes() if node["Alive"]
    ]


def start(prefix: str, commands: Sequence[Mapping[str, Any]], cpus: float, gpus: float, **arguments: Any) -> int:
    """Start a worker for each command; return how many are running already.

    Args:
        prefix: of the names of the actors.
        commands: the command and the log of each worker.
        cpus: of each worker.
        gpus: of each worker.
        arguments: of `Worker`.

    Raises:
        RayError: a machine cannot run a worker; all workers were ended.
    """
    actor = ray.remote(Worker)
    options = {"num_cpus": cpus, "num_gpus": gpus, "lifetime": "detached", "max_restarts": MAX_RESTARTS}
    workers = []
    for number, command in enumerate(commands, start=1):
        name = f"{prefix}-{number}"
        made = actor.options(name=name, namespace=NAMESPACE, scheduling_strategy="SPREAD", **options)
        workers.append(made.remote(name=name, has_gpu=gpus > 0, **command, **arguments))
    try:
        answers = [worker.host.remote() for worker in workers]
        running, _ = ray.wait(answers, num_returns=len(answers), timeout=START_SECONDS)
        ray.get(running)
    except ray.exceptions.RayError:
        for worker in workers:
            ray.kill(worker)
        raise
    return len(running)


def count(prefix: str) -> int:
    """Return how many workers with this prefix are queued or running."""
    return len(_names(prefix))


def stop(prefix: str, now: bool) -> None:
    """End workers that wait for a machine, and with `now` ask the running ones to end at once."""
    workers = _workers(prefix)
    answers = [worker.host.remote() for worker in workers]
    ray.wait(answers, num_returns=len(answers), timeout=ANSWER_SECONDS)
    asked = []
    for worker, answer in zip(workers, answers, strict=True):
        try:
            ray.get(answer, timeout=0)
        except ray.exceptions.RayError:  # it waits for a machine, for the first time or after a death
            ray.kill(worker)
        else:
            asked += [worker.stop.remote()] if now else []
    ray.wait(asked, num_returns=len(asked), timeout=ANSWER_SECONDS)


def _workers(prefix: str) -> list[Any]:
    workers = []
    for name in _names(prefix):
        with contextlib.suppress(ValueError):  # it has just ended
            workers.append(ray.get_actor(name, NAMESPACE))
    return workers


def _names(prefix: str) -> list[str]:
    found = ray.util.list_named_actors(all_namespaces=True)
    names = [actor["name"] for actor in found if actor["namespace"] == NAMESPACE]
    return [name for name in names if name.rpartition("-")[0] == prefix]


ACTIONS: dict[str, Callable[..., Any]] = {"connect": connect, "start": start, "count": count, "stop": stop}


def main() -> None:
    """Answer requests until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command that started this process
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what Ray prints is not an answer
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    while line := requests.get():
        number, action, arguments = json.loads(line)
        answer: dict[str, Any] = {"number": number}
        try:
            answer["result"] = ACTIONS[action](**arguments)
        except Exception as error:
            answer["error"] = _reason(error)
        print(json.dumps(answer), file=answers, flush=True)
    ray.shutdown()
    if folder := os.getenv("CONVLAB_RAY_FOLDER"):
        shutil.rmtree(folder, ignore_errors=True)


def _listen(requests: queue.SimpleQueue[str]) -> None:
    """Pass requests on. At the end of the input, end this process even if Ray does not respond."""
    for line in sys.stdin:
        requests.put(line)
    requests.put("")
    time.sleep(SHUTDOWN_SECONDS)
    os._exit(1)


def _reason(error: Exception) -> str:
    """Return the reason in one line, without the trace of the other machine that Ray puts before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    if isinstance(error, ray.exceptions.RayError):
        return lines[-1].removeprefix("RuntimeError: ")  # of `Worker`
    return " ".join(lines)
