"""The pipeline compare_models: several networks on the same data, ranked, with their size and speed."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from src import certainty, console, figures, fitting, saving, tracking
from src.cli.compose import compose_config
from src.errors import ConfigError
from src.links import run_page
from src.reports.evaluation import read_predictions
from src.reports.markdown import escape, link, table
from src.reports.probabilities import Probabilities, read_probabilities
from src.results import (
    MEGABYTE,
    ComparisonResult,
    Interval,
    LeaderboardRow,
    TrainResult,
    format_interval,
    format_metric,
    standard_deviation,
)
from src.schema import (
    BEST,
    METRICS,
    TEST,
    VALIDATION,
    CompareModelsConfig,
    Config,
    OwnDataConfig,
    as_tree,
    comparable_metric,
    decisive_leaves,
    direction_of,
    flatten,
    for_training,
    sign_of,
)

PIPELINE = "compare_models"


def plan_comparison(config: CompareModelsConfig, overrides: Sequence[str]) -> dict[str, list[Config]]:
    """Return the configurations of each network, one for each seed, all checked before any is trained.

    Raises:
        ConfigError: a network does not exist, or does not fit the data or other settings.
    """
    typed = for_training(config, overrides)
    for single, several in (("model", "models"), ("seed", "seeds")):
        if any(line.lstrip("+~").partition("=")[0] == single for line in typed):
            raise ConfigError(f"{single}: this pipeline takes several; use {several}=[...]")
    shared = [*typed, "tracking.on_duplicate=reuse"]
    return {
        model: [compose_config([*shared, f"model={model}", f"seed={seed}"]) for seed in config.seeds]
        for model in config.models
    }


@contextmanager
def comparison_run(
    config: CompareModelsConfig, planned: Mapping[str, Sequence[Config]], data_digest: str
) -> Iterator[tracking.Run]:
    """Yield the run under which the trainings are shown; the same comparison always has the same run."""
    name = f"compare {', '.join(config.models)} on {config.dataset.name}"
    key = comparison_key(planned, data_digest)
    with tracking.pipeline_run(config.tracking, PIPELINE, key, name, console.say) as run:
        yield run


def comparison_key(planned: Mapping[str, Sequence[Config]], data_digest: str) -> str:
    """Return the SHA-256 in hex of what identifies a comparison: the settings of all trainings, and a user's own data.

    The settings of published data identify it.
    """
    configs = [training for of_model in planned.values() for training in of_model]
    settings: list[Any] = [decisive_leaves(as_tree(training)) for training in configs]
    if isinstance(configs[0].dataset, OwnDataConfig):
        settings.append(data_digest)
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def rank_models(config: CompareModelsConfig, trained: Mapping[str, Sequence[TrainResult]]) -> list[LeaderboardRow]:
    """Return a row for each network, the best by its validation metric first, and of equal networks the smallest first.

    The metric is that of `training.monitor`. The size and the latency are those of the first seed's model.
    """
    metric = comparable_metric(config.training.monitor)
    sign = sign_of(direction_of(metric))
    rows = [_row(config, metric, model, results) for model, results in trained.items()]
    return sorted(rows, key=lambda row: (-sign * row.best_val, row.parameters))


def _row(config: CompareModelsConfig, metric: str, model: str, results: Sequence[TrainResult]) -> LeaderboardRow:
    validated = [result.metrics[VALIDATION + metric] for result in results]  # at the best epoch
    tested = [result.metrics[TEST + metric] for result in results]
    with tracking.resume_run(config.tracking, run_id=results[0].run_id) as run, run.model_folder() as folder:
        file: Path = saving.keras_file(folder)
        size, latency = file.stat().st_size, fitting.latency(saving.load_model(file))
    return LeaderboardRow(
        model=model,
        best_val=statistics.fmean(validated),
        best_val_spread=standard_deviation(validated),
        test=statistics.fmean(tested),
        test_spread=standard_deviation(tested),
        seeds=len(results),
        parameters=int(run.param("resolved.parameters")),
        seconds=statistics.fmean(sum(result.history["epoch_seconds"]) for result in results),
        size=size,
        latency=latency,
        run_id=str(results[0].run_id),
        interval=_interval(config, metric, results),
    )


def _interval(config: CompareModelsConfig, metric: str, results: Sequence[TrainResult]) -> Interval | None:
    """Return the interval of the mean test metric of the seeds, None if a run does not keep what it needs."""
    if len(results) == 1:
        return results[0].intervals.get(TEST + metric)
    answers = [_read_answers(config, result) for result in results]
    if None in answers:
        return None
    labels, probabilities = zip(*filter(None, answers), strict=True)
    return certainty.mean_interval(labels[0], probabilities, fitting.metric_functions(config.loss)[metric])


def _read_answers(
    config: CompareModelsConfig, result: TrainResult
) -> tuple[npt.NDArray[np.int64], Probabilities] | None:
    """Return the labels of the test split and a model's probabilities, None if its run does not keep them."""
    with tracking.resume_run(config.tracking, run_id=result.run_id) as run:
        predictions = read_predictions(run)
        probabilities = None if predictions is None else read_probabilities(run, len(predictions.labels))
    return None if predictions is None or probabilities is None else (predictions.labels, probabilities)


def record_comparison(
    run: tracking.Run,
    config: CompareModelsConfig,
    planned: Mapping[str, Sequence[Config]],
    trained: Mapping[str, Sequence[TrainResult]],
) -> ComparisonResult:
    """Rank the networks, and record the leaderboard in the pipeline's run: as CSV, as a figure, as its description.

    Args:
        run: the pipeline's run.
        config: the pipeline's configuration.
        planned: network -> its configurations, one for each seed.
        trained: network -> the results, one for each seed.
    """
    rows = rank_models(config, trained)
    results = [result for of_model in trained.values() for result in of_model]
    settings = [flatten(training) for configs in planned.values() for training in configs]
    columns = [{name: values[name] for name in tracking.COLUMN_SETTINGS} for values in settings]
    tracking.record_common(run, columns, listed=tracking.COLUMN_SETTINGS)
    run.log_dataset_of(str(results[0].run_id))
    metric = comparable_metric(config.training.monitor)
    run.log_table("leaderboard.csv", *leaderboard_file(metric, rows))
    run.log_figure("figures/leaderboard.png", figures.plot_leaderboard(rows, metric))
    run.log_new_metrics(_metrics_of_winner(metric, trained[rows[0].model]), step=0)
    warnings = list(dict.fromkeys(warning for result in results for warning in result.warnings))
    run.describe(describe_comparison(run.experiment_id, config.dataset.name, metric, rows, warnings))
    return ComparisonResult(run_id=str(run.run_id), experiment_id=run.experiment_id, rows=rows, metric=metric)


def leaderboard_file(
    metric: str, rows: Sequence[LeaderboardRow]
) -> tuple[tuple[str, ...], list[tuple[str | float | None, ...]]]:
    """Return columns and rows of `leaderboard.csv`. Those of the metric are named after it, `best_val_accuracy`."""
    names = {"best_val": f"best_val_{metric}", "test": metric, "test_spread": "spread"}
    columns = tuple(names.get(field, field) for field in LeaderboardRow._fields if field != "interval")
    return (*columns, "low", "high"), [(*row[:-1], *(row.interval or (None, None))) for row in rows]


def _metrics_of_winner(metric: str, results: Sequence[TrainResult]) -> dict[str, float]:
    """Return mean and spread over the seeds of the metric and of the accuracy, which the UI has columns for."""
    found: dict[str, float] = {}
    for name in dict.fromkeys(prefix + base for base in (metric, "accuracy") for prefix in (VALIDATION, TEST)):
        if not all(name in result.metrics for result in results):
            continue
        shown = BEST + name if name.startswith(VALIDATION) else name
        values = [result.metrics[name] for result in results]
        found[shown] = statistics.fmean(values)
        if (spread := standard_deviation(values)) is not None:
            found[f"{shown}_spread"] = spread
    return found


def describe_comparison(
    experiment_id: str, dataset: str, metric: str, rows: Sequence[LeaderboardRow], warnings: Sequence[str]
) -> str:
    """Return the comparison in Markdown: the winner, the leaderboard, how it is ranked, warnings."""
    best, label = rows[0], METRICS[metric].label
    seeds = "seed" if best.seeds == 1 else "seeds"
    cells = [(link(row.model, run_page(experiment_id, row.run_id)), *leaderboard_cells(row)[1:]) for row in rows]
    note = (
        " The 95 % intervals say how far the test metric would move with other test images."
        if any(row.interval for row in rows)
        else ""
    )
    parts = [
        f"Winner on {escape(dataset)}: {escape(best.model)} with validation {label} {best.best_val:.4f} and "
        f"test {label} {best.test:.4f} ({best.seeds} {seeds}).",
        table(leaderboard_columns(metric), cells),
        f"The networks are ranked by validation {label} at the best epoch. Of equal networks the smallest is first."
        f"{note}",
        *(f"**{escape(warning)}**" for warning in warnings),
    ]
    return "\n\n".join(parts)


def leaderboard_table(
    config: CompareModelsConfig, result: ComparisonResult
) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    """Return title, columns and rows of the leaderboard for the terminal."""
    title = f"{config.dataset.name}, seeds {', '.join(map(str, config.seeds))}"
    return title, leaderboard_columns(result.metric), [leaderboard_cells(row) for row in result.rows]


def leaderboard_columns(metric: str) -> tuple[str, ...]:
    """Return the titles of the columns that people see."""
    label = METRICS[metric].label
    return (
        "model",
        f"best val {label}",
        "val spread",
        f"test {label}",
        "test spread",
        "95 % interval",
        "seeds",
        "parameters",
        "training seconds",
        "size on disk, MB",
        "latency, ms",
    )


def leaderboard_cells(row: LeaderboardRow) -> tuple[str, ...]:
    """Return a row as strings, in the order of `leaderboard_columns`."""
    return (
        row.model,
        format_metric(row.best_val),
        format_metric(row.best_val_spread),
        format_metric(row.test),
        format_metric(row.test_spread),
        format_interval(row.interval),
        str(row.seeds),
        f"{row.parameters:,}",
        f"{row.seconds:.1f}",
        f"{row.size / MEGABYTE:.2f}",
        f"{1000 * row.latency:.2f}",
    )
