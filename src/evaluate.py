"""Scoring a tracked model on its test split; what is found goes back into the run.

python -m src.evaluate run_id=RUN
python -m src.evaluate model_uri=models:/NAME@champion
"""

from typing import TYPE_CHECKING

from src import console, fitting, reports, tracking
from src.cli.command import entry_point
from src.cli.compose import config_from_dict
from src.results import EvaluationResult
from src.schema import EvaluateConfig
from src.tracked import load_tracked_dataset, load_tracked_model

if TYPE_CHECKING:
    pass


def evaluate(config: EvaluateConfig) -> EvaluationResult:
    """Scores the model once on the test split of the data set that it was trained on.

    Metrics, figures and tables are written into the model's run; what stands there already is replaced.

    Raises:
        StoreError: no such run or model.
        ModelFileError: the model's files are missing or altered.
        DataError: the data found here is not what the model was trained on.
    """
    with tracking.resume_run(config.tracking, run_id=config.run_id, model_uri=config.model_uri) as run:
        trained = config_from_dict(run.read_config())

        dataset = load_tracked_dataset(run, trained, config.data_dir)
        scores = fitting.score(load_tracked_model(run, config.model_uri), dataset.test)
        metrics = reports.record_evaluation(run, dataset, scores, step=run.best_epoch)
    return EvaluationResult(
        run_id=run.run_id or "",
        experiment_id=run.experiment_id,
        metrics=metrics,
        images=len(dataset.test),
        warnings=dataset.warnings + reports.unrecognized_classes(dataset, scores),
    )


@entry_point("evaluate")
def main(config: EvaluateConfig, overrides: list[str]) -> None:
    """Scores, then says what came out and where it is kept."""
    result = evaluate(config)

    metrics = "  ".join(f"{name} {value:.4f}" for name, value in result.metrics.items())
    console.warn(result.warnings)
    console.say(f"{metrics}  on {result.images:,} test images")
    console.say_where(result.run_id, result.experiment_id, config.tracking.uri)


if __name__ == "__main__":
    main()
