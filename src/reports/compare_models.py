"""Several networks on the same data: who is best, how large, how slow."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from src import figures, fitting, saving, tracking
from src.cli.compose import compose_config
from src.errors import ConfigError
from src.links import run_page
from src.results import LeaderboardRow, TrainResult, format_metric, standard_deviation
from src.schema import CompareModelsConfig, Config, flatten, for_training, is_place

PIPELINE = "compare_models"
COLUMNS = (
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


def plan(config: CompareModelsConfig, overrides: Sequence[str]) -> dict[str, list[Config]]:
    """What is trained for each network, one configuration a seed; all are checked before any is trained.

    Raises:
        ConfigError: a network that does not exist, or that the data or other settings do not fit.
    """
    typed = for_training(config, overrides)
    for own, instead in (("model", "models"), ("seed", "seeds")):
        if any(line.lstrip("+~").partition("=")[0] == own for line in typed):
            raise ConfigError(f"{own}: the pipeline takes several; give {instead}=[...]")
    given = [*typed, "tracking.on_duplicate=reuse"]
    return {
        model: [compose_config([*given, f"model={model}", f"seed={seed}"]) for seed in config.seeds]
        for model in config.models
    }


@contextmanager
def begin(config: CompareModelsConfig, planned: Mapping[str, Sequence[Config]]) -> Iterator[tracking.Run]:
    """The run that the trainings stand under, found again by what is compared."""
    leaves = [
        {name: value for name, value in flatten(each).items() if not is_place(name)}
        for configs in planned.values()
        for each in configs
    ]
    key = hashlib.sha256(json.dumps(leaves, sort_keys=True).encode()).hexdigest()
    name = f"compare {', '.join(config.models)} on {config.dataset.name}"
    with tracking.pipeline_run(config.tracking, PIPELINE, key, name) as run:
        yield run


def ranked(config: CompareModelsConfig, results: Mapping[str, Sequence[TrainResult]]) -> list[LeaderboardRow]:
    """A row for each network, the best by validation accuracy first; of equal ones the smaller comes first.

    The size and speed are those of the first seed's model.
    """
    rows = [_row(config, model, of_model) for model, of_model in results.items()]
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
        parameters=int(run.params["resolved.parameters"]),
        seconds=statistics.fmean(sum(result.history["epoch_seconds"]) for result in results),
        size=size,
        latency=latency,
        run_id=str(results[0].run_id),
    )


def cells(row: LeaderboardRow) -> tuple[str, ...]:
    """A row as text, in the order of `COLUMNS`."""
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


def record(run: tracking.Run, rows: Sequence[LeaderboardRow]) -> None:
    """Writes the leaderboard into the pipeline's run: as CSV, as a picture, as its description."""
    run.log_table("leaderboard.csv", LeaderboardRow._fields, rows)
    run.log_figure("figures/leaderboard.png", figures.plot_leaderboard(rows))
    best = rows[0]
    run.log_new_metrics({"best_val_accuracy": best.best_val_accuracy, "test_accuracy": best.accuracy}, step=0)
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for row in rows:
        link = f"[{row.model}]({run_page(run.experiment_id, row.run_id)})"
        lines.append(f"| {' | '.join((link, *cells(row)[1:]))} |")
    run.describe("\n".join(lines))
