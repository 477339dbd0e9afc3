"""Score a tracked model on its test split, and record the result in the run of the model.

python -m src.evaluate run_id=RUN
python -m src.evaluate model_uri=models:/NAME@champion
python -m src.evaluate run_id=RUN tta=true
"""

from src import console, fitting, reports, tracking
from src.cli.command import entry_point
from src.results import EvaluationResult, format_calibration, format_scores
from src.schema import TEST, TTA, EvaluateConfig, check_classes, recorded_metrics
from src.tracked import open_tracked_model


def evaluate(config: EvaluateConfig) -> EvaluationResult:
    """Score the model once on the test split of the data set that it was trained on.

    Metrics, figures and tables are written into the run of the model, and replace those of an earlier evaluation. A
    metric that the run has is computed again. With `tta` the run also gets the metrics of test-time augmentation, under
    names of their own such as `tta_test_accuracy`.

    Raises:
        ConfigError: a metric needs more classes.
        StoreError: no such run or model.
        ModelFileError: the model's files are missing or altered.
        DataError: the data found here is not what the model was trained on.
    """
    with open_tracked_model(config) as tracked:
        dataset = tracked.load_dataset(config.data_dir)
        check_classes("metrics", config.metrics or (), tracked.config.dataset)
        earlier = [name.removeprefix(TEST) for name in tracking.read_intervals(tracked.run.tags)]
        names = recorded_metrics([*tracked.config.training.recorded, *earlier, *(config.metrics or ())])
        model = tracked.load_model()
        scores = fitting.score(model, dataset.test, tracked.config.loss, names)
        assessment = reports.assess(model, dataset, scores, tracked.config.loss)
        metrics = reports.record_evaluation(tracked.run, dataset, scores, step=tracked.run.best_epoch)
        reports.record_assessment(tracked.run, assessment)
        reports.record_evaluation_figures(tracked.run, dataset, scores)
        reports.record_assessment_figures(tracked.run, dataset, assessment)
        averaged: dict[str, float] = {}
        if config.tta:
            found = fitting.averaged_probabilities(model, dataset.test.images, tracked.was_mirrored)
            values = fitting.metrics_of(dataset.test.labels, found, tracked.config.loss, names)
            averaged = {TTA + TEST + name: value for name, value in values.items()}
            tracked.run.log_new_metrics(averaged, tracked.run.best_epoch)
    absent = reports.absent_classes(dataset, names, ["test"])
    return EvaluationResult(
        run_id=tracked.run.run_id or "",
        experiment_id=tracked.run.experiment_id,
        metrics=metrics,
        averaged=averaged,
        intervals=assessment.intervals,
        calibration=assessment.calibration,
        images=len(dataset.test),
        warnings=dataset.warnings + absent + reports.unrecognized_classes(dataset, scores),
        classes=reports.class_scores(dataset, scores),
    )


@entry_point("evaluate")
def main(config: EvaluateConfig, overrides: list[str]) -> None:
    """Score the model, then print the metrics and where they are stored."""
    result = evaluate(config)

    console.say_classes(result.classes)
    console.say(format_scores(result.metrics, result.intervals))
    if result.averaged:
        console.say(f"with test-time augmentation: {format_scores(result.averaged, {})}")
    if result.calibration is not None:
        console.say(format_calibration(result.calibration))
    console.say(f"scored on {result.images:,} test images")
    console.warn(result.warnings)
    console.say_where(result.run_id, result.experiment_id, config.tracking.uri)


if __name__ == "__main__":
    main()
