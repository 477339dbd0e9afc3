"""Sweep, train the best configuration again, register it, and make it the champion if it is better.

python -m pipelines.best_of_sweep hparams_search=lenot
python -m pipelines.best_of_sweep hparams_search=lenot hydra.sweeper.n_trials=10 training.epochs=3 dataset.limit=10000

If it is interrupted, the same command resumes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from src import console, reports
from src.cli.command import entry_point
from src.register import register
from src.results import BestOfSweepResult
from src.schema import BestOfSweepConfig
from src.sweep import run_study
from src.train import train


def best_of_sweep(config: BestOfSweepConfig, overrides: Sequence[str]) -> BestOfSweepResult:
    """Sweeps, trains the best configuration again with each seed, scores it and registers the first seed's model.

    With several objectives it is the configuration that `config.choose` chooses from the front.

    Args:
        config: the pipeline's own settings, and where runs are stored.
        overrides: what was typed, which says what is searched.
    """
    plan = reports.plan_best_of_sweep(config, overrides)
    sweep = reports.with_chosen_trial(run_study(plan), plan, config.choose)
    if sweep.chosen:
        console.say(f"chosen: trial {sweep.best_trial}; {sweep.chosen}")
    with reports.best_of_sweep_run(config, plan, sweep) as run:
        configs = reports.final_configs(config, sweep)
        trainings = [train(final, parent_run_id=run.run_id) for final in configs]
        registration = register(reports.candidate_registration(config, plan, trainings))
        return reports.record_best_of_sweep(run, config, plan, sweep, trainings, registration)


@entry_point("best_of_sweep", sweeps=True)
def main(config: BestOfSweepConfig, overrides: list[str]) -> None:
    """Runs the pipeline, then prints the test accuracy and which model is the champion."""
    result = best_of_sweep(config, overrides)

    console.say(reports.summarize_best_of_sweep(result))
    console.say_registration(result.registration, config.tracking.uri)
    console.say_where(str(result.run_id), result.experiment_id, config.tracking.uri)


if __name__ == "__main__":
    main()
