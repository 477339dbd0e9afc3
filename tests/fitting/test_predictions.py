"""The metrics of the validation split that are computed from all of its predictions."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from src import fitting
from src.datasets import Split
from src.errors import UserError
from src.fitting import epochs, fit
from src.fitting.batches import scoring_batches
from src.fitting.predictions import _Kept, predictions_of
from src.models import predict
from src.schema import METRICS, Metric
from tests.support.training import ready

COMPUTED = [name for name, metric in METRICS.items() if metric.in_epoch is None and name != "loss"]
ALL = f"training.metrics=[{','.join(COMPUTED)}]"
LARGE = ["dataset.train_size=2200", "dataset.validation_size=1050", "training.epochs=1"]  # scored in two batches


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["training.steps_per_execution=3"],
        ["training.class_weights=balanced"],
        ["training.precision=mixed_bfloat16"],
        ["training.deterministic=true"],
        [*LARGE, "training.steps_per_execution=32"],
    ],
    ids=lambda settings: ",".join(settings) or "default",
)
def test_each_metric_of_an_epoch_is_that_of_the_scored_split(settings: list[str]) -> None:
    model, dataset, config = ready(ALL, *settings)
    fitted = fit(model, dataset, config)
    assert dataset.validation
    scores = fitting.score(model, dataset.validation, config.loss, config.training.recorded)
    for name in COMPUTED:
        assert fitted.metrics[f"val_{name}"] == pytest.approx(scores.metrics[name], abs=1e-6), name


def test_the_split_is_read_once_in_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def counted(split: Split, batch_size: int) -> tf.data.Dataset:
        def note(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            tf.numpy_function(lambda found: read.append(len(found)), [labels], [])
            return images, labels

        return scoring_batches(split, batch_size).map(note)

    monkeypatch.setattr(epochs, "scoring_batches", counted)
    fit(*ready(ALL))
    assert read == [16, 16]


def test_without_such_a_metric_nothing_is_kept() -> None:
    model, dataset, config = ready()
    fit(model, dataset, config)
    assert predictions_of(model) is None


def test_what_is_kept_is_the_validation_split_and_only_until_the_epoch_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    joined = _Kept.joined

    def noted(found: _Kept) -> Any:
        labels, probabilities = joined(found)
        kept.append(len(labels))
        return labels, probabilities

    monkeypatch.setattr(_Kept, "joined", noted)
    model, dataset, config = ready(ALL)
    fit(model, dataset, config)
    predictions = predictions_of(model)
    assert predictions
    assert (kept, len(predictions._kept.batches)) == ([16, 16], 0)


def test_history_and_training_are_those_without_them() -> None:
    simple, with_all = (fit(*ready("training.deterministic=true", *typed)) for typed in ([], [ALL]))
    names = simple.history.keys() - {"epoch_seconds", "images_per_second"}
    assert {name: with_all.history[name] for name in names} == {name: simple.history[name] for name in names}


def test_without_a_validation_split_there_are_none() -> None:
    fitted = fit(*ready(ALL, "dataset.validation_size=0"))
    assert not [name for name in fitted.history if name.startswith("val_")]


def test_a_schedule_and_early_stopping_see_them() -> None:
    still = ["optimizer=sgd", "optimizer.learning_rate=1e-20", "training.epochs=5", "training.monitor=val_macro_f1"]
    plateau = ["schedule=reduce_on_plateau", "schedule.patience=1", "schedule.min_learning_rate=0"]
    fitted = fit(*ready(*still, *plateau, "training.early_stopping_patience=2"))
    assert (len(fitted.history["loss"]), fitted.stopped) == (3, "early_stopping")
    assert fitted.history["learning_rate"] == pytest.approx([1e-20, 1e-20, 5e-21], rel=1e-5, abs=0)


def test_classes_without_images_in_the_split_give_finite_values_and_no_warning() -> None:
    model, dataset, config = ready(ALL)
    assert dataset.validation
    only = dataset.validation.labels == dataset.validation.labels[0]
    split = Split(dataset.validation.images[only], dataset.validation.labels[only])
    fitted = fit(model, dataclasses.replace(dataset, validation=split), config)
    assert all(np.isfinite(values).all() for values in fitted.history.values())
    assert fitted.history["val_auc"] == [0.5, 0.5]


def own_metric(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return float(probabilities[np.arange(len(labels)), labels].min())


def failing(labels: np.ndarray, probabilities: np.ndarray) -> float:
    raise ValueError("no number")


def test_a_function_of_labels_and_probabilities_is_all_that_a_further_metric_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(METRICS, "own", Metric(direction="maximize", label="own", in_test=f"{__name__}:own_metric"))
    model, dataset, config = ready("training.monitor=val_own")
    fitted = fit(model, dataset, config)
    assert dataset.validation
    found = own_metric(dataset.validation.labels, predict(model, dataset.validation.images))
    assert fitted.metrics["val_own"] == pytest.approx(found, abs=1e-6)
    assert fitted.best_epoch == int(np.argmax(fitted.history["val_own"])) + 1


def test_a_function_that_fails_is_reported_before_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "own", Metric(direction="maximize", label="own", in_test=f"{__name__}:failing"))
    with pytest.raises(UserError, match=f"^metric own: {__name__}:failing failed: ValueError: no number"):
        ready("training.metrics=[own]")
