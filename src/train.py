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

from src import console, datasets, fitting, links, models, reports, resuming, saving, tracking
from src.checkpointing import Checkpoints
from src.cli.command import entry_point
from src.keeping import Keeper
from src.places import local_path
from src.process.interrupt import deferred
from src.results import format_calibration, format_scores
from src.resuming import NOTHING, Resumption
from src.schema import TEST, Config, OwnDataConfig, TransferConfig, metric_names
from src.tracked import open_initial_run

if TYPE_CHECKING:
    import keras

    from src.results import TrainResult


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
    resumption: Resumption = NOTHING,
) -> TrainResult:
    """Train the network of the config, score it once on the test split, and record everything in MLflow.

    With `config.resume`, an interrupted run is continued; its own configuration is used, with the places and the
    number of epochs in `overrides`.

    Args:
        config: the configuration, from the command line or from `compose_config([...])`.
        dataset: data that is already loaded; `config.dataset` is loaded if it is None.
        store: a store that is already open; `config.tracking` is opened if it is None.
        observers: called after each epoch with its number, counted from 1, and its metrics. Training ends when one of
            them returns True.
        parent_run_id: the MLflow run under which this one is shown.
        tags: added to `config.tags`.
        overrides: what was typed, recorded in the run.
        worth_keeping: called with the metrics of the best epoch; the model is not kept if it returns False.
        resumption: an interrupted training that is continued.

    Raises:
        UserError: the store, the data or the loss do not allow the training; the message says what to do.
    """
    if config.resume is not None:
        store, config, resumption = resuming.find_requested(config, overrides)
    store, config, dataset = load(store, config, dataset)
    fingerprint = resumption.planned or tracking.fingerprint(config, dataset.digest)
    if not observers and resumption is NOTHING:
        if earlier := reusable_result(store, config, dataset, fingerprint):
            return earlier
        config, resumption = resuming.find_interrupted(store, config, fingerprint, parent_run_id)
    console.warn(dataset.warnings)
    checkpoints = resuming.open_checkpoints(config, resumption, dataset.digest)
    beginning = resuming.with_initial_weights(config, checkpoints)

    keeper = Keeper(config, is_trial=bool(observers), worth_keeping=worth_keeping, checkpoints=checkpoints)
    tags = {**(tags or {}), tracking.PLANNED: fingerprint, **resuming.tags_of(config, resumption, checkpoints)}
    run_id = resumption.run_id
    with (
        keeper.rescuing(),
        tracking.start_run(
            store, config, overrides=overrides, parent_run_id=parent_run_id, tags=tags, run_id=run_id
        ) as run,
    ):
        keeper.open(run)
        resuming.continue_run(run, config, resumption, checkpoints)
        model = prepare_model(beginning, dataset)
        keeper.start(model, dataset)
        recorder = reports.recorder_for(run, config, dataset)
        keeper.record_interruption = recorder.record_interruption
        recorder.record_settings(model)
        console.say_pairs(settings := reports.settings_of(config, dataset, model))

        watching = [keeper.note_epoch, run.log_epoch, *recorder.observers(model), *observers]
        fitted = fit_with_progress(model, dataset, config, watching, checkpoints)
        with deferred():  # a signal waits until the model is saved
            model = prepare_for_saving(model, config, dataset)
            recorder.record_fit(fitted)
            keeper.finish(model, fitted.metrics)
            allow_reuse(run, fingerprint, fitted, keeper)

        scores = score_test_split(model, dataset, config)
        assessment = reports.assess(model, dataset, scores, config.loss) if scores else None
        score_warnings = reports.unrecognized_classes(dataset, scores) if scores else []
        with deferred():
            recorder.record_scores(assessment, step=fitted.best_epoch)
            recorder.record_figures(model, fitted, assessment)
        keeper.log_model(step=fitted.best_epoch)

        result = reports.result_of(run, dataset, fitted, assessment, dataset.warnings + score_warnings)
        recorder.describe(result, settings)
    console.warn(score_warnings)
    return result


def load(
    store: tracking.Store | None, config: Config, dataset: datasets.Dataset | None
) -> tuple[tracking.Store, Config, datasets.Dataset]:
    """Return the store and the data to train on, and the config with the names of the classes that were found.

    Checks that take no time come first.
    """
    fitting.check_devices(config)
    if dataset is None:
        datasets.check_dataset(config.dataset)
    store = store or tracking.open_store(config.tracking, console.say)
    resuming.check_named_folder(config)
    dataset = dataset or datasets.load_dataset(config.dataset)
    if config.training.max_batches is not None:
        dataset = dataset.head(config.training.max_batches * config.training.batch_size)
    if not config.dataset.class_names:
        config = replace(config, dataset=replace(config.dataset, class_names=dataset.class_names))
    splits = ["validation", "test"] if config.evaluate_test else ["validation"]
    absent = reports.absent_classes(dataset, config.training.recorded, splits)
    unbalanced = reports.unbalanced_classes(dataset, config)
    return store, config, replace(dataset, warnings=dataset.warnings + absent + unbalanced)


def reusable_result(
    store: tracking.Store, config: Config, dataset: datasets.Dataset, fingerprint: str
) -> TrainResult | None:
    """Return the result of a finished run of the same training, if `tracking.on_duplicate=reuse` asks for it."""
    if config.tracking.on_duplicate != "reuse":
        return None
    earlier = tracking.finished_result(store, fingerprint, dataset.warnings)
    if earlier is not None:
        console.say(f"reusing run {earlier.run_id}, a finished run of the same training")
        console.warn(earlier.warnings)
    return earlier


def prepare_model(config: Config, dataset: datasets.Dataset) -> keras.Model:
    """Return the compiled network, with fresh weights or with those that `training.initial_weights` names."""
    fitting.start_tensorflow(config)
    console.warn(fitting.unused_gpus())
    fitting.seed_everything(config.seed, config.training.deterministic)
    with deferred(), fitting.explain_out_of_memory(config.training.batch_size):
        with fitting.precision(config.training.precision), fitting.replicating(config):
            model = models.build_model(config.model, dataset.input_shape, len(dataset.class_names))
        if config.training.initial_weights:
            start_from(config.training.initial_weights, model, config)
        elif isinstance(config.model, TransferConfig):
            models.load_backbone(model, config.model)
        fitting.compile_model(model, config, batches(dataset, config))
    return model


def start_from(name: str, model: keras.Model, config: Config) -> None:
    """Copy the weights of a model file, or of the model that a run keeps, into the model."""
    if (file := local_path(name)).is_file():
        fitting.copy_weights(saving.load_model(file), model, name)
        return
    with open_initial_run(config.tracking, name) as earlier, earlier.model_folder() as folder:
        fitting.copy_weights(saving.load_model(saving.keras_file(folder)), model, f"run {name}")


def fit_with_progress(
    model: keras.Model,
    dataset: datasets.Dataset,
    config: Config,
    observers: Sequence[fitting.Observer],
    checkpoints: Checkpoints,
) -> fitting.Fit:
    """Train the model, with a line in the terminal for each epoch."""
    monitor = config.training.monitor if dataset.validation else None
    with console.EpochLines(config.training.max_epochs, batches(dataset, config), monitor) as lines:
        if checkpoints.resumed is not None:
            lines.note_earlier(checkpoints.resumed.state["history"])
        return fitting.fit(model, dataset, config, [*observers, lines], lines.on_batches, checkpoints)


def prepare_for_saving(model: keras.Model, config: Config, dataset: datasets.Dataset) -> keras.Model:
    """Return the model that is scored and saved: the trained one, computing in float32 on one device."""
    if model.dtype_policy.name == "float32" and fitting.replicas_of(model) == 1:
        return model
    return fitting.copy_weights(model, models.build_model(config.model, dataset.input_shape, len(dataset.class_names)))


def score_test_split(model: keras.Model, dataset: datasets.Dataset, config: Config) -> fitting.Scores | None:
    """Return the scores of the test split, None if it is not to be looked at."""
    if not config.evaluate_test:
        return None
    return fitting.score(model, dataset.test, config.loss, config.training.recorded)


def allow_reuse(run: tracking.Run, fingerprint: str, fitted: fitting.Fit, keeper: Keeper) -> None:
    """Let `tracking.on_duplicate=reuse` find the run, unless it has no model or an observer ended the training.

    Another observer might not have ended it. A run that was resumed with other code or packages is not found either.
    """
    is_pure = fitted.stopped != "observer" and not keeper.checkpoints.changes
    if is_pure and keeper.is_kept == keeper.is_wanted:
        run.set_tags({tracking.FINGERPRINT: fingerprint})


def batches(dataset: datasets.Dataset, config: Config) -> int:
    """Return the number of batches in an epoch, of which the last one may be smaller."""
    return math.ceil(len(dataset.train) / config.training.batch_size)


@entry_point("train")
def main(config: Config, overrides: list[str]) -> None:
    """Train, then print the result, what to try next with a user's own data, and where to see the run."""
    result = train(config, overrides=overrides)

    console.say_classes(result.classes)
    monitored = {name: result.metrics[name] for name in [config.training.monitor] if name in result.metrics}
    tested = {name: result.metrics[name] for name in metric_names(TEST) if name in result.metrics}
    console.say(f"best epoch {result.best_epoch}  {format_scores(monitored, {})}".rstrip())
    if tested:
        console.say(format_scores(tested, result.intervals))
    if result.calibration is not None:
        console.say(format_calibration(result.calibration))
    if isinstance(config.dataset, OwnDataConfig) and config.resume is None:
        console.say("what to try next:")
        for purpose, command in links.next_commands(config, overrides, result.run_id):
            console.say(f"  {command}\n    {purpose}")
    if result.run_id:
        console.say_where(result.run_id, result.experiment_id, config.tracking.uri)


if __name__ == "__main__":
    main()
