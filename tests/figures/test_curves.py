"""Learning curves: the metrics of each panel, and the marks."""

import pytest
from matplotlib.figure import Figure

from src import figures
from src.figures import LearningCurves
from tests.support.figures import overlapping_texts, visible

HISTORY = {"loss": [2.0, 1.0], "accuracy": [0.3, 0.6], "learning_rate": [1e-3, 1e-3]}
VALIDATION = {"val_loss": [2.5, 1.5], "val_accuracy": [0.2, 0.5]}


def test_learning_curves_are_in_two_panels_with_training_and_validation_together() -> None:
    assert figures.learning_curves_data(HISTORY | VALIDATION, best_epoch=2) == LearningCurves(
        epochs=[1, 2],
        panels={
            "loss": {"loss": [2.0, 1.0], "val_loss": [2.5, 1.5]},
            "accuracy": {"accuracy": [0.3, 0.6], "val_accuracy": [0.2, 0.5]},
        },
        best_epoch=2,
    )


def test_learning_curves_without_validation_have_training_alone() -> None:
    assert figures.learning_curves_data(HISTORY, best_epoch=None) == LearningCurves(
        epochs=[1, 2], panels={"loss": {"loss": [2.0, 1.0]}, "accuracy": {"accuracy": [0.3, 0.6]}}, best_epoch=None
    )


def curves(history: dict[str, list[float]], best_epoch: int | None) -> Figure:
    return figures.plot_learning_curves(figures.learning_curves_data(history, best_epoch))


@pytest.mark.parametrize(("best_epoch", "marks"), [(2, ["best epoch (2)"]), (None, [])])
def test_the_curves_are_named_and_a_best_epoch_is_marked(best_epoch: int | None, marks: list[str]) -> None:
    legends = [[text.get_text() for text in axes.get_legend().texts] for axes in visible(curves(HISTORY, best_epoch))]
    assert legends == [["loss", *marks], ["accuracy", *marks]]


def test_the_later_phases_of_a_training_are_shaded() -> None:
    data = figures.learning_curves_data(HISTORY | VALIDATION, 2, (("classifier", 1), ("fine-tuning", 2)))
    for axes in figures.plot_learning_curves(data).axes:
        legend = axes.get_legend()
        assert legend is not None
        labels = [text.get_text() for text in legend.get_texts()]
        assert "fine-tuning" in labels
        assert "classifier" not in labels


@pytest.mark.parametrize("epochs", [1, 2, 40, 200])
def test_epochs_are_integers_no_label_covers_another_and_no_legend_covers_a_line(epochs: int) -> None:
    history = {name: [1 / epoch for epoch in range(1, epochs + 1)] for name in (*HISTORY, *VALIDATION)}
    figure = figures.plot_learning_curves(
        figures.learning_curves_data(history, epochs, (("classifier", 1), ("fine-tuning", epochs)))
    )
    assert overlapping_texts(figure) == []
    for axes in visible(figure):
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks
        assert all(tick == int(tick) and 1 <= tick <= epochs for tick in ticks)
        assert not axes.get_legend().get_window_extent().overlaps(axes.get_window_extent())


def test_a_metric_of_the_validation_split_alone_has_a_panel_and_the_fifth_is_in_a_second_row() -> None:
    names = ["val_macro_f1", "val_auc", "val_brier"]
    data = figures.learning_curves_data(HISTORY | VALIDATION | {name: [0.1, 0.2] for name in names}, 2)
    assert data.panels["macro_f1"] == {"val_macro_f1": [0.1, 0.2]}
    figure = figures.plot_learning_curves(data)
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy", "macro F1", "ROC AUC", "Brier score"]
    assert overlapping_texts(figure) == []
    rows = {round(axes.get_position().y0, 2) for axes in figure.axes}
    assert len(rows) == 2
