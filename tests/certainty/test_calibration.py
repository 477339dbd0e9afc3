"""Reliability, and the temperature that makes a model as sure as it is right."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.certainty import calibrate, fit_temperature, reliability_of
from tests.support.probabilities import random_model, softmax


def sampled_model(temperature: float, images: int = 4_000, classes: int = 5):
    """Return labels that were drawn from a model's own probabilities, and its probabilities at another temperature."""
    random = np.random.default_rng(1)
    logits = 2.5 * random.normal(size=(images, classes))
    truth = softmax(logits).astype(float)
    labels = (truth.cumsum(axis=1) / truth.sum(axis=1, keepdims=True) < random.random((images, 1))).sum(axis=1)
    return labels, softmax(logits / temperature)


def test_the_bins_have_the_mean_confidence_and_the_share_of_right_predictions():
    probabilities = np.array([[0.9, 0.1], [0.92, 0.08], [0.45, 0.55]], np.float32)
    found = reliability_of(np.array([0, 1, 1]), probabilities)
    assert found.images.tolist() == [0] * 8 + [1] + [0] * 4 + [2, 0]
    assert (found.accuracy[8], found.accuracy[13]) == (1, 0.5)
    assert (found.confidence[8], found.confidence[13]) == pytest.approx((0.55, 0.91))
    assert np.isnan(found.accuracy[0])
    assert found.error == pytest.approx((0.45 + 2 * 0.41) / 3)


def test_a_bin_contains_its_upper_edge():
    images = reliability_of(np.zeros(2, int), np.array([[1.0, 0.0], [0.6, 0.4]], np.float32)).images
    assert np.flatnonzero(images).tolist() in ([8, 14], [9, 14])  # 0.6 is 9/15, and float32 rounds it
    assert images[14] == 1


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_one_that_was_applied(temperature: float):
    labels, probabilities = sampled_model(1 / temperature)
    assert fit_temperature(labels, probabilities) == pytest.approx(temperature, rel=0.08)


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_a_calibrated_model_is_as_sure_as_it_is_right(temperature: float):
    labels, probabilities = sampled_model(1 / temperature)
    calibrated = calibrate(probabilities, fit_temperature(labels, probabilities))
    assert reliability_of(labels, calibrated).error < 0.03 < reliability_of(labels, probabilities).error


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1_000), st.integers(1, 60), st.integers(2, 7))
def test_no_other_temperature_has_a_smaller_loss(seed: int, images: int, classes: int):
    labels, probabilities = random_model(seed, images, classes)
    found = fit_temperature(labels, probabilities)
    assert 0.1 <= found <= 20
    if (probabilities.argmax(axis=1) == labels).all():
        assert found == 1
        return

    def loss(temperature: float) -> float:
        of_labels = calibrate(probabilities, temperature)[np.arange(images), labels].astype(float)
        return float(-np.log(np.maximum(of_labels, 1e-37)).mean())

    assert loss(found) <= min(map(loss, np.geomspace(0.1, 20, 60))) + 1e-5


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1_000), st.floats(0.1, 20))
def test_a_temperature_keeps_the_predictions_and_one_changes_nothing(seed: int, temperature: float):
    _, probabilities = random_model(seed, 30)
    calibrated = calibrate(probabilities, temperature)
    assert calibrated.dtype == np.float32
    np.testing.assert_allclose(calibrated.sum(axis=1), 1, atol=1e-6)
    chosen = np.take_along_axis(calibrated, probabilities.argmax(axis=1)[:, None], axis=1)[:, 0]
    np.testing.assert_array_equal(chosen, calibrated.max(axis=1))
    np.testing.assert_allclose(calibrate(probabilities, 1.0), probabilities, atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "probabilities", "temperature"),
    [
        ([0, 1], [[1, 0], [0, 1]], 1.0),  # right on every image
        ([1, 0], [[1, 0], [0, 1]], 20.0),  # certain, and always wrong
        ([0], [[0.4, 0.6]], 20.0),
        ([0, 1, 0], [[0.5, 0.5]] * 3, None),  # no temperature makes a difference
        ([0, 0], [[1, 0], [1e-38, 1]], None),
    ],
)
def test_extreme_models_have_a_finite_temperature_and_no_warning(
    labels: list[int], probabilities: list[list[float]], temperature: float | None
):
    given_probabilities = np.array(probabilities, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fit_temperature(np.array(labels), given_probabilities)
        calibrated = calibrate(given_probabilities, found)
    assert 0.1 <= found <= 20
    assert temperature is None or found == pytest.approx(temperature)
    assert np.isfinite(calibrated).all()


def test_many_images_are_calibrated_in_parts(monkeypatch: pytest.MonkeyPatch):
    from src.certainty import calibration

    _, probabilities = random_model(1, 25)
    whole = calibrate(probabilities, 2.0)
    monkeypatch.setattr(calibration, "ROWS", 10)
    np.testing.assert_array_equal(calibrate(probabilities, 2.0), whole)
