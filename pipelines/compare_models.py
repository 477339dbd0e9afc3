"""Train several networks on the same data with the same seeds, and rank them.

python -m pipelines.compare_models
python -m pipelines.compare_models 'models=[lenot,lenet5,cnn_mnist_v2]' 'seeds=[1,2,3]' training.epochs=5
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from src import console, datasets, fitting, reports
from src.cli.command import entry_point
from src.results import ComparisonResult
from src.schema import CompareModelsConfig
from src.train import train


def compare_models(config: CompareModelsConfig, overrides: Sequence[str] = ()) -> ComparisonResult:
    """Trains every network with every seed, reuses finished trainings, and ranks the networks.

    Args:
        config: the networks, the seeds, and where runs are stored.
        overrides: what was typed, which says how the networks are trained.
    """
    planned = reports.plan_comparison(config, overrides)
    dataset = datasets.load_dataset(config.dataset)
    with reports.comparison_run(config, planned, dataset.digest) as run:
        fitting.start_tensorflow(*itertools.chain(*planned.values()))
        trained = {
            model: [train(training, dataset=dataset, parent_run_id=run.run_id) for training in configs]
            for model, configs in planned.items()
        }
        return reports.record_comparison(run, config, planned, trained)


@entry_point("compare_models")
def main(config: CompareModelsConfig, overrides: list[str]) -> None:
    """Compares, then prints the leaderboard."""
    result = compare_models(config, overrides)

    console.table(*reports.leaderboard_table(config, result))
    console.say_where(result.run_id, result.experiment_id, config.tracking.uri)


if __name__ == "__main__":
    main()
