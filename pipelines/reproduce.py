"""A tracked run trained again from what MLflow keeps of it, and what has changed since.

python -m pipelines.reproduce run_id=RUN
python -m pipelines.reproduce run_id=RUN data_dir=FOLDER
"""

from src import console
from src.cli.command import entry_point
from src.errors import ResultDiffers
from src.reports import reproduce as drift
from src.results import ReproductionResult
from src.schema import ReproduceConfig
from src.train import train


def reproduce(config: ReproduceConfig) -> ReproductionResult:
    """Checks code, configuration, packages and data one by one, trains the run again and compares what comes out."""
    again, rows = drift.check_origin(config)
    console.table(f"run {config.run_id}, then and now", drift.COLUMNS, rows)
    result = train(again)
    return drift.compare(config, again, rows, result)


@entry_point("reproduce")
def main(config: ReproduceConfig, overrides: list[str]) -> None:
    """Reproduces, then says whether the result is the same; exit code 1 when it is not."""
    result = reproduce(config)

    data = [row for row in result.origin if row.what == "data"]
    console.table(f"run {result.run_id}, trained again", drift.COLUMNS, [*data, *result.results])
    console.say_where(result.run_id, result.experiment_id, config.tracking.uri)
    if not result.is_same:
        raise ResultDiffers(f"run {result.reproduces} is not reproduced; changed: {', '.join(result.changed)}")


if __name__ == "__main__":
    main()
