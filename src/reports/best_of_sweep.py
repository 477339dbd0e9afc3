"""The pipeline best_of_sweep: the best configuration of a sweep, trained again on training and validation images."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from src import console, datasets, study, tracking
from src.cli.conversion import config_from_dict
from src.errors import ConfigError, UserError
from src.links import run_page
from src.reports.choosing import check_choice
from src.reports.markdown import escape, link, table
from src.results import BestOfSweepResult, RegistrationResult, SweepResult, TrainResult, format_metric, format_score
from src.schema import (
    COSTS,
    METRICS,
    TEST,
    BestOfSweepConfig,
    Config,
    RegisterConfig,
    TrainingConfig,
    as_tree,
    comparable_metric,
    flatten,
    for_training,
    kind_of,
    metric_names,
)
from src.space import SweepPlan
from src.space.planning import plan_line

PIPELINE = "best_of_sweep"


def plan_best_of_sweep(config: BestOfSweepConfig, overrides: Sequence[str]) -> SweepPlan:
    """Return the pipeline's sweep, checked for what would stop the pipeline after it.

    Raises:
        ConfigError: there is nothing to sweep over, no trial of a front is chosen, or the best trial could not be
            trained again without a validation split or for `config.final_epochs`.
    """
    plan = plan_line(for_training(config, overrides))
    check_choice(config.choose, plan)
    for trial in plan.space.trees().values():  # also those that only some values of the space can run
        if trial["evaluate_test"]:
            raise ConfigError(
                "evaluate_test=true: trials must not see the test split, which is scored once, at the end; remove "
                "evaluate_test"
            )
        if trial["dataset"]["validation_size"] == 0:
            raise ConfigError(
                "dataset.validation_size=0: the best trial is found by its validation metrics; keep a validation split"
            )
        if kind_of("schedule", trial["schedule"]).needs_validation:
            raise ConfigError(
                f"schedule={trial['schedule']['name']}: the best trial is trained again on the validation images too, "
                "so no validation metric is left to reach a plateau; use schedule=cosine or schedule=none"
            )
        if config.final_epochs is not None:
            _check_final_epochs(config.final_epochs, trial)
    return plan


def _check_final_epochs(epochs: int, trial: Mapping[str, Any]) -> None:
    try:
        config_from_dict({**trial, "training": {**trial["training"], "epochs": epochs, "last_epoch": None}})
    except ConfigError as error:
        raise ConfigError(f"final_epochs={epochs}: the final trainings cannot have this length: {error}") from error


@contextmanager
def best_of_sweep_run(config: BestOfSweepConfig, plan: SweepPlan, sweep: SweepResult) -> Iterator[tracking.Run]:
    """Yield the pipeline's run, under which the final trainings are shown; one process at a time can have it.

    Raises:
        UserError: the sweep has no best trial, the configuration of the best one is unknown, or trials still run.
    """
    _check_sweep(sweep)
    storage = study.open_storage(plan.settings.storage, config.tracking.uri)
    with closing(storage), closing(storage.locks.keep(f"{PIPELINE} {sweep.study_name}")):
        name = f"best of {sweep.study_name}"
        choice = list(map(str, as_tree(config.choose).values())) if sweep.chosen else []
        length = [] if config.final_epochs is None else [f"final_epochs={config.final_epochs}"]
        key = " ".join([str(sweep.run_id), *choice, *length])  # others are another pipeline, with its own champion
        with tracking.pipeline_run(config.tracking, PIPELINE, key, name, console.say) as run:
            yield run


def _check_sweep(sweep: SweepResult) -> None:
    if sweep.best_trial is None and (sweep.counts.complete or sweep.counts.skipped):
        raise UserError(
            f"study {sweep.study_name} has no complete trial within hydra.sweeper.constraints, so no best trial; raise "
            "the limits, or search among smaller networks"
        )
    if sweep.best_trial is None:
        raise UserError(f"study {sweep.study_name} has no complete trial, so no best trial; narrow the space")
    if sweep.best_config is None or sweep.best_epoch is None:
        raise UserError(
            f"trial {sweep.best_trial} is the best of study {sweep.study_name}, but its run is gone and the study's "
            "settings have changed since, so the trial's configuration is unknown; restore the run, or start a new "
            "study with hydra.sweeper.study_name=NAME"
        )
    if sweep.counts.running:
        raise UserError(
            f"{sweep.counts.running} trials of study {sweep.study_name} are still running in other processes; run the "
            "same command again when they have ended"
        )


def final_configs(config: BestOfSweepConfig, sweep: SweepResult) -> list[Config]:
    """Return the best trial's configuration for each seed, on training and validation images.

    They are trained up to the trial's best epoch, or for `config.final_epochs` epochs.
    """
    trial = config_from_dict(dict(sweep.best_config or {}))
    training = replace(trial.training, last_epoch=sweep.best_epoch)
    if config.final_epochs is not None:
        training = replace(training, epochs=config.final_epochs, last_epoch=None)
    limit = trial.dataset.limit
    if limit is not None and trial.dataset.folds is None:  # with folds, it is applied before they are made
        limit += len(datasets.load_dataset(trial.dataset).validation or ())
    return [
        replace(
            trial,
            dataset=replace(trial.dataset, validation_size=0, folds=None, fold=None, limit=limit),
            training=replace(
                training,
                monitor=TrainingConfig.monitor,
                metrics=_recorded_metrics(trial.training),
                early_stopping_patience=None,
                checkpoint_dir=config.training.checkpoint_dir,  # the trial's may be one of another machine
                checkpoint_minutes=config.training.checkpoint_minutes,
                checkpoint_upload=config.training.checkpoint_upload,
            ),
            tracking=replace(config.tracking, run_name=f"final-s{seed}", on_duplicate="reuse"),
            seed=seed,
            evaluate_test=True,
            tags={**config.tags, "best_of": sweep.study_name},
        )
        for seed in config.seeds
    ]


def _recorded_metrics(training: TrainingConfig) -> list[str]:
    """Return `training.metrics` with the metric of the monitor, unless every run records it."""
    metric = comparable_metric(training.monitor)
    is_known = metric in training.metrics or metric in metric_names()
    return training.metrics if is_known else [*training.metrics, metric]


def deciding_metric(config: BestOfSweepConfig, plan: SweepPlan) -> str:
    """Return the metric that decides about the champion: the one that chose the trial, on the test split.

    It is `choose.metric`, or that of the sweep's `training.monitor`.
    """
    return comparable_metric(config.choose.metric or plan.metric)


def candidate_registration(
    config: BestOfSweepConfig, plan: SweepPlan, trainings: Sequence[TrainResult]
) -> RegisterConfig:
    """Return what to register: the model of the first seed, which was chosen before any test score was known."""
    return RegisterConfig(
        tracking=config.tracking,
        run_id=str(trainings[0].run_id),
        name=config.registered_model,
        alias=config.alias,
        if_better=True,
        metric=deciding_metric(config, plan),
    )


def record_best_of_sweep(
    run: tracking.Run,
    config: BestOfSweepConfig,
    plan: SweepPlan,
    sweep: SweepResult,
    trainings: Sequence[TrainResult],
    registration: RegistrationResult,
) -> BestOfSweepResult:
    """Record the pipeline's metrics, table and description in its run.

    Args:
        run: the pipeline's run.
        config: the pipeline's configuration.
        plan: of the sweep.
        sweep: its result.
        trainings: the final trainings, one for each seed.
        registration: of the first seed's model.
    """
    result = BestOfSweepResult(
        run_id=run.run_id,
        experiment_id=run.experiment_id,
        sweep=sweep,
        seeds=config.seeds,
        trainings=list(trainings),
        registration=registration,
        metric=deciding_metric(config, plan),
    )
    # The seeds may be others the next time, and the sweep's dimensions have another value in each trial.
    varied = {"seed", *(dimension.name for dimension in plan.space.dimensions)}
    shown = [name for name in tracking.COLUMN_SETTINGS if not varied & {name, name.partition(".")[0]}]
    configs = plan.space.configs() or [config_from_dict(dict(sweep.best_config or {}))]
    columns = [{name: values[name] for name in shown} for values in map(flatten, configs)]
    tracking.record_common(run, columns, listed=tracking.COLUMN_SETTINGS)
    run.log_dataset_of(str(trainings[0].run_id))
    metrics = {
        **sweep.best_metrics,
        **_costs_of_chosen(sweep),
        "test_accuracy": statistics.fmean(result.values("test_accuracy")),
    }
    name = TEST + result.metric
    metrics |= {name: result.mean, f"{name}_mean": result.mean}
    if result.spread is not None:
        metrics[f"{name}_spread"] = result.spread
    if registration.p_value is not None:
        metrics[f"{registration.test}_p_value"] = registration.p_value
    run.log_new_metrics(metrics, step=0)
    names = tuple(dict.fromkeys(("test_loss", "test_accuracy", name)))
    rows = [
        (seed, training.run_id, *(f"{training.metrics[name]:.6f}" for name in names))
        for seed, training in zip(result.seeds, trainings, strict=True)
    ]
    if sweep.chosen:
        run.set_tags({"chosen_trial": str(sweep.best_trial), "chosen_because": sweep.chosen})
    run.log_table("seeds.csv", ("seed", "run_id", *names), rows)
    run.describe(describe_best_of_sweep(result))
    return result


def _costs_of_chosen(sweep: SweepResult) -> dict[str, float]:
    """Return the costs of the network that was chosen from a front; nothing without a front."""
    values = [point.values for point in sweep.front if point.trial == sweep.best_trial]
    return {name: value for found in values for name, value in found.items() if name in COSTS}


def describe_best_of_sweep(result: BestOfSweepResult) -> str:
    """Return the pipeline in Markdown: the result, a table of the seeds, where the result comes from, warnings."""

    def page(run_id: str | None) -> str | None:
        return None if run_id is None else run_page(result.experiment_id, run_id)

    sweep, registration, first = result.sweep, result.registration, result.seeds[0]
    seeds = f"seed {first}" if len(result.seeds) == 1 else f"mean of {len(result.seeds)} seeds"
    spread = "" if result.spread is None else f", spread {result.spread:.4f}"
    version = escape(f"{registration.version} of {registration.name}")
    outcome = f" is now the {registration.alias}" if registration.moved else f", {registration.alias} unchanged"
    metrics = tuple(dict.fromkeys((result.metric, "accuracy")))
    rows = [
        (link(seed, page(training.run_id)), *(_score(training, TEST + metric) for metric in metrics))
        for seed, training in zip(result.seeds, result.trainings, strict=True)
    ]
    has_intervals = any(training.intervals for training in result.trainings)
    warnings = dict.fromkeys(warning for training in result.trainings for warning in training.warnings)
    parts = [
        f"Test {METRICS[result.metric].label} {result.mean:.4f} ({seeds}{spread}); version {version}{outcome}: "
        f"{escape(registration.reason)}.",
        table(("seed", *(f"test {METRICS[metric].label}" for metric in metrics)), rows)
        + ("\n\nIn parentheses: 95 % intervals." if has_intervals else ""),
        f"{_origin(sweep, page)} Its configuration was trained again on training and validation images for "
        f"{len(result.trainings[0].history['loss'])} epochs. Version {version} is the model of seed {first}.",
        *(f"**{escape(warning)}**" for warning in warnings),
    ]
    return "\n\n".join(parts)


def _origin(sweep: SweepResult, page: Callable[[str | None], str | None]) -> str:
    """Return which trial of which study was trained again, and why if it was chosen from a front."""
    study_link = link(f"study {sweep.study_name}", page(sweep.run_id))
    trial_link = link(f"trial {sweep.best_trial}", page(sweep.best_run_id))
    if sweep.chosen:
        return f"From the front of {study_link}, {trial_link} was chosen: {escape(sweep.chosen)}."
    return f"The best of {study_link} is {trial_link} with {sweep.best_value:.4f}."


def _score(training: TrainResult, name: str) -> str:
    return format_score(training.metrics[name], training.intervals.get(name))


def summarize_best_of_sweep(result: BestOfSweepResult) -> str:
    """Return the line for the terminal: the metric of each seed on the test split, their mean and their spread."""
    scores = ", ".join(_score(training, TEST + result.metric) for training in result.trainings)
    spread = format_metric(result.spread)
    return (
        f"test {METRICS[result.metric].label}, seeds {result.seeds}: {scores}; mean {result.mean:.4f}, spread {spread}"
    )
