"""Train a network once for each fold of the training images, and score each fold by the network that did not see it.

python -m pipelines.cross_validate
python -m pipelines.cross_validate model=lenot folds=5 training.epochs=5

If it is interrupted, the same command resumes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from src import console, fitting, links, reports
from src.cli.command import entry_point
from src.results import CrossValidationResult, TrainResult
from src.schema import CrossValidateConfig
from src.train import train


def cross_validate(config: CrossValidateConfig, overrides: Sequence[str] = ()) -> CrossValidationResult:
    """Trains the network once for each fold, reuses finished trainings, and records all folds in one run.

    Args:
        config: the number of folds, and where runs are stored.
        overrides: what was typed, which says how the network is trained.
    """
    planned = reports.plan_folds(config, overrides)
    with reports.cross_validation_run(config, planned) as run:
        fitting.start_tensorflow(*planned)
        trained: list[TrainResult] = []
        for fold, training in enumerate(planned, start=1):
            console.say(f"fold {fold} of {config.folds}")
            trained.append(train(training, parent_run_id=run.run_id))
        return reports.record_cross_validation(run, config, planned, trained)


@entry_point("cross_validate")
def main(config: CrossValidateConfig, overrides: list[str]) -> None:
    """Trains, then prints a table of the folds."""
    result = cross_validate(config, overrides)

    console.table(*reports.folds_table(config, result))
    scores = "  ".join(f"{name} {value:.4f}" for name, value in result.out_of_fold.items())
    console.say(f"out-of-fold predictions for all training images: {scores}")
    if result.label_issues:
        labels = f"{result.label_issues:,} label{'s' * (result.label_issues != 1)}"
        command = links.label_command(config.tracking.uri, result.run_id)
        console.say(f"these predictions contradict {labels} with confidence: {command} lists them")
    console.say_where(result.run_id, result.experiment_id, config.tracking.uri)


if __name__ == "__main__":
    main()
