"""The pipeline cross_validate: a network trained once for each fold, and its predictions for images it did not see."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from src import console, datasets, figures, fitting, inspection, tracking
from src.cli.compose import compose_config
from src.links import run_page
from src.reports.compare_models import comparison_key
from src.reports.evaluation import PREDICTION_COLUMNS, prediction_rows
from src.reports.label_check import ISSUE_COLUMNS, issue_rows
from src.reports.markdown import escape, link, table
from src.reports.probabilities import OUT_OF_FOLD
from src.results import CrossValidationResult, FoldRow, FoldSummary, TrainResult, format_metric
from src.schema import (
    BEST,
    TEST,
    VALIDATION,
    Config,
    CrossValidateConfig,
    TrackedModelConfig,
    find_metric,
    flatten,
    for_training,
    metric_names,
)
from src.tracked import open_tracked_model

PIPELINE = "cross_validate"
CONFIDENCE = 0.95  # of the intervals
NOTE = (
    "The intervals use Student's t with the corrected variance of Nadeau and Bengio (2003), because the folds share "
    "training images. The best epoch of each training was chosen on its fold, so the validation metrics are slightly "
    "too good."
)


class FoldPredictions(NamedTuple):
    """The predictions for the images of one fold, by the network that was not trained on them.

    Attributes:
        indices: (n,), the place of each image among all training images of the source.
        labels: (n,).
        probabilities: float32, (n, classes).
        files: the path of each image, None for a published data set.
        class_names: one for each label.
        ratio: the number of images in the fold, divided by the number of images that were trained on.
    """

    indices: npt.NDArray[np.int64]
    labels: npt.NDArray[np.unsignedinteger]
    probabilities: npt.NDArray[np.float32]
    files: list[str] | None
    class_names: list[str]
    ratio: float


def plan_folds(config: CrossValidateConfig, overrides: Sequence[str]) -> list[Config]:
    """Return the configuration of each fold's training.

    Raises:
        ConfigError: the settings do not fit each other.
    """
    typed = [*for_training(config, overrides), "tracking.on_duplicate=reuse", f"dataset.folds={config.folds}"]
    return [_plan_fold([*typed, f"dataset.fold={fold}"], config, fold) for fold in range(1, config.folds + 1)]


def _plan_fold(typed: list[str], config: CrossValidateConfig, fold: int) -> Config:
    composed = compose_config(typed)
    assert isinstance(composed, Config)
    names = [composed.tracking.run_name or "", f"fold {fold} of {config.folds}"]
    return replace(composed, tracking=replace(composed.tracking, run_name=" ".join(filter(None, names))))


@contextmanager
def cross_validation_run(config: CrossValidateConfig, planned: Sequence[Config]) -> Iterator[tracking.Run]:
    """Yield the run under which the trainings are shown; the same cross-validation always has the same run.

    Raises:
        DataError: the data cannot be found, or a class has fewer images than there are folds.
    """
    digest = datasets.load_dataset(planned[0].dataset).digest  # fails before anything is recorded
    name = f"{config.folds} folds of {config.dataset.name}, {config.model.name}"
    key = comparison_key({config.model.name: planned}, digest)
    with tracking.pipeline_run(config.tracking, PIPELINE, key, name, console.say) as run:
        yield run


def record_cross_validation(
    run: tracking.Run, config: CrossValidateConfig, planned: Sequence[Config], trained: Sequence[TrainResult]
) -> CrossValidationResult:
    """Predict each fold, and record means, intervals and predictions in the pipeline's run: tables, figures, text.

    Args:
        run: the pipeline's run.
        config: the pipeline's configuration.
        planned: the configuration of each fold.
        trained: the result of each fold's training.
    """
    predicted = [_predict_fold(training, result) for training, result in zip(planned, trained, strict=True)]
    rows = [
        FoldRow(fold, str(result.run_id), result.best_epoch, len(found.labels), result.metrics)
        for fold, (result, found) in enumerate(zip(trained, predicted, strict=True), start=1)
    ]
    ratio = statistics.fmean(found.ratio for found in predicted)
    summaries = {
        name: summarize_folds([row.metrics[name] for row in rows], ratio, is_share=_is_share(name))
        for name in _names(config.training.monitor, rows)
    }
    out_of_fold, label_issues = _record_predictions(run, planned[0], predicted)
    result = CrossValidationResult(
        run_id=str(run.run_id),
        experiment_id=run.experiment_id,
        rows=rows,
        summaries=summaries,
        out_of_fold=out_of_fold,
        label_issues=label_issues,
    )
    _record_result(run, config, planned, result)
    warnings = list(dict.fromkeys(warning for training in trained for warning in training.warnings))
    run.describe(describe_cross_validation(config, result, warnings))
    return result


def _predict_fold(training: Config, result: TrainResult) -> FoldPredictions:
    """Return the predictions for a fold by the model that its run keeps."""
    with open_tracked_model(TrackedModelConfig(tracking=training.tracking, run_id=result.run_id)) as tracked:
        dataset = replace(tracked, config=training).load_dataset(None)  # the places of today, not those of the run
        assert dataset.validation is not None
        scores = fitting.score(tracked.load_model(), dataset.validation, training.loss)
    return FoldPredictions(
        indices=dataset.validation_indices,
        labels=dataset.validation.labels,
        probabilities=scores.probabilities,
        files=dataset.validation_files,
        class_names=dataset.class_names,
        ratio=len(dataset.validation) / len(dataset.train),
    )


def _names(monitor: str, rows: Sequence[FoldRow]) -> list[str]:
    """Return the metrics that every fold has: of the validation split, then of the test split, the monitor's first."""
    of_test = TEST + monitor.removeprefix(VALIDATION)
    names = dict.fromkeys((monitor, *metric_names(VALIDATION), of_test, *metric_names(TEST)))
    return [name for name in names if all(name in row.metrics for row in rows)]


def _is_share(name: str) -> bool:
    """Return True for a metric from 0 to 1: a share of the images, or a mean of the shares of the classes."""
    metric = find_metric(name)
    return metric is not None and (metric.is_share or metric.is_mean_of_classes)


def summarize_folds(values: Sequence[float], ratio: float, is_share: bool = False) -> FoldSummary:
    """Return mean, standard deviation and 95 % interval of a metric over folds.

    The trainings of two folds share most of their images, so their metrics are not independent, and the usual variance
    of a mean, s^2 / k, is too small. It is replaced by s^2 (1 / k + ratio).

    Args:
        values: of k folds, at least two.
        ratio: images in a fold, divided by images that are trained on: 1 / (k - 1) for equal folds.
        is_share: True for a metric from 0 to 1. Its interval is cut off there.

    References:
        Nadeau and Bengio 2003, Inference for the Generalization Error, Machine Learning 52, 239-281.
    """
    count, mean, spread = len(values), statistics.fmean(values), statistics.stdev(values)
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
    half = quantile * spread * math.sqrt(1 / count + ratio)
    low, high = mean - half, mean + half
    return FoldSummary(mean, spread, max(low, 0.0) if is_share else low, min(high, 1.0) if is_share else high)


def _record_predictions(
    run: tracking.Run, training: Config, predicted: Sequence[FoldPredictions]
) -> tuple[dict[str, float], int]:
    """Record the prediction for each training image, in the order of the source, and the labels that are contradicted.

    Returns:
        The metrics of the predictions, and the number of labels that they contradict with confidence.
    """
    indices = np.concatenate([found.indices for found in predicted])
    order = np.argsort(indices)
    labels = np.concatenate([found.labels for found in predicted])[order]
    probabilities = np.concatenate([found.probabilities for found in predicted])[order]
    folds = np.repeat(np.arange(1, len(predicted) + 1), [len(found.labels) for found in predicted])[order]
    names = predicted[0].class_names
    unordered = [file for found in predicted for file in found.files or ()]
    files = [unordered[place] for place in order] if unordered else None
    rows = prediction_rows(labels, probabilities, names, files)
    run.log_table(
        "tables/out_of_fold_predictions.csv",
        (*PREDICTION_COLUMNS, "fold"),
        [(index, *row[1:], fold) for index, row, fold in zip(indices[order], rows, folds, strict=True)],
    )
    run.log_array(OUT_OF_FOLD, probabilities)
    issues = inspection.find_label_issues(labels, probabilities)
    run.log_table("tables/label_issues.csv", ISSUE_COLUMNS, issue_rows(issues, names, indices[order], files))
    confusion = figures.confusion_data(labels, probabilities.argmax(axis=1), names)
    run.log_figure("figures/confusion_matrix.png", figures.plot_confusion(confusion))
    return fitting.metrics_of(labels, probabilities, training.loss, training.training.recorded), len(issues)


def _record_result(
    run: tracking.Run, config: CrossValidateConfig, planned: Sequence[Config], result: CrossValidationResult
) -> None:
    """Record params that all folds share, metrics for the UI's columns, the tables, and the picture of the folds."""
    tracking.record_common(run, [flatten(training) for training in planned])
    run.log_dataset_of(result.rows[0].run_id)
    run.log_new_metrics(_parent_metrics(result.summaries, result.out_of_fold), step=0)
    names = list(result.summaries)
    columns = ("fold", "run_id", "best_epoch", "images", *names)
    rows = [(*row[:-1], *(row.metrics[name] for name in names)) for row in result.rows]
    run.log_table("folds.csv", columns, rows)
    summaries = [(name, *summary) for name, summary in result.summaries.items()]
    run.log_table("tables/metrics.csv", ("metric", *FoldSummary._fields), summaries)
    metric = config.training.monitor.removeprefix(VALIDATION)
    run.log_figure("figures/folds.png", figures.plot_folds(result.rows, result.summaries, metric))


def _parent_metrics(summaries: Mapping[str, FoldSummary], out_of_fold: Mapping[str, float]) -> dict[str, float]:
    """Return mean and spread of each metric under the names that trainings use, and the out-of-fold metrics."""
    metrics: dict[str, float] = {}
    for name, summary in summaries.items():
        shown = BEST + name if name.startswith(VALIDATION) else name
        metrics |= {shown: summary.mean, f"{shown}_spread": summary.spread}
    return metrics | {f"out_of_fold_{name}": value for name, value in out_of_fold.items()}


def describe_cross_validation(
    config: CrossValidateConfig, result: CrossValidationResult, warnings: Sequence[str]
) -> str:
    """Return the cross-validation in Markdown: the mean of the monitor, a table of the folds, how to read it."""
    monitor = config.training.monitor
    mean, _, low, high = result.summaries[monitor]
    _, columns, rows = folds_table(config, result)
    linked = [
        (link(fold, run_page(result.experiment_id, row.run_id)), *cells)
        for row, (fold, *cells) in zip(result.rows, rows, strict=False)
    ]
    scores = ", ".join(f"{name} {format_metric(value)}" for name, value in result.out_of_fold.items())
    parts = [
        f"Mean {_shown(monitor)} of {config.folds} folds of {escape(config.dataset.name)}: {format_metric(mean)}, 95 % "
        f"interval {format_metric(low)} to {format_metric(high)}.",
        table(columns, [*linked, *rows[len(linked) :]]),
        f"Out-of-fold predictions, each from the network that was not trained on the image: {scores}.",
        NOTE,
        *(f"**{escape(warning)}**" for warning in warnings),
    ]
    return "\n\n".join(parts)


def folds_table(
    config: CrossValidateConfig, result: CrossValidationResult
) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    """Return title, columns and rows of the folds, followed by mean, spread and the ends of the 95 % interval.

    The metrics are those of the monitor and the accuracy; `folds.csv` has all.
    """
    metrics = {config.training.monitor.removeprefix(VALIDATION), "accuracy"}
    shown = {prefix + metric for prefix in (VALIDATION, TEST) for metric in metrics}
    summaries = {name: summary for name, summary in result.summaries.items() if name in shown}
    rows = [
        (str(row.fold), str(row.best_epoch), *(format_metric(row.metrics[name]) for name in summaries))
        for row in result.rows
    ]
    rows += [
        ("mean", "", *(format_metric(summary.mean) for summary in summaries.values())),
        ("spread", "", *(format_metric(summary.spread) for summary in summaries.values())),
        ("95 % low", "", *(format_metric(summary.low) for summary in summaries.values())),
        ("95 % high", "", *(format_metric(summary.high) for summary in summaries.values())),
    ]
    title = f"{config.model.name} on {config.dataset.name}, {config.folds} folds"
    return title, ("fold", "best epoch", *map(_shown, summaries)), rows


def _shown(name: str) -> str:
    return name.replace("_", " ")
