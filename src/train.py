"""One tracked training run.

python -m src.train model=lenot
python -m src.train model=lenot dataset=mnist training.epochs=3 optimizer=adam optimizer.learning_rate=1e-3
python -m src.train --help
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from src import console, datasets, fitting, models, reports, saving, tracking
from src.cli.command import entry_point
from src.fitting.dividing import divides_batches
from src.keeping import EXAMPLES, QUICK, Trained, check_space, keep_last_epoch, keep_model, weights_rescued
from src.places import local_path
from src.process.imports import one_thread_per_operation
from src.process.interrupt import deferred
from src.results import TrainResult, best_metrics
from src.schema import Config, TransferConfig
from src.tracked import check_initial_weights

if TYPE_CHECKING:
    import keras


def train(
    config: Config,
    *,
    dataset: datasets.Dataset | None = None,
    store: tracking.Store | None = None,
    observers: Sequence[fitting.Observer] = (),
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

    if dataset is None:
        datasets.check_dataset(config.dataset)
    if store is None:
        store = tracking.open_store(config.tracking)

    if dataset is None:
        dataset = datasets.load_dataset(config.dataset)
    if config.training.max_batches is not None:
        dataset = dataset.head(config.training.max_batches * config.training.batch_size)
    if not config.dataset.class_names:  # they are the folders' names: whoever reads the run needs them
        config = replace(config, dataset=replace(config.dataset, class_names=dataset.class_names))
    is_light = config.tracking.detail == "light" or not config.tracking.enabled
    console.say(f"{config.model.name} on {dataset.name} ({dataset.source}): {reports.image_counts(dataset)} images")
    fingerprint = tracking.fingerprint(config, dataset.digest)
    if config.tracking.on_duplicate == "reuse" and not observers:
        earlier = tracking.finished_result(store, fingerprint, dataset.warnings)
        if earlier is not None:
            console.say(f"run {earlier.run_id} is this very training, finished: it is taken instead")
            console.warn(earlier.warnings)
            return earlier
    console.warn(dataset.warnings)
    check_initial_weights(config)

    with (
        weights_rescued(config, only_in_run=bool(observers)) as trained,
        tracking.start_run(store, config, overrides=list(overrides), parent_run_id=parent_run_id, tags=tags) as run,
    ):
        fitting.seed_everything(config.seed, config.training.deterministic)
        with deferred(), fitting.advice_when_full(config.training.batch_size):
            model = prepare_model(config, dataset)
        if config.tracking.save_model:
            check_space(run, model, is_light)
        reports.record_setting(run, config, dataset, model, is_light)

        fitted = fit_and_watch(model, dataset, config, run, observers, trained)
        with deferred():  # from here on there is a model worth keeping, whatever happens to the rest
            model = in_float32(model, config, dataset)
            run.log_params({"resolved.best_epoch": fitted.best_epoch})
            if fitted.stopped:
                run.set_tags({"stopped": fitted.stopped})
            metrics = {name: values[fitted.best_epoch - 1] for name, values in fitted.history.items()}
            run.log_metrics(best_metrics(metrics, fitted.best_epoch), step=fitted.best_epoch)
            is_kept = config.tracking.save_model and (worth_keeping is None or worth_keeping(metrics))
            # Whatever an observer thought, the next one may think otherwise; and who reuses a run wants its model too.
            if fitted.stopped != "observer" and is_kept == config.tracking.save_model:
                run.set_tags({tracking.FINGERPRINT: fingerprint})
            if is_kept:
                trained.set(run, model, dataset)
                keep_model(run, model, dataset, QUICK if is_light else None)
                trained.is_kept = True

        scores = fitting.score(model, dataset.test) if config.evaluate_test else None
        found: list[str] = []  # warnings that only the scores show
        if scores is not None:
            metrics |= reports.record_evaluation(run, dataset, scores, step=fitted.best_epoch)
            found = reports.unrecognized_classes(dataset, scores)
        if not is_light:
            with deferred():
                reports.record_pictures(run, config, model, dataset, fitted, scores)
        if is_kept and not is_light:
            examples = dataset.test.images[:EXAMPLES]
            bare = saving.uncompiled(model)
            run.log_model(bare, config.model.name, examples, models.predict(bare, examples), fitted.best_epoch)

        result = TrainResult(
            run_id=run.run_id,
            experiment_id=run.experiment_id,
            best_epoch=fitted.best_epoch,
            metrics=metrics,
            history=fitted.history,
            stopped=fitted.stopped,
            warnings=dataset.warnings + found,
        )
        run.describe(reports.description(config, result, dataset))
    console.warn(found)
    return result


def prepare_model(config: Config, dataset: datasets.Dataset) -> keras.Model:
    """The network, compiled, with fresh weights or with those that `training.initial_weights` names."""
    if config.training.precision == "auto" and fitting.resolved_precision("auto") == "float32":
        console.say("training.precision=auto: no processor with instructions for bfloat16 here, so it is float32")
    with fitting.precision(config.training.precision):
        model = models.build_model(config.model, dataset.input_shape, len(dataset.class_names))
    if config.training.initial_weights:
        start_from(config.training.initial_weights, model, config)
    elif isinstance(config.model, TransferConfig):
        models.load_backbone(model, config.model)
    fitting.compile_model(model, config, batches(dataset, config))
    return model


def start_from(name: str, model: keras.Model, config: Config) -> None:
    """Gives the model the weights of a model file, or of the model that a run keeps."""
    if (file := local_path(name)).is_file():
        fitting.copy_weights(saving.load_model(file), model, name)
        return
    with tracking.resume_run(config.tracking, run_id=name) as earlier, earlier.model_folder() as folder:
        fitting.copy_weights(saving.load_model(saving.keras_file(folder)), model, f"run {name}")


def fit_and_watch(
    model: keras.Model,
    dataset: datasets.Dataset,
    config: Config,
    run: tracking.Run,
    observers: Sequence[fitting.Observer],
    trained: Trained,
) -> fitting.Fit:
    """Trains with a line in the terminal and a point in MLflow for each epoch; an interruption keeps the last epoch."""
    monitor = config.training.monitor if dataset.validation else None
    lines = console.EpochLines(config.training.max_epochs, batches(dataset, config), monitor)
    try:
        with lines:
            return fitting.fit(model, dataset, config, [lines, run.log_epoch, *observers], lines.on_batches)
    except KeyboardInterrupt:
        if lines.seconds and run.run_id and config.tracking.save_model:
            keep_last_epoch(run, model, dataset)
        raise
    finally:
        if lines.seconds and not observers:  # a trial that fails is tried again, or given up
            trained.set(run, model, dataset)


def in_float32(model: keras.Model, config: Config, dataset: datasets.Dataset) -> keras.Model:
    """The model that is scored and saved: the trained one, computing in float32 whatever it was trained in."""
    if model.dtype_policy.name == "float32":
        return model
    return fitting.copy_weights(model, models.build_model(config.model, dataset.input_shape, len(dataset.class_names)))


def batches(dataset: datasets.Dataset, config: Config) -> int:
    """Batches in an epoch, the last one possibly smaller."""
    return math.ceil(len(dataset.train) / config.training.batch_size)


@entry_point("train")
def main(config: Config, overrides: list[str]) -> None:
    """Trains, then says where to look."""
    if divides_batches(config):
        one_thread_per_operation()  # the batch is divided among the cores, see `src.fitting.parts`
    result = train(config, overrides=overrides)

    names = dict.fromkeys((config.training.monitor, "test_loss", "test_accuracy"))
    metrics = "  ".join(f"{name} {result.metrics[name]:.4f}" for name in names if name in result.metrics)
    console.say(f"best epoch {result.best_epoch}  {metrics}")
    if result.run_id:
        console.say_where(result.run_id, result.experiment_id, config.tracking.uri)


if __name__ == "__main__":
    main()
