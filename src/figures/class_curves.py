"""ROC and precision-recall curves of each class against the others."""

import heapq
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from src.figures.colors import BLUE, GREEN, ORANGE, RED
from src.results import short_name

Values = npt.NDArray[np.floating]

MAX_CLASSES = 10  # that are drawn; of more those with the smallest area under the ROC curve
CERTAIN = 0.99  # precision; a class whose curve falls below it only near the end is drawn from there
STYLES = ("-", "--", ":")  # with four colors they are enough for ten classes


class ClassCurve(NamedTuple):
    """The curves of one class against the others.

    Attributes:
        name: of the class.
        false_positives, true_positives: rates at the same thresholds, the points of the ROC curve.
        recall, precision: at the same thresholds, the points of the other curve.
        auc: the area under the ROC curve.
        average_precision: the mean precision, weighted by the steps of recall.
    """

    name: str
    false_positives: Values
    true_positives: Values
    recall: Values
    precision: Values
    auc: float
    average_precision: float


class ClassCurves(NamedTuple):
    """The curves that are drawn.

    Attributes:
        curves: the worst class first.
        classes: the number of classes that have curves.
        images: the number of images.
    """

    curves: list[ClassCurve]
    classes: int
    images: int


def class_curves_data(
    labels: npt.NDArray[np.integer], probabilities: npt.NDArray[np.float32], class_names: Sequence[str]
) -> ClassCurves:
    """Return the curves of the classes with the smallest area, of those that have images and are not alone.

    Args:
        labels: (n,).
        probabilities: float32, (n, classes).
        class_names: the name of each class.
    """
    images = np.bincount(labels, minlength=len(class_names))
    present = np.flatnonzero((images > 0) & (images < len(labels))).tolist()
    curves = (_curve(class_names[label], labels == label, probabilities[:, label]) for label in present)
    worst = heapq.nsmallest(MAX_CLASSES, curves, key=lambda curve: curve.auc)
    return ClassCurves(worst, len(present), len(labels))


def _curve(name: str, is_member: npt.NDArray[np.bool_], scores: npt.NDArray[np.float32]) -> ClassCurve:
    """Return the curves of a class: a point for each score, which as a threshold divides the images, and a first one.

    scikit-learn has functions for them, but importing it takes longer than all of this picture.
    """
    order = np.argsort(-scores, kind="stable")
    chosen = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1) + 1  # images, for each score
    right = np.cumsum(is_member[order])[chosen - 1]
    recall, precision = right / right[-1], right / chosen
    wrong = (chosen - right) / (chosen - right)[-1]
    true_positives, false_positives = np.append(0.0, recall), np.append(0.0, wrong)
    return ClassCurve(
        name=name,
        false_positives=false_positives,
        true_positives=true_positives,
        recall=true_positives,
        precision=np.append(1.0, precision),
        auc=float(np.trapezoid(true_positives, false_positives)),
        average_precision=float((np.diff(true_positives) * precision).sum()),
    )


def _room(shares: Iterable[float]) -> float:
    """Return where an axis begins that shows from the smallest share to 1 with some room, at a multiple of 0.1."""
    return max(0.0, math.floor(10 * min(shares)) / 10 - 0.1)


def plot_class_curves(data: ClassCurves) -> Figure:
    """Draw both kinds of curves side by side, with a legend of the classes that gives their areas."""
    figure = Figure(figsize=(12.5, 4.6), layout="constrained")
    roc, precision = figure.subplots(1, 2)
    least = 0.5 / data.images  # a logarithmic axis has no 0
    styles = itertools.cycle(itertools.product(STYLES, (BLUE, RED, GREEN, ORANGE)))
    for curve, (style, color) in zip(data.curves, styles, strict=False):
        label = f"{short_name(curve.name)}: {curve.auc:.4f}, {curve.average_precision:.4f}"
        roc.plot(np.maximum(curve.false_positives, least), curve.true_positives, style, color=color, label=label)
        precision.plot(curve.recall, curve.precision, style, color=color)
    bottom = _room(curve.true_positives[curve.false_positives <= least].max() for curve in data.curves)
    roc.set(
        xscale="log",
        xlim=(least, 1),
        ylim=(bottom, 1 + (1 - bottom) / 50),
        xlabel="false positive rate",
        ylabel="true positive rate",
    )
    roc.set_title("ROC")
    left = _room(curve.recall[curve.precision > CERTAIN].max() for curve in data.curves)
    precision.set(
        xlim=(left, 1 + (1 - left) / 50),
        ylim=(0, 1.02),
        xlabel="recall",
        ylabel="precision",
        title="precision and recall",
    )
    for axes in (roc, precision):
        axes.grid(alpha=0.3)
    shown = f"the worst {len(data.curves)} of {data.classes} classes" if data.classes > len(data.curves) else "classes"
    legend = figure.legend(
        loc="outside right upper",
        frameon=False,
        title=f"{shown}, area under ROC\nand average precision",
        fontsize=9,
        alignment="left",
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure
