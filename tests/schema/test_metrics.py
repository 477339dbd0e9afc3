"""The table of metrics: directions, names of the splits, and one entry as all that a further metric needs."""

import math
from typing import NamedTuple

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from src import console, figures
from src.cli.compose import compose_config
from src.errors import ConfigError
from src.results import TrainResult
from src.schema import BEST, METRICS, TEST, VALIDATION, TrainingConfig, load_name
from src.schema.metrics import (
    best_metrics,
    direction_of,
    find_metric,
    is_better,
    metric_names,
    monitors,
    recorded_metrics,
    sign_of,
)
from src.train import train
from tests.support.metrics import DISTANCE
from tests.support.sweeps import plan
from tests.support.workplace import Workplace

DIRECTIONS = [(name, "minimize") for name in ("loss", "brier", "calibration_error")]
DIRECTIONS += [(name, "maximize") for name in METRICS if name not in ("loss", "brier", "calibration_error")]

# --- names and directions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("metric", "direction"), DIRECTIONS)
@pytest.mark.parametrize("prefix", ["", VALIDATION, TEST, BEST + VALIDATION])
def test_a_metric_has_one_direction_for_all_splits(metric: str, direction: str, prefix: str) -> None:
    assert direction_of(prefix + metric) == direction


@pytest.mark.parametrize("name", ["learning_rate", "epoch_seconds", "best_epoch", "val_", ""])
def test_other_numbers_of_an_epoch_are_not_in_the_table(name: str) -> None:
    assert find_metric(name) is None


def test_each_split_has_its_own_names() -> None:
    assert metric_names() == ["loss", "accuracy"]
    assert metric_names(VALIDATION) == [f"val_{name}" for name in METRICS]
    assert metric_names(TEST) == [f"test_{name}" for name in METRICS]
    assert metric_names(TEST, among=["auc", "loss"]) == ["test_loss", "test_auc"]
    assert monitors() == ("loss", "accuracy", *(f"val_{name}" for name in METRICS))


@pytest.mark.parametrize(
    ("chosen", "monitor", "expected"),
    [
        (["accuracy"], "val_accuracy", ["loss", "accuracy"]),
        (["brier", "auc"], "val_loss", ["loss", "accuracy", "auc", "brier"]),
        (["accuracy"], "val_macro_f1", ["loss", "accuracy", "macro_f1"]),
        ([], None, ["loss", "accuracy"]),
    ],
)
def test_loss_accuracy_and_the_metric_of_the_monitor_are_recorded_besides_the_chosen_ones(
    chosen: list[str], monitor: str | None, expected: list[str]
) -> None:
    assert recorded_metrics(chosen, monitor) == expected


@pytest.mark.parametrize(
    ("value", "best", "direction", "expected"),
    [
        (0.5, None, "maximize", True),
        (0.5, None, "minimize", True),
        (0.6, 0.5, "maximize", True),
        (0.6, 0.5, "minimize", False),
        (-2.0, -1.0, "minimize", True),
        (0.5, 0.5, "maximize", False),
        (0.5, 0.5, "minimize", False),
        (0.0, 0.5, "minimize", True),
        (math.nan, 0.5, "maximize", False),
        (math.nan, 0.5, "minimize", False),
    ],
)
def test_which_value_is_better(value: float, best: float | None, direction: str, expected: bool) -> None:
    assert is_better(value, best, direction) == expected


def test_the_best_of_values_is_the_largest_product_with_the_sign() -> None:
    assert [max([3, 1, 2], key=lambda value: sign_of(way) * value) for way in ("maximize", "minimize")] == [3, 1]


def test_without_validation_the_epoch_is_the_only_metric_of_the_best_epoch() -> None:
    assert best_metrics({"loss": 1.0, "accuracy": 0.5}, 3) == {"best_epoch": 3}
    validated = {"best_val_loss": 2.0, "best_epoch": 3}
    assert best_metrics({"loss": 1.0, "val_loss": 2.0, "test_loss": 3.0}, 3) == validated


@pytest.mark.parametrize("name", METRICS)
def test_what_computes_a_metric_can_be_imported(name: str) -> None:
    references = (METRICS[name].in_epoch, METRICS[name].in_test)
    assert all(callable(load_name(reference)) for reference in references if reference)


# --- a further metric ----------------------------------------------------------------------------------------------


class Trained(NamedTuple):
    """A tracked training with `val_distance` as its monitor, and what the terminal showed."""

    result: TrainResult
    run: Run
    output: str


@pytest.fixture
def with_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table with the squared distance in it."""
    monkeypatch.setitem(METRICS, "distance", DISTANCE)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    workplace = Workplace(tmp_path_factory.mktemp("distance"))
    settings = ["dataset=synthetic", "training.epochs=2", "training.monitor=val_distance", "schedule=reduce_on_plateau"]
    with pytest.MonkeyPatch.context() as patch, console.console.capture() as captured:
        patch.setitem(METRICS, "distance", DISTANCE)
        result = train(compose_config([*settings, f"tracking.uri='{workplace.uri}'"]))
    return Trained(result, MlflowClient(workplace.uri).get_run(str(result.run_id)), captured.get())


def test_a_further_metric_selects_the_best_epoch(trained: Trained) -> None:
    history = trained.result.history
    assert len(history["distance"]) == len(history["val_distance"]) == 2
    best = trained.result.best_epoch
    assert history["val_distance"][best - 1] == min(history["val_distance"])
    assert trained.result.metrics["val_distance"] == min(history["val_distance"])


def test_a_further_metric_is_in_the_metrics_of_the_run(trained: Trained) -> None:
    recorded = trained.run.data.metrics
    assert recorded["best_val_distance"] == trained.result.metrics["val_distance"]
    assert recorded["val_distance"] == trained.result.history["val_distance"][-1]
    assert recorded["test_distance"] == trained.result.metrics["test_distance"]
    assert 0 < recorded["test_distance"] < 2


def test_a_further_metric_is_in_the_line_of_each_epoch_and_its_best_has_a_star(trained: Trained) -> None:
    lines = [line for line in trained.output.splitlines() if line.startswith("epoch ")]
    values = trained.result.history["val_distance"]
    assert len(lines) == 2
    assert all(f"val_distance {value:.4f}" in line for line, value in zip(lines, values, strict=True))
    assert ["*" in line for line in lines] == [True, values[1] < values[0]]


def test_a_further_metric_has_a_panel_of_its_own(trained: Trained, with_distance: None) -> None:
    figure = figures.plot_learning_curves(figures.learning_curves_data(trained.result.history, 1))
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy", "squared distance"]


@pytest.mark.parametrize("metric", METRICS)
def test_the_monitor_is_the_objective_of_a_sweep_in_the_direction_of_the_table(metric: str) -> None:
    search = ["hydra/sweeper=optuna", "model.dropout=interval(0,0.5)", f"training.monitor=val_{metric}"]
    planned = plan(*search)
    other = {"minimize": "maximize", "maximize": "minimize"}[planned.direction]
    assert (planned.metric, planned.direction) == (f"val_{metric}", METRICS[metric].direction)
    sentence = rf"direction={other} contradicts training\.monitor=val_{metric}, which a sweep must {planned.direction}"
    with pytest.raises(ConfigError, match=sentence):
        plan(*search, f"hydra.sweeper.direction={other}")


@pytest.mark.usefixtures("with_distance")
@pytest.mark.parametrize("monitor", ["distance", "val_distance"])
def test_a_further_metric_is_the_objective_of_a_sweep_in_its_own_direction(monitor: str) -> None:
    planned = plan("hydra/sweeper=optuna", "model.dropout=interval(0,0.5)", f"training.monitor={monitor}")
    assert (planned.metric, planned.direction) == (monitor, "minimize")


@pytest.mark.usefixtures("with_distance")
@pytest.mark.parametrize(("values", "best"), [([0.2, 0.1, 0.3], 2), ([0.3, 0.2, 0.1], 3)])
def test_the_star_marks_the_smallest_of_a_metric_to_minimize(values: list[float], best: int) -> None:
    lines = console.EpochLines(3, 4, "val_distance")
    common = {"epoch_seconds": 1.0, "images_per_second": 1.0}
    shown = [lines.line(epoch, {"val_distance": value} | common) for epoch, value in enumerate(values, start=1)]
    assert max(epoch for epoch, line in enumerate(shown, start=1) if "*" in line) == best


def test_a_metric_that_is_not_in_the_table_cannot_be_the_monitor() -> None:
    with pytest.raises(
        ConfigError, match=r"training.monitor: got 'val_distance', expected one of loss, .*val_accuracy"
    ):
        TrainingConfig(monitor="val_distance")
