"""Losses: the configured one is trained, recorded and scored, and a saved model does not depend on it."""

import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

from src import console, fitting
from src.cli.compose import compose_config
from src.datasets import load_dataset
from src.evaluate import evaluate
from src.fitting import fit
from src.predict import predict
from src.register import register
from src.train import train
from tests.support.training import ready
from tests.support.workplace import Workplace


def test_the_default_loss_is_the_cross_entropy_of_the_right_classes_and_is_scored_in_float64() -> None:
    model, dataset, config = ready()
    labels = dataset.test.labels
    scores = fitting.score(model, dataset.test, config.loss)
    right = scores.probabilities[np.arange(len(labels)), labels].astype(np.float64)
    assert scores.metrics["loss"] == float(-np.log(right).mean())
    assert model.evaluate(dataset.test.images, labels, verbose=0)[0] == pytest.approx(scores.metrics["loss"], rel=1e-5)


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_another_loss_is_trained_with_its_settings_and_scored(more_kinds: list[str], power: float) -> None:
    model, dataset, config = ready(*more_kinds, "loss=distance", f"loss.power={power}")
    fitted = fit(model, dataset, config)
    assert dataset.validation
    scores = fitting.score(model, dataset.validation, config.loss)
    labels = dataset.validation.labels
    right = scores.probabilities[np.arange(len(labels)), labels]
    assert scores.metrics["loss"] == pytest.approx(float(((1 - right) ** power).mean()), rel=1e-5)
    assert fitted.metrics["val_loss"] == pytest.approx(scores.metrics["loss"], rel=1e-4)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["loss.label_smoothing=0.1"], lambda right, logs: -0.9 * np.log(right) - 0.1 * logs.mean(axis=1)),
        (["loss=focal", "loss.gamma=3"], lambda right, logs: -0.25 * (1 - right) ** 3 * np.log(right)),
        (["loss=focal", "loss.gamma=0", "loss.alpha=1"], lambda right, logs: -np.log(right)),
    ],
)
def test_smoothed_labels_and_the_focal_loss_follow_their_formulas_in_training_and_scoring(
    typed: list[str], expected: Callable[[Any, Any], Any]
) -> None:
    model, dataset, config = ready(*typed, "training.epochs=1")
    fitted = fit(model, dataset, config)
    assert dataset.validation
    scores = fitting.score(model, dataset.validation, config.loss)
    labels, probabilities = dataset.validation.labels, scores.probabilities.astype(np.float64)
    value = expected(probabilities[np.arange(len(labels)), labels], np.log(probabilities)).mean()
    assert scores.metrics["loss"] == pytest.approx(float(value), rel=1e-4)
    assert fitted.metrics["val_loss"] == pytest.approx(scores.metrics["loss"], rel=1e-4)


@pytest.mark.services
def test_a_model_trained_with_a_loss_that_keras_does_not_have_is_saved_scored_registered_and_predicts(
    workplace: Workplace, more_kinds: list[str]
) -> None:
    store = f"tracking.uri='{workplace.uri}'"
    config = compose_config([*more_kinds, "loss=distance", "dataset=synthetic", "training.epochs=1", store])
    with console.console.capture() as captured:
        result = train(config)
    run_id = str(result.run_id)
    run = MlflowClient(workplace.uri).get_run(run_id)
    assert "loss          distance" in captured.get()
    assert "- loss: distance" in run.data.tags["mlflow.note.content"]
    assert run.data.params["loss.power"] == "2.0"

    with zipfile.ZipFile(workplace.folder / "mlartifacts" / run_id / "artifacts/model/model.keras") as archive:
        assert not json.loads(archive.read("config.json"))["compile_config"]
    again = evaluate(compose_config([store, f"run_id={run_id}"], "evaluate"))
    assert again.metrics["test_loss"] == result.metrics["test_loss"]
    register(compose_config([store, f"run_id={run_id}", "alias=champion"], "register"))
    Image.fromarray(load_dataset(config.dataset).test.images[0, ..., 0]).save(workplace.folder / "first.png")
    places = [f"images='{workplace.folder / 'first.png'}'", f"output='{workplace.folder / 'answers.csv'}'"]
    answers = predict(compose_config([store, "model_uri=models:/synthetic@champion", *places], "predict"))
    assert sum(answers.counts.values()) == 1
