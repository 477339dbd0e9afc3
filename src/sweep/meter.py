"""Measuring what the network of a trial costs, before it is trained.

What can be counted is counted in this process. Times are measured in a process of its own, in which TensorFlow has one
thread and no GPU: threads of a worker that wait for work take CPU time, and how much depends on their number.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from src import datasets, inspection, models
from src.cli.conversion import config_from_dict
from src.errors import UserError
from src.extensions import load_extensions, loaded_extensions
from src.process.gpus import VISIBLE_DEVICES
from src.process.machine import THREADS
from src.process.parent import end_with_parent
from src.schema import COSTS, Config, as_tree, excess

CODE = "import sys; from src.sweep.meter import main; main()"


class Meter:
    """Measures networks. Its second process starts when a time is first asked for, and lives until it is closed."""

    def __init__(self) -> None:
        self._timer: Timer | None = None

    def measure(
        self,
        config: Config,
        dataset: datasets.Dataset,
        names: Sequence[str],
        limits: Mapping[str, float] | None = None,
    ) -> dict[str, float]:
        """Return the costs with these names, in the order of the table.

        A network that is over one of the limits without its times is not timed, so it may be of any size.

        Args:
            config: of the training.
            dataset: its data set.
            names: of the costs.
            limits: of the costs.

        Raises:
            UserError: the network cannot be built, or cannot be timed.
        """
        counted = [name for name in names if not COSTS[name].is_time]
        costs: dict[str, float] = {}
        if counted:
            shape, classes = dataset.input_shape, len(dataset.class_names)
            build = functools.partial(models.build_model, config.model, shape, classes)
            # A user's network is called once while it is built, for which it needs its weights.
            model = build() if config.model.is_foreign else models.sketch_network(lambda _: build())
            costs = inspection.measure_costs(model, counted)
        timed = [name for name in names if COSTS[name].is_time]
        if timed and not excess(costs, limits or {}):
            costs |= self.measure_apart(config, dataset, timed)
        return {name: costs[name] for name in COSTS if name in costs}

    def measure_apart(self, config: Config, dataset: datasets.Dataset, names: Sequence[str]) -> dict[str, float]:
        """Return costs that the second process measures, so that this one need not import TensorFlow.

        Args:
            config: of the training.
            dataset: its data set.
            names: of the costs.

        Raises:
            UserError: the network cannot be built, or the process has ended.
        """
        self._timer = self._timer or start_timer()
        request = {
            "config": as_tree(config),
            "input_shape": dataset.input_shape,
            "num_classes": len(dataset.class_names),
            "names": names,
        }
        try:
            self._timer.connection.send_bytes(json.dumps(request).encode())
            answer = json.loads(self._timer.connection.recv_bytes())
        except (EOFError, OSError) as error:
            self.close()
            raise UserError(
                "the process that measures networks has ended; if memory is short, use a smaller hydra.sweeper.n_jobs"
            ) from error
        except BaseException:  # a signal: a late answer must not be taken for that of the next question
            self.close()
            raise
        if "error" in answer:
            raise UserError(f"the network could not be measured: {answer['error']}")
        return dict(answer["costs"])

    def close(self) -> None:
        """End the second process, if there is one."""
        if self._timer is not None:
            self._timer.connection.close()
            self._timer.popen.kill()
            self._timer.popen.wait()
            self._timer = None


class Timer(NamedTuple):
    """A process that measures times, and the connection to it."""

    popen: subprocess.Popen[bytes]
    connection: Connection


def start_timer() -> Timer:
    """Start the process that measures times. Call it in the main thread: the process ends with the thread."""
    ours, theirs = Pipe()
    extensions = [extension.name for extension in loaded_extensions()]
    command = [sys.executable, "-P", "-c", CODE, str(os.getpid()), str(theirs.fileno()), *extensions]
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    environment = os.environ | dict.fromkeys(THREADS, "1") | {"PYTHONPATH": path, VISIBLE_DEVICES: "-1"}
    with theirs:  # in a session of its own, so that Ctrl-C in a terminal does not reach it
        popen = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True
        )
    return Timer(popen, ours)


def main() -> None:
    """Answer requests of a `Meter` until it closes the connection."""
    pid, pipe, *extensions = sys.argv[1:]
    end_with_parent(int(pid), 1)
    load_extensions(extensions)
    with closing(Connection(int(pipe))) as connection, suppress(EOFError, OSError):
        while True:
            connection.send_bytes(json.dumps(_answer(json.loads(connection.recv_bytes()))).encode())


def _answer(request: Mapping[str, object]) -> dict[str, object]:
    try:
        return {"costs": _measure(**request)}  # type: ignore[arg-type]
    except Exception as error:
        return {"error": str(error) or type(error).__name__}


def _measure(
    config: dict[str, object], input_shape: Sequence[int], num_classes: int, names: Sequence[str]
) -> dict[str, float]:
    height, width, channels = input_shape
    model = config_from_dict(config).model
    build = functools.partial(models.build_model, model, (height, width, channels), num_classes)
    return inspection.measure_new(build, names)
