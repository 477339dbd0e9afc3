"""Several networks on the same data with the same seeds.

python -m pipelines.compare_models
python -m pipelines.compare_models 'models=[lenot,lenet5,cnn_mnist_v2]' 'seeds=[1,2,3]' training.epochs=5
"""

import itertools
from collections.abc import Sequence

from src import console, fitting
from src.cli.command import entry_point
from src.reports import compare_models as leaderboard
from src.results import ComparisonResult
from src.schema import CompareModelsConfig
from src.train import train


def compare_models(config: CompareModelsConfig, overrides: Sequence[str] = ()) -> ComparisonResult:
    """Trains every network with every seed, those that were trained already left out, and ranks them.

    Args:
        config: which networks and seeds, and where runs are kept.
        overrides: what would be typed, which says how they are trained.
    """
    planned = leaderboard.plan(config, overrides)
    with leaderboard.begin(config, planned) as run:
        fitting.start_tensorflow(*itertools.chain(*planned.values()))
        trained = {
            model: [train(each, parent_run_id=run.run_id) for each in configs] for model, configs in planned.items()
        }
        rows = leaderboard.ranked(config, trained)
        leaderboard.record(run, rows)
    return ComparisonResult(run_id=str(run.run_id), experiment_id=run.experiment_id, rows=rows)


@entry_point("compare_models")
def main(config: CompareModelsConfig, overrides: list[str]) -> None:
    """Compares, then shows the table."""
    result = compare_models(config, overrides)

    title = f"{config.dataset.name}, seeds {', '.join(map(str, config.seeds))}"
    console.table(title, leaderboard.COLUMNS, [leaderboard.cells(row) for row in result.rows])
    console.say_where(result.run_id, result.experiment_id, config.tracking.uri)


if __name__ == "__main__":
    main()
