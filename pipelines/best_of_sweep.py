"""From a sweep to the champion.

python -m pipelines.best_of_sweep hparams_search=lenot
python -m pipelines.best_of_sweep hparams_search=lenot hydra.sweeper.n_trials=10 training.epochs=3 dataset.limit=10000

Interrupted anywhere, the same command goes on where it stopped.
"""

from collections.abc import Sequence

from src import console
from src.cli.command import entry_point
from src.register import register
from src.reports import best_of_sweep as finals
from src.results import BestOfSweepResult, format_metric
from src.schema import BestOfSweepConfig, RegisterConfig
from src.sweep import run_study
from src.train import train


def best_of_sweep(config: BestOfSweepConfig, overrides: Sequence[str]) -> BestOfSweepResult:
    """Sweeps; trains the best again on all but the test images, scores it once, registers it, crowns it if it wins.

    Args:
        config: its own settings, and where runs are kept.
        overrides: what would be typed, which says what is searched.
    """
    plan = finals.plan_of(config, overrides)
    sweep = run_study(plan)
    with finals.begin(config, plan, sweep) as run:
        trained = [train(final, parent_run_id=run.run_id) for final in finals.final_configs(config, sweep)]
        candidate = trained[0].run_id  # of the first seed, which was fixed before anybody saw a score
        registration = register(
            RegisterConfig(
                tracking=config.tracking,
                run_id=str(candidate),
                name=config.registered_model,
                alias=config.alias,
                if_better=True,
            )
        )
        result = BestOfSweepResult(
            run_id=run.run_id,
            experiment_id=run.experiment_id,
            sweep=sweep,
            seeds=config.seeds,
            finals=trained,
            registration=registration,
        )
        finals.record(run, result)
    return result


@entry_point("best_of_sweep", sweeps=True)
def main(config: BestOfSweepConfig, overrides: list[str]) -> None:
    """Runs the pipeline, then says how good the best is, and who is the champion."""
    result = best_of_sweep(config, overrides)

    scores = ", ".join(f"{final.metrics['test_accuracy']:.4f}" for final in result.finals)
    spread = format_metric(result.spread)
    console.say(f"test accuracy, seeds {result.seeds}: {scores}; mean {result.mean:.4f}, spread {spread}")
    console.say_registration(result.registration, config.tracking.uri)
    console.say_where(str(result.run_id), result.experiment_id, config.tracking.uri)


if __name__ == "__main__":
    main()
