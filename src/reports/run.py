"""Records of a training run besides its metrics: settings, pictures, description."""

from __future__ import annotations

from typing import TYPE_CHECKING

from src import datasets, figures, fitting, models, tracking
from src.reports.explanation import record_explanation
from src.results import TrainResult
from src.schema import Config

if TYPE_CHECKING:
    import keras


AUGMENTED = 6  # training images in the picture of the augmentation, and how many versions of each


def record_setting(
    run: tracking.Run, config: Config, dataset: datasets.Dataset, model: keras.Model, is_light: bool
) -> None:
    """Records what was decided at run time and stands in no config: the data, the precision, the layers."""
    run.log_dataset(dataset.name, dataset.digest, dataset.source, sizes(dataset))
    run.log_params(
        {f"resolved.{split}_images": count for split, count in sizes(dataset).items()}
        | {
            "resolved.data_source": dataset.source,
            "resolved.data_digest": dataset.digest,
            "resolved.code_digest": tracking.code_digest(),
            "resolved.precision": model.dtype_policy.name,
            "resolved.threads": fitting.threads(),
            "resolved.parts": fitting.parts_for(config),
            "resolved.parameters": model.count_params(),
        }
    )
    if is_light:
        return
    run.log_table("tables/layers.csv", models.LAYER_COLUMNS, [row.cells() for row in models.layer_table(model)])
    run.log_table("tables/classes.csv", ("class", "train", "validation", "test"), dataset.class_counts())
    samples = figures.samples_data(dataset.train.labels, dataset.class_names)
    run.log_figure("figures/samples.png", figures.plot_samples(samples, dataset.train.images, dataset.name))
    if dataset.bad_files:
        run.log_table("tables/bad_images.csv", ("file", "reason"), dataset.bad_files)
    if dataset.duplicates:
        columns = ("split", "file", "also in", "as")
        run.log_table("tables/duplicates.csv", columns, dataset.duplicates)


def record_pictures(
    run: tracking.Run,
    config: Config,
    model: keras.Model,
    dataset: datasets.Dataset,
    fitted: fitting.Fit,
    scores: fitting.Scores | None,
) -> None:
    """Learning curves, augmented images where there are any, and a look inside the network."""
    curves = figures.learning_curves_data(
        fitted.history, fitted.best_epoch if dataset.validation else None, fitted.phases
    )
    run.log_figure("figures/learning_curves.png", figures.plot_learning_curves(curves))
    if config.augmentation.changes_images:
        images = dataset.train.images[:AUGMENTED]
        versions = fitting.augmented(images, config.augmentation, config.seed, AUGMENTED)
        picture = figures.plot_augmentation(images, versions, config.augmentation.name)
        run.log_figure("figures/augmentation.png", picture)
    record_explanation(run, model, dataset, scores and scores.probabilities)


def description(config: Config, result: TrainResult, dataset: datasets.Dataset) -> str:
    """The run in a few lines of Markdown: what was trained on what, and how well it did."""
    shown = [name for name in ("test_accuracy", "val_accuracy", "accuracy") if name in result.metrics]
    epochs = f"best epoch {result.best_epoch} of {len(result.history['loss'])}"
    lines = [f"**{warning}**\n" for warning in result.warnings]
    lines += [
        f"{config.model.name} on {dataset.name} ({dataset.source}): "
        + ", ".join(f"{name} {result.metrics[name]:.4f}" for name in shown),
        f"- {epochs}, ended by {result.stopped}" if result.stopped else f"- {epochs}",
        f"- images: {image_counts(dataset)}",
        f"- {config.optimizer.name}, learning rate {config.optimizer.learning_rate:g}, "
        f"batch {config.training.batch_size}, seed {config.seed}",
    ]
    return "\n".join(lines)


def sizes(dataset: datasets.Dataset) -> dict[str, int]:
    """Images in each split."""
    return {"train": len(dataset.train), "validation": len(dataset.validation or ()), "test": len(dataset.test)}


def image_counts(dataset: datasets.Dataset) -> str:
    """`55,000 train, 5,000 validation, 10,000 test`."""
    return ", ".join(f"{count:,} {split}" for split, count in sizes(dataset).items())
