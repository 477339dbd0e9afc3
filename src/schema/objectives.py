"""The objectives of a sweep, by which its trials are compared: one metric, or several metrics and costs.

With several objectives there is no best trial. A trial dominates another one if it is at least as good in every
objective and better in one. The trials that no other dominates are the front (Deb et al. 2002, "A Fast and Elitist
Multiobjective Genetic Algorithm: NSGA-II"). With one objective the front is the best trial.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from src.errors import ConfigError
from src.schema.checks import nearest
from src.schema.costs import COSTS
from src.schema.metrics import TEST, Direction, direction_of, monitors, sign_of

KEY = "hydra.sweeper.objectives"
MAX_OBJECTIVES = 3  # with more, most trials are on the front


class Objective(NamedTuple):
    """An objective of a study: the name of a metric or of a cost, and `maximize` or `minimize`."""

    name: str
    direction: Direction


def objective_of(name: str) -> Objective:
    """Return the objective that is a metric of `METRICS` or a cost of `COSTS`.

    Raises:
        KeyError: it is in neither table.
    """
    return Objective(name, "minimize" if name in COSTS else direction_of(name))


def losses_of(values: Sequence[float], objectives: Sequence[Objective]) -> tuple[float, ...]:
    """Return the values of a trial with signs that make less better in every objective."""
    return tuple(-sign_of(objective.direction) * value for value, objective in zip(values, objectives, strict=True))


def improves(values: Sequence[float], known: Iterable[Sequence[float]], objectives: Sequence[Objective]) -> bool:
    """Return True if none of the known trials is at least as good in every objective.

    Args:
        values: of a trial, one for each objective.
        known: the values of other trials.
        objectives: one or more.
    """
    losses = losses_of(values, objectives)
    return not any(
        all(other <= loss for other, loss in zip(losses_of(others, objectives), losses, strict=True))
        for others in known
    )


def front_of(points: Sequence[Sequence[float]], objectives: Sequence[Objective]) -> list[int]:
    """Return the indices of the trials that no other dominates, the best in the first objective first.

    Args:
        points: the values of each trial, in the order of the trials; of equal ones the first is on the front.
        objectives: one or more.
    """
    front: list[int] = []
    # A trial that dominates another one comes before it in this order, and so does the first of equal ones.
    for index in sorted(range(len(points)), key=lambda index: (losses_of(points[index], objectives), index)):
        if improves(points[index], (points[other] for other in front), objectives):
            front.append(index)
    return front


def check_objectives(names: Sequence[str]) -> None:
    """Raise ConfigError unless the names, the value of `hydra.sweeper.objectives`, can be objectives together."""
    typed = f"{KEY}=[{','.join(names)}]"
    known = [*monitors(), *COSTS]
    for name in names:
        if name.startswith(TEST):
            raise ConfigError(
                f"{typed}: {name} would choose by the test split, which is scored once, at the end; use a metric of "
                "the validation split, such as val_accuracy"
            )
        if name not in known:
            near = nearest(name, known)
            meant = f"; did you mean {near!r}?" if near else f"; the metrics are {', '.join(monitors())}"
            raise ConfigError(f"{typed}: no metric or cost {name!r}; the costs are {', '.join(COSTS)}{meant}")
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"{typed}: {repeated[0]} is listed {names.count(repeated[0])} times; list each name once")
    metrics = [name for name in names if name not in COSTS]
    if not metrics:
        raise ConfigError(
            f"{typed}: the cheapest network would win, however bad it is; name a metric too: "
            f"'{KEY}=[{','.join(['val_accuracy', *names])}]'"
        )
    if len(names) == 1:
        raise ConfigError(
            f"{typed}: a single objective is the monitor; remove `{KEY}` and set training.monitor={metrics[0]}"
        )
    if len(names) > MAX_OBJECTIVES:
        raise ConfigError(
            f"{typed}: got {len(names)} objectives, expected two or three; with more, most trials would be on the front"
        )
