"""The fixed cost of a trial: its seconds besides its epochs, and the memory of a worker after many trials.

python -m benchmarks.trial_overhead                       both spaces, and the memory
python -m benchmarks.trial_overhead --against ../before   another checkout of the project too, in turn
python -m benchmarks.trial_overhead "new networks" --trials 6

    same networks   trials differ in their learning rate and in two numbers of filters: networks come again
    new networks    trials differ in their learning rate and in numbers of filters and units: no network comes again
    memory          new networks, one epoch, 60 trials

Real sweeps of LeNot on 10,000 images of MNIST, in one worker with one thread, as each of two workers has on two cores.
A trial's seconds are those from its start to the start of the next one. `fixed_seconds` is what remains of them without
the epochs, all of which count as the median of those after the first. So the compilation in the first epoch is a part
of it. The figures of a sweep are medians over all trials but the first, in which the worker is not warm, and the last.
`peak_mb_N` is the most memory that a worker held until the trial N ended; `workers` counts them, because a worker that
has grown too much is replaced.

`--against` runs the same commands with the code of another folder. Full MNIST is needed: DATA_DIR names the folder
above it.
"""

import itertools
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.measuring import (
    TRAIN,
    Failed,
    Figures,
    add_against,
    arguments,
    changes,
    chosen,
    in_trees,
    in_turn,
    keep,
    peak_mb,
    positive,
    ready,
    run,
)

IMAGES = 10_000
ONE_THREAD: dict[str, Any] = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1")
RATE = "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))"
SPACES = {
    "same networks": [RATE, "model.conv.0.filters=choice(6,8)"],
    "new networks": [
        RATE,
        "model.conv.1.filters=int(interval(12,20))",
        "model.dense.0=int(interval(100,140))",
        "model.dense.1=int(interval(70,100))",
    ],
}
MEMORY = "memory"
NAMES = (*SPACES, MEMORY)
MEASURED_AFTER = (10, 30, 60)  # trials of the contestant `memory`
WORKER = ("src.sweep.worker", "multiprocessing.spawn")  # in the command line of a worker, today and earlier


class Trial(NamedTuple):
    """A trial as the study and its run have it; the times are seconds of the same clock."""

    began: float
    ended: float
    epochs: list[float]


class Growth:
    """The memory of a sweep's workers, watched while it runs."""

    def __init__(self) -> None:
        self.pids: set[int] = set()
        self.peaks: list[tuple[float, float]] = []  # time, MB

    def watch(self, pid: int) -> None:
        """Look at the workers of the command with this process id."""
        try:
            children = psutil.Process(pid).children()
            workers = [child.pid for child in children if _is_worker(child)]
        except psutil.Error:
            return
        self.pids.update(workers)
        self.peaks += [(time.time(), peak_mb(worker)) for worker in workers]

    def until(self, moment: float) -> float:
        """Return the most memory that a worker held until this time, in MB."""
        return max((size for seen, size in self.peaks if seen <= moment), default=0.0)


def _is_worker(process: psutil.Process) -> bool:
    return any(name in word for word in process.cmdline() for name in WORKER)


def sweep(space: str, tree: Path, folder: Path, trials: int, epochs: int) -> tuple[list[Trial], Growth]:
    """Run a sweep with the code of a tree; return its trials, and how its workers grew."""
    command = [*TRAIN, "-m", "hydra/sweeper=optuna", "hydra/sweeper/sampler=random", *SPACES[space]]
    command += ["dataset.source=full", f"dataset.limit={IMAGES}", f"training.epochs={epochs}"]
    command += [f"hydra.sweeper.n_trials={trials}", "hydra.sweeper.n_jobs=1"]
    growth = Growth()
    done = run(command, folder, watch=growth.watch, PYTHONPATH=str(tree), **ONE_THREAD)
    found = trials_of(folder)
    if len(found) != trials:
        raise Failed(f"{len(found)} of {trials} trials are complete:\n{done.output[-3000:]}")
    return found, growth


def trials_of(folder: Path) -> list[Trial]:
    """Return the complete trials in the databases of a sweep, in their order."""
    import optuna
    from mlflow.tracking import MlflowClient

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = f"sqlite:///{folder / 'optuna.db'}"
    (name,) = optuna.get_all_study_names(storage)
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    found = []
    for trial in optuna.load_study(study_name=name, storage=storage).trials:
        if trial.state.name == "COMPLETE" and trial.datetime_start and trial.datetime_complete:
            history = client.get_metric_history(trial.user_attrs["run_id"], "epoch_seconds")
            epochs = [each.value for each in sorted(history, key=lambda each: each.step)]
            found.append(Trial(trial.datetime_start.timestamp(), trial.datetime_complete.timestamp(), epochs))
    return found


def fixed_costs(trials: list[Trial]) -> Figures:
    """Return the median seconds of trials, of their first and later epochs, and of what is left without epochs."""
    warm = [(trial, later.began - trial.began) for trial, later in itertools.pairwise(trials)][1:]
    later = [statistics.median(trial.epochs[1:]) for trial, _ in warm]
    fixed = [seconds - len(trial.epochs) * epoch for (trial, seconds), epoch in zip(warm, later, strict=True)]
    return {
        "fixed_seconds": statistics.median(fixed),
        "trial_seconds": statistics.median(seconds for _, seconds in warm),
        "first_epoch_seconds": statistics.median(trial.epochs[0] for trial, _ in warm),
        "later_epoch_seconds": statistics.median(later),
    }


def main() -> None:
    parser = arguments(__doc__, NAMES, repetitions=5)
    parser.add_argument("--trials", type=positive, default=10, help="of each sweep but those for memory (10)")
    parser.add_argument("--epochs", type=positive, default=3, help="of each of these trials (3)")
    add_against(parser)
    options = parser.parse_args()
    named = chosen(options, NAMES)
    if options.trials < 3 or options.epochs < 2:
        parser.error("at least 3 trials and 2 epochs are needed: the first and the last trial do not count")
    ready([])

    def timed(space: str, tree: Path, folder: Path) -> Figures:
        return fixed_costs(sweep(space, tree, folder, options.trials, options.epochs)[0])

    def filled(_: str, tree: Path, folder: Path) -> Figures:
        trials, growth = sweep("new networks", tree, folder, MEASURED_AFTER[-1], 1)
        peaks = {f"peak_mb_{count}": growth.until(trials[count - 1].ended) for count in MEASURED_AFTER}
        return peaks | {"workers": float(len(growth.pids))}

    measured: dict[str, list[Figures]] = {}
    if spaces := [name for name in named if name in SPACES]:
        measured |= in_turn(in_trees(spaces, options.against, timed), options.repeat)
    if MEMORY in named:
        measured |= in_turn(in_trees([MEMORY], options.against, filled), 1)
    ratios = changes(measured, ["fixed_seconds", f"peak_mb_{MEASURED_AFTER[-1]}"])
    counts = {"trials": options.trials, "epochs": options.epochs}
    keep("trial_overhead", measured, options.publish, ratios=ratios, **counts)


if __name__ == "__main__":
    main()
