"""Pictures of a run, each in two halves: `*_data` computes plain numbers that tests compare, `plot_*` draws them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import confusion_matrix

from src.results import TrialRow

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.integer]
Probabilities = npt.NDArray[np.floating]

LOSS_COLOUR, ACCURACY_COLOUR, WRONG_COLOUR = "tab:blue", "tab:green", "tab:red"


# --- learning curves ---------------------------------------------------------------------------------------------


class LearningCurves(NamedTuple):
    """Epochs counted from 1, the curves of each panel by metric name; `best_epoch` is None where nothing chose it."""

    epochs: list[int]
    loss: dict[str, list[float]]
    accuracy: dict[str, list[float]]
    best_epoch: int | None


def learning_curves_data(history: Mapping[str, list[float]], best_epoch: int | None) -> LearningCurves:
    """The loss and accuracy curves of a history, training beside validation."""
    loss, accuracy = (
        {name: history[name] for name in (metric, f"val_{metric}") if name in history}
        for metric in ("loss", "accuracy")
    )
    return LearningCurves(list(range(1, len(history["loss"]) + 1)), loss, accuracy, best_epoch)


def plot_learning_curves(data: LearningCurves) -> Figure:
    """Loss and accuracy side by side, training dashed, the best epoch marked."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = (("loss", data.loss, LOSS_COLOUR), ("accuracy", data.accuracy, ACCURACY_COLOUR))
    for axes, (title, curves, colour) in zip(figure.subplots(1, 2), panels, strict=True):
        for name, values in curves.items():
            style = "-" if name.startswith("val_") else "--"
            axes.plot(data.epochs, values, style, color=colour, label=name, marker=".")
        if data.best_epoch is not None:
            axes.axvline(data.best_epoch, color="grey", linewidth=1, label=f"best epoch ({data.best_epoch})")
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


# --- confusion matrix --------------------------------------------------------------------------------------------


class Confusion(NamedTuple):
    """`counts[i, j]`: images of class i that were taken for class j."""

    counts: npt.NDArray[np.int64]
    class_names: list[str]


def confusion_data(labels: Labels, predicted: Labels, class_names: Sequence[str]) -> Confusion:
    """Counts for every pair of classes, classes without an image included."""
    return Confusion(confusion_matrix(labels, predicted, labels=range(len(class_names))), list(class_names))


def plot_confusion(data: Confusion) -> Figure:
    """True classes in rows, predicted ones in columns; the shade is the share of the row, so that rare classes show."""
    count = len(data.class_names)
    side = max(5.0, 0.6 * count + 1.5)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    shares = data.counts / np.maximum(data.counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if count <= 30:
        for (row, column), number in np.ndenumerate(data.counts):
            if number:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(number), ha="center", va="center", color=colour, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true", title="confusion matrix")
    rotation = 90 if max(map(len, data.class_names)) > 2 else 0
    axes.set_xticks(range(count), data.class_names, rotation=rotation, parse_math=False)
    axes.set_yticks(range(count), data.class_names, parse_math=False)
    figure.colorbar(image, label="share of the true class", shrink=0.8)
    return figure


# --- mistakes ----------------------------------------------------------------------------------------------------


class Mistake(NamedTuple):
    """A wrongly classified image by its place in the split, the classes, and what the model gave to each of the two."""

    image: int
    true: str
    predicted: str
    score: float
    true_score: float


def worst_mistakes_data(
    labels: Labels, probabilities: Probabilities, class_names: Sequence[str], most: int = 25
) -> list[Mistake]:
    """The wrong predictions that the model was most sure of, surest first."""
    predicted, scores = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    surest = wrong[np.argsort(-scores[wrong], kind="stable")][:most]
    return [
        Mistake(
            int(at),
            class_names[labels[at]],
            class_names[predicted[at]],
            float(scores[at]),
            float(probabilities[at, labels[at]]),
        )
        for at in surest
    ]


def plot_mistakes(mistakes: Sequence[Mistake], images: Images) -> Figure:
    """Each image with what it was taken for, how surely, and what it is."""
    figure = _grid(
        len(mistakes), "worst mistakes: what it was taken for, what it is, its place in the test split", cell=1.9
    )
    for axes, mistake in zip(figure.axes, mistakes, strict=False):
        _show(axes, images[mistake.image])
        axes.set_title(
            f"{mistake.predicted} ({mistake.score:.2f})", color=WRONG_COLOUR, fontsize=9, pad=14, parse_math=False
        )
        axes.text(
            0.5,
            1.01,
            f"is {mistake.true} ({mistake.true_score:.2f}), #{mistake.image}",
            transform=axes.transAxes,
            ha="center",
            va="bottom",
            fontsize=8,
            parse_math=False,
        )
    return figure


# --- the trials of a sweep ---------------------------------------------------------------------------------------


class TrialCurve(NamedTuple):
    """One trial's metric, epoch by epoch, and how the trial ended."""

    number: int
    state: str
    epochs: list[int]
    values: list[float]


def trial_curves_data(rows: Sequence[TrialRow]) -> list[TrialCurve]:
    """The trials that reported something, in their order."""
    return [
        TrialCurve(row.number, row.state, sorted(row.reported), [row.reported[at] for at in sorted(row.reported)])
        for row in rows
        if row.reported
    ]


def plot_trial_curves(curves: Sequence[TrialCurve], metric: str) -> Figure:
    """A line for each trial, later ones darker; pruned ones are grey and end with a cross, failed ones in red."""
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    shades = colormaps["viridis_r"]
    for index, curve in enumerate(curves):
        shade = shades(0.15 + 0.85 * index / max(len(curves) - 1, 1))
        colour = shade if curve.state == "COMPLETE" else "grey"
        axes.plot(curve.epochs, curve.values, color=colour, alpha=0.8, linewidth=1.2, marker=".", markersize=3)
        if curve.state in ("PRUNED", "FAIL"):
            end = "black" if curve.state == "PRUNED" else WRONG_COLOUR
            axes.plot(curve.epochs[-1], curve.values[-1], marker="x", color=end, markersize=7)
    for label, marker, colour in (
        ("complete", "", shades(0.8)),
        ("pruned", "x", "black"),
        ("failed", "x", WRONG_COLOUR),
    ):
        axes.plot([], [], marker=marker, color=colour, linestyle="" if marker else "-", label=label)
    axes.set(title="intermediate values of the trials", xlabel="epoch", ylabel=metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


# --- filters -----------------------------------------------------------------------------------------------------


def plot_filters(filters: npt.NDArray[np.floating], most: int = 64) -> Figure:
    """The first convolution's kernels; blue is negative, red positive, white zero, on one scale for all."""
    shown = filters[:most].mean(axis=-1)
    figure = _grid(len(shown), "learned filters of the first convolution", cell=1.2)
    largest = float(np.abs(shown).max()) or 1.0
    for index, (axes, kernel) in enumerate(zip(figure.axes, shown, strict=False)):
        axes.imshow(kernel, cmap="bwr", vmin=-largest, vmax=largest)
        axes.set_title(str(index), fontsize=8)
    return figure


def _grid(count: int, title: str, cell: float) -> Figure:
    """A figure of empty square cells, at least one; those past `count` are left blank."""
    columns = max(1, min(count, int(np.ceil(np.sqrt(count)))))
    rows = max(1, -(-count // columns))
    figure = Figure(figsize=(max(columns * cell, 6.5), rows * (cell + 0.25) + 0.4), layout="constrained")
    figure.suptitle(title)
    for index, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.set(xticks=[], yticks=[])
        axes.set_visible(index < count)
    return figure


def _show(axes: Any, image: Images) -> None:
    grey = image.shape[-1] == 1
    axes.imshow(image[..., 0] if grey else image, cmap="gray" if grey else None, vmin=0, vmax=255)
