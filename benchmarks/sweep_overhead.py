"""The seconds of a sweep that do not train, as its study grows to 10, 200 and 2,000 trials.

python -m benchmarks.sweep_overhead                       all three
python -m benchmarks.sweep_overhead --against ../before   another checkout of the project too, in turn
python -m benchmarks.sweep_overhead 10 200                without the long one

Each study is made by `python -m src.train -m` with one worker and Optuna's default sampler. An extension,
`benchmarks/dry_trials.py`, takes the place of building and training a network; everything else is real.

    next_trial_seconds   from the start of a trial to the start of the next one, the median of the last 20: claiming,
                         drawing parameters, composing, the MLflow run with its params, metrics and config, storing
    status_seconds       python -m src.sweep status STUDY
    repeat_seconds       the finished command once more, which finds nothing left to train and writes the report
    report_seconds       the part of it that writes tables, figures and sweep.html

`--against` runs the same commands with the code of another folder.
"""

import itertools
import shutil
import statistics
from pathlib import Path

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
    run,
)

SIZES = ("10", "200", "2000")  # trials
LAST = 20  # trials whose median is taken
STUDY = "overhead"
EXTENSION = Path(__file__).with_name("dry_trials.py")
SWEEP = [
    *TRAIN,
    "-m",
    f"extensions=[{EXTENSION.stem}]",
    "hydra/sweeper=optuna",
    f"hydra.sweeper.study_name={STUDY}",
    "dataset=synthetic",
    "training.epochs=2",
    "model.conv.0.filters=int(interval(4,32))",
    "model.conv.0.kernel_size=choice(3,5,7)",
    "model.dropout=interval(0,0.5)",
    "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))",
]


def grown(size: str, tree: Path, folder: Path) -> Figures:
    """Make a study of this size, then measure what it costs to look at it and to repeat its command."""
    shutil.copy(EXTENSION, folder)
    command = [*SWEEP, f"hydra.sweeper.n_trials={size}"]
    done = run(command, folder, PYTHONPATH=str(tree))
    starts = starts_of_trials(folder)
    if len(starts) != int(size):
        raise Failed(f"{len(starts)} of {size} trials are complete:\n{done.output[-3000:]}")
    status = run(["-m", "src.sweep", "status", STUDY], folder, PYTHONPATH=str(tree))
    report = folder / "report_seconds.txt"
    report.unlink()
    repeated = run(command, folder, PYTHONPATH=str(tree))
    return {
        "next_trial_seconds": statistics.median([later - start for start, later in itertools.pairwise(starts)][-LAST:]),
        "status_seconds": status.seconds,
        "repeat_seconds": repeated.seconds,
        "report_seconds": sum(map(float, report.read_text().split())),
    }


def starts_of_trials(folder: Path) -> list[float]:
    """Return the time at which each complete trial of the study began, in seconds."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trials = optuna.load_study(study_name=STUDY, storage=f"sqlite:///{folder / 'optuna.db'}").trials
    starts = [trial.datetime_start for trial in trials if trial.state.name == "COMPLETE"]
    return [start.timestamp() for start in starts if start]


def main() -> None:
    parser = arguments(__doc__, SIZES, repetitions=1)
    add_against(parser)
    options = parser.parse_args()
    measured = in_turn(in_trees(chosen(options, SIZES), options.against, grown), options.repeat)
    figures = ["next_trial_seconds", "status_seconds", "repeat_seconds", "report_seconds"]
    keep("sweep_overhead", measured, options.publish, ratios=changes(measured, figures))


if __name__ == "__main__":
    main()
