"""The pipeline compare_models: several networks on the same data, ranked, with their size and speed."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from src import console, figures, fitting, saving, tracking
from src.cli.compose import compose_config
from src.errors import ConfigError
from src.links import run_page
from src.reports.markdown import escape, link, table
from src.results import ComparisonResult, LeaderboardRow, TrainResult, format_metric, standard_deviation
from src.schema import CompareModelsConfig, Config, as_tree, decisive_leaves, flatten, for_training

PIPELINE = "compare_models"
LEADERBOARD_COLUMNS = (
    "model",
    "best val accuracy",
    "val spread",
    "test accuracy",
    "test spread",
    "seeds",
    "parameters",
    "training seconds",
    "size on disk, MB",
    "latency, ms",
)


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
def comparison_run(config: CompareModelsConfig, planned: Mapping[str, Sequence[Config]]) -> Iterator[tracking.Run]:
    """Yield the run under which the trainings are shown; the same comparison always has the same run."""
    name = f"compare {', '.join(config.models)} on {config.dataset.name}"
    with tracking.pipeline_run(config.tracking, PIPELINE, comparison_key(planned), name, console.say) as run:
        yield run


def comparison_key(planned: Mapping[str, Sequence[Config]]) -> str:
    """Return the SHA-256 in hex of the settings of all trainings, which identifies a comparison."""
    settings = [decisive_leaves(as_tree(training)) for configs in planned.values() for training in configs]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def rank_models(config: CompareModelsConfig, trained: Mapping[str, Sequence[TrainResult]]) -> list[LeaderboardRow]:
    """Return a row for each network, the best by validation accuracy first, and of equal networks the smallest first.

    The size and the latency are those of the first seed's model.
    """
    rows = [_row(config, model, results) for model, results in trained.items()]
    return sorted(rows, key=lambda row: (-row.best_val_accuracy, row.parameters))


def _row(config: CompareModelsConfig, model: str, results: Sequence[TrainResult]) -> LeaderboardRow:
    validated = [result.metrics["val_accuracy"] for result in results]  # at the best epoch
    tested = [result.metrics["test_accuracy"] for result in results]
    with tracking.resume_run(config.tracking, run_id=results[0].run_id) as run, run.model_folder() as folder:
        file: Path = saving.keras_file(folder)
        size, latency = file.stat().st_size, fitting.latency(saving.load_model(file))
    return LeaderboardRow(
        model=model,
        best_val_accuracy=statistics.fmean(validated),
        best_val_spread=standard_deviation(validated),
        accuracy=statistics.fmean(tested),
        spread=standard_deviation(tested),
        seeds=len(results),
        parameters=int(run.param("resolved.parameters")),
        seconds=statistics.fmean(sum(result.history["epoch_seconds"]) for result in results),
        size=size,
        latency=latency,
        run_id=str(results[0].run_id),
    )


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
    run.log_table("leaderboard.csv", LeaderboardRow._fields, rows)
    run.log_figure("figures/leaderboard.png", figures.plot_leaderboard(rows))
    best = rows[0]
    run.log_new_metrics({"best_val_accuracy": best.best_val_accuracy, "test_accuracy": best.accuracy}, step=0)
    warnings = list(dict.fromkeys(warning for result in results for warning in result.warnings))
    run.describe(describe_comparison(run.experiment_id, config.dataset.name, rows, warnings))
    return ComparisonResult(run_id=str(run.run_id), experiment_id=run.experiment_id, rows=rows)


def describe_comparison(
    experiment_id: str, dataset: str, rows: Sequence[LeaderboardRow], warnings: Sequence[str]
) -> str:
    """Return the comparison in Markdown: the winner, the leaderboard, how it is ranked, warnings."""
    best = rows[0]
    seeds = "seed" if best.seeds == 1 else "seeds"
    cells = [(link(row.model, run_page(experiment_id, row.run_id)), *leaderboard_cells(row)[1:]) for row in rows]
    parts = [
        f"Winner on {escape(dataset)}: {escape(best.model)} with validation accuracy {best.best_val_accuracy:.4f} and "
        f"test accuracy {best.accuracy:.4f} ({best.seeds} {seeds}).",
        table(LEADERBOARD_COLUMNS, cells),
        "The networks are ranked by validation accuracy at the best epoch. Of equal networks the smallest is first.",
        *(f"**{escape(warning)}**" for warning in warnings),
    ]
    return "\n\n".join(parts)


def leaderboard_table(
    config: CompareModelsConfig, result: ComparisonResult
) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    """Return title, columns and rows of the leaderboard for the terminal."""
    title = f"{config.dataset.name}, seeds {', '.join(map(str, config.seeds))}"
    return title, LEADERBOARD_COLUMNS, [leaderboard_cells(row) for row in result.rows]


def leaderboard_cells(row: LeaderboardRow) -> tuple[str, ...]:
    """Return a row as strings, in the order of `LEADERBOARD_COLUMNS`."""
    return (
        row.model,
        format_metric(row.best_val_accuracy),
        format_metric(row.best_val_spread),
        format_metric(row.accuracy),
        format_metric(row.spread),
        str(row.seeds),
        f"{row.parameters:,}",
        f"{row.seconds:.1f}",
        f"{row.size / 1e6:.2f}",
        f"{1000 * row.latency:.2f}",
    )
