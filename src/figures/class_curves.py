"""ROC and precision-recall curves of each class against the others."""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

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
    present = np.flatnonzero((images > 0) & (images < len(labels)))
    areas = {label: float(roc_auc_score(labels == label, probabilities[:, label])) for label in present.tolist()}
    worst = sorted(areas, key=lambda label: areas[label])[:MAX_CLASSES]
    curves = []
    for label in worst:
        is_member, scores = labels == label, probabilities[:, label]
        false_positives, true_positives, _ = roc_curve(is_member, scores)
        precision, recall, _ = precision_recall_curve(is_member, scores, drop_intermediate=True)
        average = float(average_precision_score(is_member, scores))
        name = class_names[label]
        curves.append(ClassCurve(name, false_positives, true_positives, recall, precision, areas[label], average))
    return ClassCurves(curves, len(areas), len(labels))


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
