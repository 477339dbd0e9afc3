"""Studies of a test's own: in memory for one process, in a file or in PostgreSQL for several."""

import itertools
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any, Literal

import optuna

from src.schema import Interval, Objective, Scalar, SweeperConfig, find_kind
from src.study import Claims, NoTrial, Storage, open_storage, open_study, picker

SPAWN = multiprocessing.get_context("spawn")
X = Interval("x", 0.0, 1.0)
_names = itertools.count()


@contextmanager
def closing_storage(storage: Storage) -> Iterator[Storage]:
    """The storage, without a connection left open after the block."""
    try:
        yield storage
    finally:
        storage.optuna.remove_session()
        storage.optuna.engine.dispose()


def sweeper(sampler: str = "random", **changes: Any) -> SweeperConfig:
    """`hydra.sweeper` with what matters to a search."""
    settings: dict[str, Any] = {"n_trials": 1, "max_failures": 1000} | changes
    kinds: dict[str, Any] = {"sampler": find_kind("sampler", sampler)(), "pruner": find_kind("pruner", "none")()}
    return SweeperConfig(name="search", **kinds, **settings)


def claims_on(
    storage: Storage,
    name: str | None = None,
    *,
    n_trials: int,
    direction: Literal["maximize", "minimize"] = "maximize",
    others: Sequence[Objective] = (),
    queue: Sequence[Mapping[str, Scalar]] = (),
    first: int = 0,
    starter: str | None = None,
    on_dead: Callable[[int], object] = int,
    epoch_of: Callable[[int], int] = lambda _: 0,
    **settings: Any,
) -> Claims:
    """The claims of a new study, or of the one with this name; `others` are the objectives besides the accuracy."""
    name = name or f"study-{next(_names)}"
    names = ["val_accuracy", *(objective.name for objective in others)]
    open_study(name, storage.optuna, direction, *(objective.direction for objective in others), names=names)
    return Claims(
        name,
        storage,
        sweeper(**settings),
        n_trials=n_trials,
        queue=queue,
        first=first,
        starter=starter,
        on_dead=on_dead,
        epoch_of=epoch_of,
    )


def draw(trial: optuna.Trial) -> Scalar:
    return picker(trial)(X)


def claimed(claims: Claims, owner: str = "me") -> optuna.Trial:
    """The trial that the owner gets; one who is not `alive` is dead from now on."""
    found = claims.claim(owner, draw)
    assert not isinstance(found, NoTrial), found
    return found[0]


def run_all(claims: Claims, owner: str = "me") -> NoTrial:
    """Completes trials until there is none; returns why."""
    with claims.alive(owner):
        while not isinstance(found := claims.claim(owner, draw), NoTrial):
            assert claims.complete(found[0], owner, 0.5, {})
    return found


@contextmanager
def started(target: Callable[..., object], *arguments: tuple[Any, ...]) -> Iterator[list[BaseProcess]]:
    """A process for each tuple of arguments; none of them outlives the block."""
    processes: list[BaseProcess] = []
    try:
        for given in arguments:
            process: BaseProcess = SPAWN.Process(target=target, args=given, daemon=True)
            process.start()
            processes.append(process)
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.join()
            process.close()


def exit_codes(processes: Sequence[BaseProcess]) -> list[int | None]:
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]


@contextmanager
def opened(url: str) -> Iterator[Storage]:
    with closing_storage(open_storage(url, "sqlite:///mlflow.db")) as storage:
        yield storage
