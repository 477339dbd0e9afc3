"""One tracked training run.

python -m src.train model=lenot
python -m src.train model=lenot dataset=mnist training.epochs=3 optimizer=adam optimizer.learning_rate=1e-3
python -m src.train --help
"""

import math
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.command import entry_point
from src.errors import ModelFileError
from src.interrupt import deferred
from src.results import TrainResult
from src.schema import Config, TransferConfig

if TYPE_CHECKING:
    import keras

    from src.datasets import Dataset
    from src.fitting import Fit, Observer, Scores
    from src.tracking import Run, Store

EXAMPLES = 16  # test images that the saved formats must agree on
AUGMENTED = 6  # training images in the picture of the augmentation, and how many versions of each
QUICK = ("model.keras",)  # the format of which a model is kept where time counts


def train(
    config: Config,
    *,
    dataset: "Dataset | None" = None,
    store: "Store | None" = None,
    observers: "Sequence[Observer]" = (),
    parent_run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
    worth_keeping: Callable[[Mapping[str, float]], bool] | None = None,
) -> TrainResult:
    """Trains the network that the config describes, scores it once on the test split, and records everything in MLflow.

    Args:
        config: the run's whole configuration, from the command line or from `compose_config([...])`.
        dataset: data that is already loaded; read as `config.dataset` says when it is None.
        store: where the run is kept, when it is already open; opened as `config.tracking` says when it is None.
        observers: called after each epoch with its number, counted from 1, and its metrics; one that returns True ends
            the training.
        parent_run_id: the MLflow run under which this one is shown.
        tags: added to `config.tags`.
        overrides: what was typed, kept with the run.
        worth_keeping: asked with the metrics of the best epoch whether the model is kept; it is, when this is None.

    Raises:
        UserError: a store, a data set or a loss that does not allow the run to go on; the message says what to do.
    """
    # TensorFlow and MLflow are imported here, once the config is known to be good; MLflow first, for it is faster
    # to say that its store cannot be reached.
    from src import console, tracking

    if store is None:
        store = tracking.open_store(config.tracking)
    with console.native_messages_hidden():
        from src import fitting, saving
        from src.datasets import load_dataset
        from src.evaluate import record_evaluation
        from src.models import predict

        fitting.prepare_devices()

    if dataset is None:
        dataset = load_dataset(config.dataset)
    if config.training.max_batches is not None:
        dataset = dataset.head(config.training.max_batches * config.training.batch_size)
    is_light = config.tracking.detail == "light" or not config.tracking.enabled
    console.warn(dataset.warnings)
    console.say(f"{config.model.name} on {dataset.name} ({dataset.source}): {image_counts(dataset)} images")

    with tracking.start_run(store, config, overrides=list(overrides), parent_run_id=parent_run_id, tags=tags) as run:
        fitting.seed_everything(config.seed, config.training.deterministic)
        with fitting.advice_when_full(config.training.batch_size):
            model = prepare_model(config, dataset)
        record_setting(run, dataset, model, is_light)

        fitted = fit_and_watch(model, dataset, config, run, observers)
        with deferred():  # from here on there is a model worth keeping, whatever happens to the rest
            model = in_float32(model, config, dataset)
            run.log_params({"resolved.best_epoch": fitted.best_epoch})
            metrics = {name: values[fitted.best_epoch - 1] for name, values in fitted.history.items()}
            is_kept = config.tracking.save_model and (worth_keeping is None or worth_keeping(metrics))
            if is_kept:
                keep_model(run, model, dataset, QUICK if is_light else None)

        scores = fitting.score(model, dataset.test) if config.evaluate_test else None
        if scores is not None:
            metrics |= record_evaluation(run, dataset, scores, step=fitted.best_epoch)
        if not is_light:
            record_pictures(run, config, model, dataset, fitted, scores)
        if is_kept and not is_light:
            examples = dataset.test.images[:EXAMPLES]
            bare = saving.uncompiled(model)
            run.log_model(bare, config.model.name, examples, predict(bare, examples), fitted.best_epoch)

        result = TrainResult(
            run_id=run.run_id,
            best_epoch=fitted.best_epoch,
            metrics=metrics,
            history=fitted.history,
            stopped=fitted.stopped,
            warnings=dataset.warnings,
        )
        run.describe(description(config, result, dataset))
    return result


def prepare_model(config: Config, dataset: "Dataset") -> "keras.Model":
    """The network, compiled, with fresh weights or with those that `training.initial_weights` names."""
    from src import fitting
    from src.models import build_model
    from src.models.transfer import load_backbone

    with fitting.precision(config.training.precision):
        model = build_model(config.model, dataset.input_shape, len(dataset.class_names))
    if isinstance(config.model, TransferConfig):
        load_backbone(model, config.model)
    if config.training.initial_weights:
        start_from(config.training.initial_weights, model, config)
    fitting.compile_model(model, config, batches(dataset, config))
    return model


def start_from(name: str, model: "keras.Model", config: Config) -> None:
    """Gives the model the weights of a model file, or of the model that a run keeps."""
    from src import fitting, saving, tracking

    if Path(name).is_file():
        fitting.copy_weights(saving.load_model(Path(name)), model, name)
        return
    if not re.fullmatch(r"[0-9a-f]{32}", name):
        raise ModelFileError(f"training.initial_weights={name}: there is no such file, and it is not the id of a run")
    with tracking.resume_run(config.tracking, run_id=name) as earlier, earlier.model_folder() as folder:
        fitting.copy_weights(saving.load_model(saving.keras_file(folder)), model, f"run {name}")


def record_setting(run: "Run", dataset: "Dataset", model: "keras.Model", is_light: bool) -> None:
    """Records what was decided at run time and stands in no config: the data, the precision, the layers."""
    from src import figures, fitting
    from src.models.arithmetic import COLUMNS, layer_table

    run.log_dataset(dataset.name, dataset.digest, dataset.source, sizes(dataset))
    run.log_params(
        {f"resolved.{split}_images": count for split, count in sizes(dataset).items()}
        | {
            "resolved.data_source": dataset.source,
            "resolved.data_digest": dataset.digest,
            "resolved.precision": model.dtype_policy.name,
            "resolved.threads": fitting.threads(),
            "resolved.parameters": model.count_params(),
        }
    )
    if is_light:
        return
    run.log_table("tables/layers.csv", COLUMNS, [row.cells() for row in layer_table(model)])
    run.log_table("tables/classes.csv", ("class", "train", "validation", "test"), dataset.class_counts())
    samples = figures.samples_data(dataset.train.labels, dataset.class_names)
    run.log_figure("figures/samples.png", figures.plot_samples(samples, dataset.train.images, dataset.name))
    if dataset.bad_files:
        run.log_table("tables/bad_images.csv", ("file", "reason"), dataset.bad_files)
    if dataset.duplicates:
        columns = ("split", "file", "also in", "as")
        run.log_table("tables/duplicates.csv", columns, dataset.duplicates)


def fit_and_watch(
    model: "keras.Model", dataset: "Dataset", config: Config, run: "Run", observers: "Sequence[Observer]"
) -> "Fit":
    """Trains with a line in the terminal and a point in MLflow for each epoch; an interruption keeps the last epoch."""
    from src import console, fitting

    monitor = config.training.monitor if dataset.validation else None
    lines = console.EpochLines(config.training.epochs, batches(dataset, config), monitor)
    try:
        with lines:
            return fitting.fit(model, dataset, config, [run.log_epoch, lines, *observers], lines.on_batches)
    except KeyboardInterrupt:
        if lines.seconds and run.run_id and config.tracking.save_model:
            keep_last_epoch(run, model, dataset)
        raise


def keep_last_epoch(run: "Run", model: "keras.Model", dataset: "Dataset") -> None:
    """Keeps what an interrupted training has; failing at that must not hide that it was interrupted."""
    from src import console

    console.say("stopping: the last epoch's weights are being kept")
    try:
        keep_model(run, model, dataset, QUICK)
    except Exception as error:
        console.say(f"they could not be kept: {type(error).__name__}: {error}")
    else:
        console.say(f"go on from them with training.initial_weights={run.run_id}")


def in_float32(model: "keras.Model", config: Config, dataset: "Dataset") -> "keras.Model":
    """The model that is scored and saved: the trained one, computing in float32 whatever it was trained in."""
    from src import fitting
    from src.models import build_model

    if config.training.precision == "float32":
        return model
    return fitting.copy_weights(model, build_model(config.model, dataset.input_shape, len(dataset.class_names)))


def record_pictures(
    run: "Run", config: Config, model: "keras.Model", dataset: "Dataset", fitted: "Fit", scores: "Scores | None"
) -> None:
    """Learning curves, augmented images where there are any, and a look inside the network."""
    from src import figures, fitting
    from src.explain import record_inside

    curves = figures.learning_curves_data(
        fitted.history, fitted.best_epoch if dataset.validation else None, fitted.phases
    )
    run.log_figure("figures/learning_curves.png", figures.plot_learning_curves(curves))
    if config.augmentation.changes_images:
        images = dataset.train.images[:AUGMENTED]
        versions = fitting.augmented(images, config.augmentation, config.seed, AUGMENTED)
        picture = figures.plot_augmentation(images, versions, config.augmentation.name)
        run.log_figure("figures/augmentation.png", picture)
    record_inside(run, model, dataset, scores and scores.probabilities)


def keep_model(run: "Run", model: "keras.Model", dataset: "Dataset", formats: tuple[str, ...] | None = None) -> None:
    """Puts the model's files, checked by reading them back, into the run's folder `model/`."""
    from src import saving

    if run.run_id is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        images = dataset.test.images[:EXAMPLES]
        kept = formats or saving.formats_for(model)
        run.log_folder(saving.save_model(model, Path(folder) / "model", images, kept), "model")


def description(config: Config, result: TrainResult, dataset: "Dataset") -> str:
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


def sizes(dataset: "Dataset") -> dict[str, int]:
    """Images in each split."""
    return {"train": len(dataset.train), "validation": len(dataset.validation or ()), "test": len(dataset.test)}


def image_counts(dataset: "Dataset") -> str:
    """`55,000 train, 5,000 validation, 10,000 test`."""
    return ", ".join(f"{count:,} {split}" for split, count in sizes(dataset).items())


def batches(dataset: "Dataset", config: Config) -> int:
    """Batches in an epoch, the last one possibly smaller."""
    return math.ceil(len(dataset.train) / config.training.batch_size)


@entry_point("train")
def main(config: Config, overrides: list[str]) -> None:
    """Trains, then says where to look."""
    result = train(config, overrides=overrides)
    from src import console

    console.warn(result.warnings)
    names = dict.fromkeys((config.training.monitor, "test_loss", "test_accuracy"))
    metrics = "  ".join(f"{name} {result.metrics[name]:.4f}" for name in names if name in result.metrics)
    console.say(f"best epoch {result.best_epoch}  {metrics}")
    if result.run_id:
        console.say_where(result.run_id, config.tracking.uri)


if __name__ == "__main__":
    main()
