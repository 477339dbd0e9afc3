"""The formulas of the metrics: equal to scikit-learn's, also for classes that do not occur."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from src.datasets.arrays import Labels
from src.fitting import formulas
from src.fitting.formulas import Probabilities
from src.schema import METRICS, load_name

Split = tuple[Labels, Probabilities]
EXACT = 1e-12


@st.composite
def splits(draw: st.DrawFn, min_classes: int = 2, is_complete: bool = False) -> Split:
    """Labels and probabilities of a few images, with ties and classes never predicted.

    There are classes without images, unless `is_complete`.
    """
    classes = draw(st.integers(min_classes, 8))
    images = draw(st.integers(classes if is_complete else 1, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    occurring = random.permutation(classes)[: classes if is_complete else draw(st.integers(1, classes))]
    labels = np.concatenate([occurring, random.choice(occurring, images)])[:images].astype(np.uint8)
    steps = draw(st.sampled_from([3, 10, 10**6]))  # few of them give equal probabilities
    weights = random.integers(0, steps, (images, classes)) + random.integers(0, 2, (1, classes)) + 1e-3
    return labels, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def predicted(probabilities: Probabilities) -> Labels:
    return probabilities.argmax(axis=1).astype(np.uint8)


def macro(function: Callable[..., float]) -> Callable[[Labels, Probabilities], float]:
    return lambda labels, probabilities: function(labels, predicted(probabilities), average="macro", zero_division=0)


def balanced_accuracy(labels: Labels, probabilities: Probabilities) -> float:
    with warnings.catch_warnings():  # scikit-learn warns of a predicted class without images
        warnings.simplefilter("ignore")
        return float(sklearn.metrics.balanced_accuracy_score(labels, predicted(probabilities)))


def top5(labels: Labels, probabilities: Probabilities) -> float:
    classes = range(probabilities.shape[1])
    return float(sklearn.metrics.top_k_accuracy_score(labels, probabilities, k=5, labels=classes))


def brier(labels: Labels, probabilities: Probabilities) -> float:
    classes = range(probabilities.shape[1])
    return float(sklearn.metrics.brier_score_loss(labels, exact(probabilities), labels=classes))


def loss(labels: Labels, probabilities: Probabilities) -> float:
    classes = range(probabilities.shape[1])
    return float(sklearn.metrics.log_loss(labels, exact(probabilities.clip(1e-7)), labels=classes))


def exact(probabilities: Probabilities) -> np.ndarray:
    """The probabilities in float64; scikit-learn warns if their sum is not 1."""
    return probabilities.astype(np.float64) / probabilities.astype(np.float64).sum(axis=1, keepdims=True)


PEERS: dict[str, Callable[[Labels, Probabilities], float]] = {
    "loss": loss,
    "accuracy": lambda labels, probabilities: sklearn.metrics.accuracy_score(labels, predicted(probabilities)),
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro(sklearn.metrics.f1_score),
    "macro_precision": macro(sklearn.metrics.precision_score),
    "macro_recall": macro(sklearn.metrics.recall_score),
    "top5_accuracy": top5,
    "brier": brier,
}
ROUNDED = 1e-6  # for probabilities whose sum is exactly 1


@pytest.mark.parametrize("name", PEERS)
@given(data=st.data())
def test_a_metric_is_that_of_scikit_learn(name: str, data: st.DataObject) -> None:
    labels, probabilities = data.draw(splits(METRICS[name].min_classes))
    value = load_name(str(METRICS[name].in_test))(labels, probabilities)
    assert value == pytest.approx(
        PEERS[name](labels, probabilities), abs=ROUNDED if name in ("loss", "brier") else EXACT
    )


@given(split=splits())
def test_the_auc_is_the_mean_of_scikit_learn_over_the_classes_that_occur(split: Split) -> None:
    labels, probabilities = split
    areas = [
        sklearn.metrics.roc_auc_score(labels == label, probabilities[:, label])
        for label in np.unique(labels)
        if not (labels == label).all()
    ]
    assert formulas.auc(labels, probabilities) == pytest.approx(np.mean(areas) if areas else 0.5, abs=EXACT)


@given(split=splits(min_classes=3, is_complete=True))
def test_the_auc_of_a_split_with_all_classes_is_that_of_scikit_learn(split: Split) -> None:
    labels, probabilities = split
    expected = sklearn.metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert formulas.auc(labels, probabilities) == pytest.approx(expected, abs=EXACT)


@given(split=splits())
def test_the_calibration_error_is_the_sum_over_the_bins(split: Split) -> None:
    labels, probabilities = split
    confidences = probabilities.max(axis=1).astype(np.float64)
    is_right = predicted(probabilities) == labels
    expected = 0.0
    for number in range(15):
        inside = (confidences * 15 > number) & (confidences * 15 <= number + 1)
        if inside.any():
            expected += inside.mean() * abs(is_right[inside].mean() - confidences[inside].mean())
    assert formulas.calibration_error(labels, probabilities) == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("name", METRICS)
@given(split=splits())
def test_a_metric_is_a_finite_number_for_any_split_and_does_not_warn(name: str, split: Split) -> None:
    value = load_name(str(METRICS[name].in_test))(*split)
    assert isinstance(value, float)
    assert np.isfinite(value)


@pytest.mark.parametrize(
    ("name", "best", "worst"),
    [
        ("accuracy", 1.0, 0.0),
        ("balanced_accuracy", 1.0, 0.0),
        ("macro_f1", 1.0, 0.0),
        ("macro_precision", 1.0, 0.0),
        ("macro_recall", 1.0, 0.0),
        ("loss", 0.0, -np.log(1e-7)),
        ("brier", 0.0, 2.0),
        ("calibration_error", 0.0, 1.0),
    ],
)
def test_right_and_wrong_answers_give_the_ends_of_the_range(name: str, best: float, worst: float) -> None:
    labels = np.arange(3, dtype=np.uint8).repeat(2)
    function = load_name(str(METRICS[name].in_test))
    right = np.eye(3, dtype=np.float32)[labels]
    wrong = np.eye(3, dtype=np.float32)[(labels + 1) % 3]
    assert function(labels, right) == pytest.approx(best, abs=1e-6)
    assert function(labels, wrong) == pytest.approx(worst, abs=1e-6)


@pytest.mark.parametrize(("reverse", "area"), [(False, 1.0), (True, 0.0)])
def test_the_auc_is_1_for_a_perfect_order_and_0_for_its_reverse(reverse: bool, area: float) -> None:
    labels = np.array([0, 0, 1, 1], np.uint8)
    probabilities = np.eye(2, dtype=np.float32)[labels]
    assert formulas.auc(labels, 1 - probabilities if reverse else probabilities) == area


def test_the_auc_of_a_single_class_is_that_of_chance() -> None:
    assert formulas.auc(np.zeros(3, np.uint8), np.full((3, 2), 0.5, np.float32)) == 0.5


def test_a_confidence_of_1_belongs_to_the_last_bin() -> None:
    labels = np.array([1, 0], np.uint8)  # the first is wrong, the second right
    probabilities = np.array([[1, 0], [0.95, 0.05]], np.float32)
    assert formulas.calibration_error(labels, probabilities) == pytest.approx(abs(1 - 1 - 0.95) / 2, abs=1e-6)
