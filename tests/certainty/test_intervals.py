"""Intervals of metrics: what they contain, how often, and for the smallest and most extreme splits."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from src.certainty import MetricFunction, intervals_of, mean_interval, resamples
from src.errors import UserError
from src.fitting import metric_functions
from src.schema import METRICS, CrossEntropyConfig, Metric
from tests.support.probabilities import Labels, Probabilities, accuracy, brier, nan_without_class_0, random_model

FUNCTIONS = metric_functions(CrossEntropyConfig())


def certain(labels: list[int], predicted: list[int], classes: int = 3) -> tuple[Labels, Probabilities]:
    """Return a model that is certain of these predictions."""
    return np.array(labels), np.eye(classes, dtype=np.float32)[predicted]


@pytest.fixture
def interval_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[float, float] | None]:
    """A function that returns the interval of any function of labels and probabilities."""

    def interval_of(labels: Labels, probabilities: Probabilities, function: MetricFunction):
        metric = Metric(direction="maximize", label="given", in_epoch=None, in_test="none")
        monkeypatch.setitem(METRICS, "given", metric)
        return intervals_of(labels, probabilities, {"given": function}).get("given")

    return interval_of


def test_every_metric_of_the_table_has_an_interval_around_its_value():
    labels, probabilities = random_model(1, 200, classes=6)
    found = intervals_of(labels, probabilities, FUNCTIONS)
    assert list(found) == list(FUNCTIONS)
    for name, function in FUNCTIONS.items():
        assert found[name].low <= function(labels, probabilities) <= found[name].high
        assert found[name].high - found[name].low > 0.01


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 500), st.integers(1, 500))
def test_accuracy_has_the_interval_of_wilson(right: int, images: int):
    right = min(right, images)
    labels, probabilities = certain([0] * images, [0] * right + [1] * (images - right))
    found = intervals_of(labels, probabilities, {"accuracy": accuracy})["accuracy"]
    expected = binomtest(right, images).proportion_ci(0.95, method="wilson")
    assert found == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= found.low <= right / images <= found.high <= 1


@pytest.mark.parametrize("predicted", [[0, 1, 2] * 20, [1, 2, 0] * 20], ids=["all right", "all wrong"])
def test_a_model_that_is_always_right_or_wrong_has_intervals_of_finite_numbers(predicted: list[int]):
    labels, probabilities = certain([0, 1, 2] * 20, predicted)
    found = intervals_of(labels, probabilities, FUNCTIONS)
    assert list(found) == list(FUNCTIONS)
    assert np.isfinite(list(found.values())).all()
    assert 0 < found["accuracy"].high - found["accuracy"].low < 0.1  # 60 images do not prove that it never errs


def test_one_image_has_an_interval():
    labels, probabilities = random_model(1, 1)
    found = intervals_of(labels, probabilities, {name: FUNCTIONS[name] for name in ("accuracy", "loss")})
    assert found["accuracy"].high - found["accuracy"].low > 0.5
    assert found["loss"].low == found["loss"].high == FUNCTIONS["loss"](labels, probabilities)


def test_a_class_that_is_rare_or_missing_gives_no_warning_and_no_nan():
    labels, probabilities = certain([0] * 50 + [1], [0] * 49 + [1, 1], classes=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = intervals_of(labels, probabilities, FUNCTIONS)
    assert np.isfinite(list(found.values())).all()


def test_the_same_predictions_always_have_the_same_intervals():
    first, second = (intervals_of(*random_model(1, 50), FUNCTIONS) for _ in range(2))
    assert first == second


def test_more_images_have_narrower_intervals(interval_of: Callable):
    few, many = (interval_of(*random_model(1, images), brier) for images in (100, 1_600))
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(4, rel=0.3)


@pytest.mark.parametrize(("images", "skill"), [(60, 1.0), (300, 2.0)])
def test_about_95_of_100_intervals_contain_the_true_value(
    few_resamples: None, interval_of: Callable, images: int, skill: float
):
    truth = brier(*random_model(99_999, 200_000, skill=skill))
    found = [interval_of(*random_model(seed, images, skill=skill), brier) for seed in range(100)]
    assert 0.88 <= np.mean([low <= truth <= high for low, high in found]) <= 0.99


def test_the_value_is_inside_even_if_it_is_larger_in_all_resamples(interval_of: Callable):
    labels, probabilities = random_model(1, 40)
    duplicates = lambda labels, probabilities: 40.0 - len(np.unique(probabilities[:, 0]))  # noqa: E731
    low, high = interval_of(labels, probabilities, duplicates)
    assert low == 0 < high


def test_resamples_in_which_a_metric_is_not_defined_do_not_count(interval_of: Callable):
    probabilities = np.full((4, 2), 0.5, np.float32)
    assert interval_of(np.array([0, 1, 1, 1]), probabilities, nan_without_class_0) == (1, 1)
    assert interval_of(np.array([1, 1, 1, 1]), probabilities, nan_without_class_0) is None


def test_resamples_in_which_a_users_metric_fails_do_not_count(interval_of: Callable):
    def fails_without_class_0(labels: Labels, probabilities: Probabilities) -> float:
        if not (labels == 0).any():
            raise UserError("no image of class 0")
        return 0.5

    labels, probabilities = random_model(1, 6)
    assert interval_of(labels, probabilities, fails_without_class_0) == (0.5, 0.5)


def test_the_mean_of_one_model_has_the_interval_of_the_model(interval_of: Callable):
    labels, probabilities = random_model(1, 80)
    assert mean_interval(labels, [probabilities], brier) == interval_of(labels, probabilities, brier)


def test_the_mean_of_several_models_is_as_uncertain_as_the_images_are():
    labels, model = random_model(1, 80)
    assert mean_interval(labels, [model] * 3, brier) == pytest.approx(mean_interval(labels, [model], brier))


def test_a_large_split_is_resampled_fewer_times(monkeypatch: pytest.MonkeyPatch):
    labels, model = random_model(1, 10)
    assert len(resamples.resampled_metrics(labels, [model], [accuracy])) == resamples.MAX_RESAMPLES
    monkeypatch.setattr(resamples, "MAX_READ", 500 * model.size)
    assert len(resamples.resampled_metrics(labels, [model], [accuracy])) == 500
    monkeypatch.setattr(resamples, "MAX_READ", model.size)
    assert len(resamples.resampled_metrics(labels, [model], [accuracy])) == resamples.MIN_RESAMPLES
