"""The pipeline reproduce: a run trained again, and what differs: code, configuration, packages, data and results.

Code and data are compared by digest: a change in them is reported, but not where it is. Settings and packages are
compared one by one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from src import tracking
from src.cli.compose import compose_config
from src.errors import ConfigError, NotKept, ResultDiffers, StoreError
from src.extensions import loaded_extensions, recorded_extensions
from src.links import run_page
from src.redact import HIDDEN, redact_tree
from src.reports.markdown import escape, link, table
from src.results import DriftRow, ReproductionResult, TrainResult
from src.schema import (
    LOSS,
    METRICS,
    TEST,
    VALIDATION,
    Config,
    ReproduceConfig,
    TrainingConfig,
    find_metric,
    flatten,
    is_place,
    metric_names,
)
from src.tracked import locate_dataset, trained_config

DRIFT_COLUMNS = ("what", "then", "now", "verdict")
SAME, CHANGED, WITHIN_CHANCE, UNKNOWN = "same", "CHANGED", "within chance", "unknown"
STANDARD_ERRORS = 3.0  # within which two accuracies count as the same
LOSS_TOLERANCE = 0.05  # of a loss, which has no standard error of its own
MAX_DESCRIBED = 25  # rows of the description's table; MLflow limits the length of a description
# A resolver such as ${oc.env:...}, a setting of Hydra's, or an extension: anyone who can write into a store can put one
# there.
READS_MACHINE = re.compile(r"\$\{.*:|^[+~]*(hydra|extensions)\b", re.DOTALL)


def check_origin(config: ReproduceConfig) -> tuple[Config, list[DriftRow]]:
    """Return the run's configuration, to be trained again, and a comparison of its origin with what is here now.

    Raises:
        StoreError: there is no such run, it did not finish, or its metrics are gone.
        ConfigError: its recorded configuration contains a key or a kind that does not exist.
    """
    with tracking.resume_run(config.tracking, run_id=config.run_id) as run:
        if run.status != "FINISHED":
            raise StoreError(f"run {run.run_id} is {run.status}; only a finished run can be reproduced")
        recorded = run.read_config()
        trained = trained_config(run)
        result = tracking.recorded_result(config.tracking, config.run_id)  # first: without it nothing can be compared
        rows = [*_code_rows(run), *_config_rows(run, recorded, trained), *_package_rows(run), _machine_row(run)]
        again = replace(
            trained,
            dataset=locate_dataset(run, trained.dataset, config.data_dir),
            training=replace(  # the old run's folder may be one of another machine
                trained.training,
                checkpoint_dir=TrainingConfig.checkpoint_dir,
                checkpoint_minutes=TrainingConfig.checkpoint_minutes,
                checkpoint_upload=TrainingConfig.checkpoint_upload,
            ),
            tracking=replace(config.tracking, run_name=f"again-{run.tags.get('mlflow.runName', '')}"),
            tags={**trained.tags, "reproduces": config.run_id},
        )
        if run.tags.get("stopped") == "observer":  # there is no observer this time
            epochs = len(result.history["loss"])
            again = replace(again, training=replace(again.training, last_epoch=epochs))
            rows.append(DriftRow("training ended by", "an observer", f"training.last_epoch={epochs}", CHANGED))
    return again, rows


def record_reproduction(
    config: ReproduceConfig, again: Config, origin: Sequence[DriftRow], result: TrainResult
) -> ReproductionResult:
    """Compare data and results too, and record everything that was compared in the new run.

    Args:
        config: names the old run.
        again: the configuration that was trained again.
        origin: what `check_origin` found.
        result: of the new training.
    """
    metrics = tracking.recorded_result(config.tracking, config.run_id).metrics
    then = {name: metrics[name] for name in sorted(metrics.keys() & _metrics_of_training(again))}
    with tracking.resume_run(config.tracking, run_id=config.run_id) as old:
        data, page = old.params.get("resolved.data_digest", UNKNOWN), run_page(old.experiment_id, config.run_id)
    with tracking.resume_run(config.tracking, run_id=result.run_id) as new:
        images = {split: int(new.param(f"resolved.{split}_images")) for split in ("validation", "test")}
        reproduction = ReproductionResult(
            run_id=str(result.run_id),
            experiment_id=result.experiment_id,
            reproduces=config.run_id,
            origin=[*origin, _row("data", data[:16], new.param("resolved.data_digest")[:16])],
            results=[
                _result_row(name, value, result.metrics.get(name), again.training.deterministic, images[_split(name)])
                for name, value in then.items()
            ],
        )
        new.log_table("drift.csv", DRIFT_COLUMNS, [*reproduction.origin, *reproduction.results])
        new.describe(describe_reproduction(reproduction, page, result.warnings))
    return reproduction


def describe_reproduction(result: ReproductionResult, page: str, warnings: Sequence[str]) -> str:
    """Return the description of the new run in Markdown: same result or not, what changed, what was compared, warnings.

    Args:
        result: what was compared.
        page: of the old run in the UI.
        warnings: of the new training.
    """
    old = link(f"run {result.reproduces}", page)
    differ = [row.what for row in result.results if row.verdict == CHANGED]
    same = "The same result" + (
        ", within chance," if any(row.verdict == WITHIN_CHANCE for row in result.results) else ""
    )
    rows = [row for row in (*result.origin, *result.results) if row.verdict != SAME]
    more = f"{len(rows) - MAX_DESCRIBED} more rows are in drift.csv. " if len(rows) > MAX_DESCRIBED else ""
    parts = [
        f"{same} as {old}." if result.is_same else f"DIFFERENT RESULT from {old}: {escape(', '.join(differ))}.",
        table(DRIFT_COLUMNS, rows[:MAX_DESCRIBED]) if rows else "Nothing else has changed.",
        f"{more}Trained again from the recorded configuration; {len(result.origin)} facts about its origin and "
        f"{len(result.results)} metrics were compared.",
        *(f"**{escape(warning)}**" for warning in warnings),
    ]
    return "\n\n".join(parts)


def require_same_result(result: ReproductionResult) -> None:
    """Raise ResultDiffers when a metric has changed; the message names everything that has."""
    if not result.is_same:
        raise ResultDiffers(f"run {result.reproduces} was not reproduced; changed: {', '.join(result.changed)}")


def origin_table(run_id: str, origin: Sequence[DriftRow]) -> tuple[str, tuple[str, ...], Sequence[DriftRow]]:
    """Return title, columns and rows of what differs before the training, for the terminal."""
    return f"run {run_id}, then and now", DRIFT_COLUMNS, origin


def result_table(result: ReproductionResult) -> tuple[str, tuple[str, ...], Sequence[DriftRow]]:
    """Return title, columns and rows of what was compared after the training, for the terminal."""
    data = [row for row in result.origin if row.what == "data"]
    return f"run {result.run_id}, trained again", DRIFT_COLUMNS, [*data, *result.results]


# --- then and now: origin ----------------------------------------------------------------------------------------


def _code_rows(run: tracking.Run) -> list[DriftRow]:
    tags = run.tags, tracking.origin_tags()
    commits = [of_run.get("mlflow.source.git.commit", UNKNOWN)[:12] for of_run in tags]
    changes = [" with changes" if of_run.get("git_dirty") == "true" else "" for of_run in tags]
    then, now = (commit + change for commit, change in zip(commits, changes, strict=True))
    digest = run.params.get("resolved.code_digest", UNKNOWN)
    return [
        DriftRow("commit", then, now, _verdict(*commits)),
        _row("code (SHA-256 of src/)", digest[:12], tracking.code_digest()[:12]),
        *_extension_rows(run),
    ]


def _extension_rows(run: tracking.Run) -> list[DriftRow]:
    """Compare the code of the extensions that the run was trained with to that of the loaded ones."""
    then = recorded_extensions(run.params)
    now = {extension.name: extension.digest[:12] for extension in loaded_extensions()}
    return [
        _row(f"extension {name} (SHA-256)", then.get(name, "not loaded"), now.get(name, "not loaded"))
        for name in dict.fromkeys([*then, *now])
    ]


def _config_rows(run: tracking.Run, recorded: Mapping[str, Any], trained: Config) -> list[DriftRow]:
    """Compare the recorded configuration with the params, and with what the same command line composes to today."""
    rows = [
        DriftRow(
            f"config {name}: its param and config/config.yaml", run.params[name], tracking.as_param(value), CHANGED
        )
        for name, value in flatten(recorded).items()
        if name in run.params and not is_place(name) and run.params[name] != tracking.as_param(value)
    ]
    typed = run.read_overrides()
    if typed is None:
        return rows or [DriftRow("config", "recorded", "no command line was recorded to compare with", SAME)]
    if foreign := [line for line in typed if READS_MACHINE.search(line)]:
        reason = f"not composed: {', '.join(foreign)} may read values of this machine"
        return [*rows, DriftRow("config as it was typed", "composed", reason, UNKNOWN)]
    try:
        composed = compose_config([line for line in typed if HIDDEN not in line])
    except ConfigError as error:
        return [*rows, DriftRow("config as it was typed", "composed", str(error), CHANGED)]
    return [*rows, *_composed_rows(trained, composed)] or [
        DriftRow("config", "recorded", "the same command line gives the same today", SAME)
    ]


def _composed_rows(trained: Config, composed: Config) -> list[DriftRow]:
    """Return a row for each setting, other than places, that the same command line sets to another value today."""
    then = {name: value for name, value in flatten(trained).items() if not is_place(name)}
    now = {name: value for name, value in flatten(composed).items() if not is_place(name)}
    from_folder = {f"dataset.{key}" for key in composed.dataset.set_by_folder()}
    return [
        DriftRow(
            f"config {name}",
            tracking.as_param(then.get(name)),
            tracking.as_param(redact_tree(now.get(name), name)),
            CHANGED,
        )
        for name in dict.fromkeys([*then, *now])
        if then.get(name) != now.get(name) and HIDDEN not in str(then.get(name)) and name not in from_folder
    ]


def _package_rows(run: tracking.Run) -> list[DriftRow]:
    try:
        with run.reading("environment/packages.txt") as file:
            then = _versions(file.read_text(encoding="utf-8", errors="replace"))
    except NotKept:
        return [DriftRow("packages", "not recorded", "unknown", UNKNOWN)]
    now = _versions(tracking.packages())
    rows = [
        DriftRow(name, then.get(name, "not installed"), now.get(name, "not installed"), CHANGED)
        for name in sorted(then.keys() | now.keys(), key=str.lower)
        if then.get(name) != now.get(name)
    ]
    return rows or [DriftRow("packages", f"{len(then)} versions", f"{len(now)} versions", SAME)]


def _versions(listing: str) -> Mapping[str, str]:
    """Return package -> version, for Python too."""
    return {found[1]: found[2] for found in re.finditer(r"^(?:# )?([\w.-]+)(?:==| )(\S+)$", listing, re.MULTILINE)}


def _machine_row(run: tracking.Run) -> DriftRow:
    return _row("machine", tracking.host_of(run.tags) or UNKNOWN, tracking.origin_tags()["host"])


# --- then and now: results ---------------------------------------------------------------------------------------


def _metrics_of_training(config: Config) -> set[str]:
    """Return the metrics that a training with this config records; a run that was scored again may have more."""
    splits = ("", VALIDATION, TEST) if config.evaluate_test else ("", VALIDATION)
    return {name for split in splits for name in metric_names(split, config.training.recorded)}


def _split(metric: str) -> str:
    """Return the split whose size gives the standard error; the test split for metrics of the training images too."""
    return "validation" if metric.startswith(VALIDATION) else "test"


def _result_row(name: str, then: float, now: float | None, is_exact: bool, images: int) -> DriftRow:
    """Compare a metric: exactly, or, where kernels may differ, within the spread of repeated trainings.

    Two accuracies are the same within some standard errors of their difference, for their mean as the common rate. So
    are two means of classes. Other metrics than these and the loss have no margin, so their verdict is unknown.
    """
    if now is None:
        return DriftRow(name, repr(then), "not measured", CHANGED)
    verdict = _verdict(then, now)
    if verdict == CHANGED and not is_exact:
        margin = _margin(name, then, now, images)
        verdict = UNKNOWN if margin is None else WITHIN_CHANCE if abs(then - now) <= margin else CHANGED
    return DriftRow(name, repr(then), repr(now), verdict)


def _margin(name: str, then: float, now: float, images: int) -> float | None:
    """Return the largest difference of a metric that counts as chance, None if that is not known."""
    metric = find_metric(name)
    if metric is METRICS[LOSS]:
        return LOSS_TOLERANCE * then
    if metric is None or not (metric.is_share or metric.is_mean_of_classes):
        return None
    rate = (then + now) / 2
    return STANDARD_ERRORS * float((2 * rate * (1 - rate) / images) ** 0.5)


def _row(what: str, then: str, now: str) -> DriftRow:
    return DriftRow(what, then, now, _verdict(then, now))


def _verdict(then: object, now: object) -> str:
    return SAME if then == now else CHANGED
