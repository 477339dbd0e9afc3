"""After a sweep: its best configuration trained again on all that may be trained on, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

from src import datasets, study, tracking
from src.cli.compose import config_from_dict
from src.errors import ConfigError, UserError
from src.links import run_page
from src.results import BestOfSweepResult, SweepResult, format_metric
from src.schema import BestOfSweepConfig, Config, TrainingConfig, for_training, kind_of
from src.space import SweepPlan
from src.space.planning import plan_line

PIPELINE = "best_of_sweep"


def plan_of(config: BestOfSweepConfig, overrides: Sequence[str]) -> SweepPlan:
    """The pipeline's sweep, checked for what would stop the pipeline after it.

    Raises:
        ConfigError: nothing to sweep over, or trials whose best could not be trained again without validation images.
    """
    plan = plan_line(for_training(config, overrides))
    for trial in plan.space.trees().values():  # also those that only some value of the space lets run
        if trial["evaluate_test"]:
            raise ConfigError(
                "evaluate_test: no trial may see the test split, which is scored at the very end; leave it out"
            )
        if trial["dataset"]["validation_size"] == 0:
            raise ConfigError("dataset.validation_size=0: the best trial is found by a validation split; keep one")
        if kind_of("schedule", trial["schedule"]).needs_validation:
            raise ConfigError(
                f"schedule={trial['schedule']['name']}: the best trial is trained again on the validation images too, "
                "and then there is no plateau to be seen; use schedule=cosine or schedule=none"
            )
    return plan


@contextmanager
def begin(config: BestOfSweepConfig, plan: SweepPlan, sweep: SweepResult) -> Iterator[tracking.Run]:
    """The run that the final trainings stand under; nobody else goes on from the same sweep meanwhile.

    Raises:
        UserError: the sweep has no best trial, or none whose setting is known, or is not done.
    """
    if sweep.best_trial is None:
        raise UserError(f"study {sweep.study_name} has no completed trial, so there is no best one; narrow the space")
    if sweep.best_config is None or sweep.best_epoch is None:
        raise UserError(
            f"trial {sweep.best_trial} is the best of study {sweep.study_name}, but its run is gone and the study's "
            "settings were changed after it, so its configuration is unknown; restore the run, or start a new study "
            "with hydra.sweeper.study_name=NAME"
        )
    if sweep.counts.running:
        raise UserError(
            f"{sweep.counts.running} trials of study {sweep.study_name} are still run by others; "
            "give the same command once they are done"
        )
    storage = study.open_storage(plan.settings.storage, config.tracking.uri)
    with closing(storage), storage.locks.holding(f"{PIPELINE} {sweep.study_name}"):
        name = f"best of {sweep.study_name}"
        with tracking.pipeline_run(config.tracking, PIPELINE, str(sweep.run_id), name) as run:
            yield run


def final_configs(config: BestOfSweepConfig, sweep: SweepResult) -> list[Config]:
    """The best trial's configuration for each seed, to be trained as long as was best for it, on train + validation."""
    trial = config_from_dict(dict(sweep.best_config or {}))
    limit = trial.dataset.limit
    if limit is not None:
        limit += len(datasets.load_dataset(trial.dataset).validation or ())
    return [
        replace(
            trial,
            dataset=replace(trial.dataset, validation_size=0, limit=limit),
            training=replace(
                trial.training,
                last_epoch=sweep.best_epoch,
                monitor=TrainingConfig.monitor,
                early_stopping_patience=None,
            ),
            tracking=replace(config.tracking, run_name=f"final-s{seed}", on_duplicate="reuse"),
            seed=seed,
            evaluate_test=True,
            tags={**config.tags, "best_of": sweep.study_name},
        )
        for seed in config.seeds
    ]


def record(run: tracking.Run, result: BestOfSweepResult) -> None:
    """Writes the pipeline's table, figures and story into its run."""
    metrics = {**result.sweep.best_metrics, "test_accuracy_mean": result.mean}
    if result.spread is not None:
        metrics["test_accuracy_spread"] = result.spread
    if result.registration.p_value is not None:
        metrics["mcnemar_p_value"] = result.registration.p_value
    run.log_new_metrics(metrics, step=0)
    rows = [
        (seed, final.run_id, f"{final.metrics['test_loss']:.6f}", f"{final.metrics['test_accuracy']:.6f}")
        for seed, final in zip(result.seeds, result.finals, strict=True)
    ]
    run.log_table("seeds.csv", ("seed", "run_id", "test_loss", "test_accuracy"), rows)
    run.describe(description(run, result))


def description(run: tracking.Run, result: BestOfSweepResult) -> str:
    """The pipeline in Markdown: the sweep, its best trial, the final trainings, the verdict."""

    def link(text: str, run_id: str | None) -> str:
        if run_id is None:
            return text
        return f"[{text}]({run_page(run.experiment_id, run_id)})"

    sweep, registration = result.sweep, result.registration
    study, trial = link(f"study {sweep.study_name}", sweep.run_id), link(f"trial {sweep.best_trial}", sweep.best_run_id)
    epochs = len(result.finals[0].history["loss"])
    spread = format_metric(result.spread)
    lines = [
        f"The best of {study} is {trial} with {sweep.best_value:.4f}; trained again on training and validation images "
        f"for {epochs} epochs:",
        "",
        "| seed | test accuracy |",
        "|---|---|",
        *(
            f"| {link(str(seed), final.run_id)} | {final.metrics['test_accuracy']:.4f} |"
            for seed, final in zip(result.seeds, result.finals, strict=True)
        ),
        "",
        f"Mean {result.mean:.4f}, spread {spread}. Version {registration.version} of {registration.name}, "
        f"seed {result.seeds[0]}, {'is now' if registration.moved else 'is not made'} the {registration.alias}: "
        f"{registration.reason}.",
    ]
    return "\n".join(lines)
