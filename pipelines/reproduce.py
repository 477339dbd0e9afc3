"""Train a tracked run again from its record, and report what has changed and whether the result is the same.

python -m pipelines.reproduce run_id=RUN
python -m pipelines.reproduce run_id=RUN data_dir=FOLDER
"""

from __future__ import annotations

from src import console, reports
from src.cli.command import entry_point
from src.results import ReproductionResult
from src.schema import ReproduceConfig
from src.train import train


def reproduce(config: ReproduceConfig) -> ReproductionResult:
    """Compares code, configuration, packages and machine, trains the run again, and compares data and results."""
    again, origin = reports.check_origin(config)
    console.table(*reports.origin_table(config.run_id, origin))
    result = train(again)
    return reports.record_reproduction(config, again, origin, result)


@entry_point("reproduce")
def main(config: ReproduceConfig, overrides: list[str]) -> None:
    """Reproduces, then says whether the result is the same; the exit code is 1 when it is not."""
    result = reproduce(config)

    console.table(*reports.result_table(result))
    console.say_where(result.run_id, result.experiment_id, config.tracking.uri)
    reports.require_same_result(result)


if __name__ == "__main__":
    main()
