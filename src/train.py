"""One tracked training run.

python -m src.train model=lenot
python -m src.train model=lenot dataset=mnist training.epochs=3 optimizer=adam optimizer.learning_rate=1e-3
python -m src.train --help
"""

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.compose import entry_point
from src.results import TrainResult
from src.schema import Config

if TYPE_CHECKING:
    import keras

    from src.datasets import Dataset
    from src.fitting import Observer
    from src.tracking import Run

EXAMPLES = 16  # test images that the saved formats must agree on


def train(
    config: Config,
    *,
    dataset: "Dataset | None" = None,
    observers: "Sequence[Observer]" = (),
    parent_run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
) -> TrainResult:
    """Trains the network that the config describes, scores it once on the test split, and records everything in MLflow.

    Args:
        config: the run's whole configuration, from the command line or from `compose_config([...])`.
        dataset: data that is already loaded; read as `config.dataset` says when it is None.
        observers: called after each epoch with its number, counted from 1, and its metrics; one that returns True ends
            the training.
        parent_run_id: the MLflow run under which this one is shown.
        tags: added to `config.tags`.
        overrides: what was typed, kept with the run.

    Raises:
        UserError: a store, a data set or a loss that does not allow the run to go on; the message says what to do.
    """
    from src import console

    with (
        console.native_messages_hidden()
    ):  # TensorFlow and MLflow are imported here, once the config is known to be good
        from src import fitting, tracking
        from src.datasets import load_dataset
        from src.models import build_model

        fitting.prepare_devices()

    dataset = (dataset or load_dataset(config.dataset)).head(_images_in(config.training.max_batches, config))
    console.warn(dataset.warnings)
    with tracking.start_run(config, overrides=list(overrides), parent_run_id=parent_run_id, tags=tags) as run:
        fitting.seed_everything(config.seed)
        model = build_model(config.model, dataset.input_shape, len(dataset.class_names))
        fitting.compile_model(model, config)
        run.log_dataset(dataset.name, dataset.digest, dataset.source, _sizes(dataset))
        run.log_params(_resolved(dataset, model))

        lines = console.EpochLines(
            config.training.epochs, _batches(dataset, config), config.training.monitor if dataset.validation else None
        )
        try:
            with lines:
                fitted = fitting.fit(model, dataset, config, [run.log_epoch, lines, *observers], lines.on_batches)
        except KeyboardInterrupt:
            if lines.seconds:  # at least one whole epoch: keep its weights, so that training can go on from them
                keep_model(run, model, dataset, formats=("model.keras",))
            raise

        metrics = {name: values[fitted.best_epoch - 1] for name, values in fitted.history.items()}
        scores = fitting.score(model, dataset.test) if config.evaluate_test else None
        if scores is not None:
            tested = {"test_loss": scores.loss, "test_accuracy": scores.accuracy}
            run.log_metrics(tested, fitted.best_epoch)
            metrics |= tested
        if config.tracking.save_model:
            keep_model(run, model, dataset)
            examples = dataset.test.images[:EXAMPLES]
            run.log_model(model, config.model.name, examples, model.predict(examples, verbose=0), fitted.best_epoch)
        result = TrainResult(
            run_id=run.run_id,
            best_epoch=fitted.best_epoch,
            metrics=metrics,
            history=fitted.history,
            stopped=fitted.stopped,
            warnings=dataset.warnings,
        )
        run.describe(summary(config, result, dataset))
    return result


def keep_model(run: "Run", model: "keras.Model", dataset: "Dataset", formats: "tuple[str, ...] | None" = None) -> None:
    """Puts the model's files, checked by reading them back, into the run's folder `model/`."""
    from src import saving

    with tempfile.TemporaryDirectory() as folder:
        saved = saving.save_model(
            model, Path(folder) / "model", dataset.test.images[:EXAMPLES], formats or saving.FORMATS
        )
        run.log_folder(saved, "model")


def summary(config: Config, result: TrainResult, dataset: "Dataset") -> str:
    """The run in a few lines of Markdown: what was trained on what, and how well it did."""
    lines = [f"**{warning}**\n" for warning in result.warnings]
    shown = [
        f"{name} {result.metrics[name]:.4f}"
        for name in ("test_accuracy", "val_accuracy", "accuracy")
        if name in result.metrics
    ]
    sizes = _sizes(dataset)
    lines += [
        f"{config.model.name} on {dataset.name} ({dataset.source}): " + ", ".join(shown),
        f"- best epoch {result.best_epoch} of {len(result.history['loss'])}"
        + (f", ended by {result.stopped}" if result.stopped else ""),
        f"- {sizes['train']:,} training, {sizes['validation']:,} validation, {sizes['test']:,} test images",
        f"- {config.optimizer.name}, learning rate {config.optimizer.learning_rate:g}, "
        f"batch {config.training.batch_size}, seed {config.seed}",
    ]
    return "\n".join(lines)


def _sizes(dataset: "Dataset") -> dict[str, int]:
    return {"train": len(dataset.train), "validation": len(dataset.validation or ()), "test": len(dataset.test)}


def _resolved(dataset: "Dataset", model: "keras.Model") -> dict[str, object]:
    """What was decided at run time and stands in no config."""
    sizes = {f"resolved.{split}_images": count for split, count in _sizes(dataset).items()}
    return sizes | {
        "resolved.data_source": dataset.source,
        "resolved.data_digest": dataset.digest,
        "resolved.precision": model.dtype_policy.name,
        "resolved.threads": os.cpu_count(),
        "resolved.parameters": model.count_params(),
    }


def _batches(dataset: "Dataset", config: Config) -> int:
    return math.ceil(len(dataset.train) / config.training.batch_size)


def _images_in(batches: int | None, config: Config) -> int | None:
    return None if batches is None else batches * config.training.batch_size


@entry_point("train")
def main(config: Config, overrides: list[str]) -> None:
    """Trains, then says where to look."""
    result = train(config, overrides=overrides)
    from src import console

    console.warn(result.warnings)
    console.say(
        "  ".join(
            f"{name} {result.metrics[name]:.4f}" for name in ("test_loss", "test_accuracy") if name in result.metrics
        )
    )
    if result.run_id:
        console.say(f"run {result.run_id} is kept in {config.tracking.uri}: look at it with `make ui`")


if __name__ == "__main__":
    main()
