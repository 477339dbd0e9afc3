"""The records of a training run besides its metrics: settings, scores, tables, figures, description."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from src import datasets, figures, fitting, models, tracking
from src.extensions import extension_param, loaded_extensions
from src.reports.assessment import Assessment, record_assessment, record_assessment_figures
from src.reports.evaluation import class_scores, record_evaluation, record_evaluation_figures
from src.reports.explanation import record_explanation, split_subject
from src.reports.film import Film
from src.reports.markdown import escape
from src.results import TrainResult, format_calibration, format_score
from src.schema import (
    LOSS,
    METHODS,
    METRICS,
    TEST,
    VALIDATION,
    AugmentationConfig,
    Config,
    CrossEntropyConfig,
    LossConfig,
    ScheduleConfig,
    best_metrics,
)

if TYPE_CHECKING:
    import keras


AUGMENTED = 6  # training images in the figure of the augmentation, and versions of each


class Recorder:
    """Records a training in full."""

    def __init__(self, run: tracking.Run, config: Config, dataset: datasets.Dataset) -> None:
        self.run = run
        self.config = config
        self.dataset = dataset
        self.film: Film | None = None

    def record_settings(self, model: keras.Model) -> None:
        """Record what was decided at run time and is not in the config: data, precision, threads, layers."""
        self._record_resolved(model)
        dataset = self.dataset
        self.run.log_table(
            "tables/layers.csv", models.LAYER_COLUMNS, [row.cells() for row in models.layer_table(model)]
        )
        self.run.log_table("tables/classes.csv", ("class", "train", "validation", "test"), dataset.class_counts())
        samples = figures.samples_data(dataset.train.labels, dataset.class_names)
        self.run.log_figure("figures/samples.png", figures.plot_samples(samples, dataset.train.images, dataset.name))
        if dataset.bad_files:
            self.run.log_table(f"tables/{datasets.BAD_TABLE}", ("file", "reason", "result"), dataset.bad_files)
        if dataset.duplicates:
            columns = ("split", "file", "also in", "as")
            self.run.log_table(f"tables/{datasets.DUPLICATES_TABLE}", columns, dataset.duplicates)

    def _record_resolved(self, model: keras.Model) -> None:
        dataset, counts = self.dataset, image_counts(self.dataset)
        self.run.log_dataset(dataset.name, dataset.digest, dataset.source, counts)
        self.run.log_params(
            {f"resolved.{split}_images": count for split, count in counts.items()}
            | extension_param()
            | {
                "resolved.data_source": dataset.source,
                "resolved.data_digest": dataset.digest,
                "resolved.code_digest": tracking.code_digest(),
                "resolved.precision": model.dtype_policy.name,
                "resolved.devices": "; ".join(map(str, fitting.used_devices(self.config.training.num_devices))),
                "resolved.threads": fitting.threads(),
                "resolved.steps_per_execution": model.steps_per_execution,
                "resolved.parts": fitting.parts_for(self.config),
                "resolved.parameters": model.count_params(),
            }
        )

    def observers(self, model: keras.Model) -> list[Callable[[int, Mapping[str, float]], None]]:
        """Return what records something after each epoch besides metrics."""
        self.film = Film(self.run, model, self.dataset, self.config.training.max_epochs)
        return [self.film.note_epoch]

    def record_interruption(self) -> None:
        """Record what waited for the end of the training, which failed or was interrupted. Never raises."""
        if self.film is not None:
            self.film.write_on_interruption()

    def record_fit(self, fitted: fitting.Fit) -> None:
        """Record the best epoch, its metrics, and why training stopped early."""
        self.run.log_params({"resolved.best_epoch": fitted.best_epoch})
        if fitted.stopped:
            self.run.set_tags({"stopped": fitted.stopped})
        self.run.log_metrics(best_metrics(fitted.metrics, fitted.best_epoch), step=fitted.best_epoch)

    def record_scores(self, assessment: Assessment | None, step: int) -> None:
        """Record test metrics, those of each class and every prediction if the test split was scored."""
        if assessment is not None:
            record_evaluation(self.run, self.dataset, assessment.scores, step)
            record_assessment(self.run, assessment)

    def record_figures(self, model: keras.Model, fitted: fitting.Fit, assessment: Assessment | None) -> None:
        """Record learning curves, augmented images and mistakes if there are any, and what explains the network."""
        if self.film is not None:
            self.film.write()
        best_epoch = fitted.best_epoch if self.dataset.validation else None
        curves = figures.learning_curves_data(fitted.history, best_epoch, fitted.phases)
        self.run.log_figure("figures/learning_curves.png", figures.plot_learning_curves(curves))
        augmentation = self.config.augmentation
        if augmentation.changes_images:
            images = self.dataset.train.images[:AUGMENTED]
            versions = fitting.augmented(images, augmentation, self.config.seed, AUGMENTED)
            figure = figures.plot_augmentation(images, versions, augmentation.name)
            self.run.log_figure("figures/augmentation.png", figure)
        if assessment is not None:
            record_evaluation_figures(self.run, self.dataset, assessment.scores)
            record_assessment_figures(self.run, self.dataset, assessment)
        probabilities = assessment.scores.probabilities if assessment is not None else None
        subject = split_subject(model, self.dataset, probabilities, self.config.seed)
        methods = [name for name, method in METHODS.items() if method.after_training]
        record_explanation(self.run, subject.findings(methods))

    def describe(self, result: TrainResult, settings: dict[str, str]) -> None:
        """Set the description of the run."""
        self.run.describe(summarize(result, settings, self.config.training.monitor))


class LightRecorder(Recorder):
    """Records what takes no time: settings without tables, scores, description."""

    def record_settings(self, model: keras.Model) -> None:
        """Record what was decided at run time and is not in the config: data, precision, threads."""
        self._record_resolved(model)

    def observers(self, model: keras.Model) -> list[Callable[[int, Mapping[str, float]], None]]:
        """Return nothing."""
        return []

    def record_figures(self, model: keras.Model, fitted: fitting.Fit, assessment: Assessment | None) -> None:
        """Do nothing."""


class NullRecorder(LightRecorder):
    """Records nothing, and computes nothing for it."""

    def record_settings(self, model: keras.Model) -> None:
        """Do nothing."""

    def record_fit(self, fitted: fitting.Fit) -> None:
        """Do nothing."""

    def record_scores(self, assessment: Assessment | None, step: int) -> None:
        """Do nothing."""

    def describe(self, result: TrainResult, settings: dict[str, str]) -> None:
        """Do nothing."""


def recorder_for(run: tracking.Run, config: Config, dataset: datasets.Dataset) -> Recorder:
    """Return the recorder that `tracking.enabled` and `tracking.detail` ask for."""
    if not config.tracking.enabled:
        return NullRecorder(run, config, dataset)
    return (LightRecorder if config.tracking.detail == "light" else Recorder)(run, config, dataset)


def result_of(
    run: tracking.Run,
    dataset: datasets.Dataset,
    fitted: fitting.Fit,
    assessment: Assessment | None,
    warnings: Sequence[str],
) -> TrainResult:
    """Return the result of the training, with the test metrics if the test split was scored."""
    return TrainResult(
        run_id=run.run_id,
        experiment_id=run.experiment_id,
        best_epoch=fitted.best_epoch,
        metrics=fitted.metrics | (assessment.scores.test_metrics if assessment else {}),
        history=fitted.history,
        intervals=assessment.intervals if assessment else {},
        calibration=assessment.calibration if assessment else None,
        stopped=fitted.stopped,
        warnings=list(warnings),
        classes=class_scores(dataset, assessment.scores) if assessment else [],
    )


def summarize(result: TrainResult, settings: dict[str, str], monitor: str = "val_accuracy") -> str:
    """Return the run in Markdown: its result, what was trained on what, then warnings.

    The MLflow UI folds a long description, so the result comes first: the metric of the monitor, and accuracy.
    """
    shown: list[str] = []
    for metric in dict.fromkeys((monitor.removeprefix(VALIDATION), "accuracy")):
        if metric != LOSS:
            shown += _describe_metric(metric, result.metrics)[:2]
    epoch = "at best epoch" if "val_accuracy" in result.metrics else "after epoch"
    end = f", ended by {result.stopped}" if result.stopped else ""
    lines = [f"**{', '.join(shown)}** {epoch} {result.best_epoch} of {len(result.history['loss'])}{end}", ""]
    if result.intervals:
        intervals = (
            f"{name} {format_score(result.metrics[name], interval)}" for name, interval in result.intervals.items()
        )
        lines.append(f"- test metrics and their 95 % intervals: {', '.join(intervals)}")
    if result.calibration is not None:
        lines.append(f"- {format_calibration(result.calibration)}")
    lines += [f"- {name}: {escape(text)}" for name, text in settings.items()]
    if result.warnings:
        lines += ["", "Warnings:", "", *(f"- {escape(warning)}" for warning in result.warnings)]
    return "\n".join(lines)


def _describe_metric(name: str, metrics: Mapping[str, float]) -> list[str]:
    """Return a metric of each split that has it, the most important one first: `test accuracy 0.9912`."""
    splits = {"test": TEST, "val": VALIDATION, "training": ""}
    return [
        f"{split} {METRICS[name].label} {metrics[prefix + name]:.4f}"
        for split, prefix in splits.items()
        if prefix + name in metrics
    ]


def settings_of(config: Config, dataset: datasets.Dataset, model: keras.Model) -> dict[str, str]:
    """Return a short text for each aspect of a training, such as its network; the loss if it is not the default."""
    training, optimizer = config.training, config.optimizer
    counts = ", ".join(f"{count:,} {split}" for split, count in image_counts(dataset).items())
    clipping = "".join(f", {name} {getattr(optimizer, name):g}" for name in optimizer.needs_whole_batches)
    loss = {} if config.loss == CrossEntropyConfig() else {"loss": _with_values(config.loss)}
    extensions = ", ".join(extension.name for extension in loaded_extensions())
    epochs = f"{training.max_epochs} epoch{'s' * (training.max_epochs > 1)}"
    return {
        "network": f"{config.model.name}, {model.count_params():,} parameters",
        "data": f"{dataset.name} ({dataset.source}): {counts} images",
        **({"read as": "; ".join(dataset.notes)} if dataset.notes else {}),
        "augmentation": _with_values(config.augmentation) if config.augmentation.changes_images else "none",
        **loss,
        "optimizer": f"{optimizer.name}, learning rate {optimizer.learning_rate:g}{clipping}",
        "schedule": _with_values(config.schedule),
        "training": f"{epochs}, batch size {training.batch_size}, seed {config.seed}",
        "precision": fitting.describe_precision(training.precision),
        "device": fitting.describe_device(config),
    } | ({"extensions": extensions} if extensions else {})


def _with_values(config: AugmentationConfig | LossConfig | ScheduleConfig) -> str:
    """Return the name of a config, and its values that are not the defaults."""
    fields = [field for field in dataclasses.fields(config) if field.name != "name"]
    values = {
        field.name: getattr(config, field.name) for field in fields if getattr(config, field.name) != field.default
    }
    return ", ".join([config.name, *(f"{name} {value}" for name, value in values.items())])


def image_counts(dataset: datasets.Dataset) -> dict[str, int]:
    """Return the number of images in each split."""
    return {"train": len(dataset.train), "validation": len(dataset.validation or ()), "test": len(dataset.test)}
