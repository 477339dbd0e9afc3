"""Observers of a training: what they see, and what they can end."""

import re

import numpy as np
import pytest

from src.errors import TrainingDiverged
from src.fitting import fit
from tests.support.training import BATCHES, METRICS, STANDING_STILL, multiplied_in_epoch_2, ready

COSINE = ["schedule=cosine", "schedule.alpha=0.2"]
PLATEAU = [*STANDING_STILL, "schedule=reduce_on_plateau", "schedule.patience=1", "schedule.min_learning_rate=4e-21"]


@pytest.mark.parametrize(("schedule", "rates"), [(COSINE, [1e-3, 2e-4]), (PLATEAU, [1e-20, 1e-20, 5e-21, 4e-21])])
def test_the_history_shows_the_learning_rate_that_a_schedule_gives(schedule: list[str], rates: list[float]) -> None:
    fitted = fit(*ready(*schedule, f"training.epochs={len(rates)}"))
    assert fitted.history["learning_rate"] == pytest.approx(rates, rel=1e-5, abs=0)


def test_observers_see_each_epoch_from_1_with_all_its_metrics_and_on_batches_counts_within_it() -> None:
    seen: list[tuple[int, dict[str, float]]] = []
    batches: list[int] = []
    history = fit(*ready(), [lambda epoch, logs: seen.append((epoch, dict(logs)))], batches.append).history
    assert ([epoch for epoch, _ in seen], batches) == ([1, 2], [1, 2, 3, 4] * 2)
    assert set(history) == METRICS | {"val_loss", "val_accuracy"}
    assert history == {name: [logs[name] for _, logs in seen] for name in seen[0][1]}


def test_one_observer_ends_the_training_and_the_others_still_see_that_epoch() -> None:
    seen: list[int] = []
    fitted = fit(*ready("training.epochs=3"), [lambda epoch, _: epoch == 2, lambda epoch, _: seen.append(epoch)])
    assert (seen, fitted.stopped, len(fitted.history["loss"])) == ([1, 2], "observer", 2)


def test_a_last_epoch_ends_the_training_and_leaves_the_schedule_as_it_was() -> None:
    whole = fit(*ready("training.epochs=3", *COSINE)).history
    fitted = fit(*ready("training.epochs=3", *COSINE, "training.last_epoch=2"))
    assert (fitted.stopped, fitted.history["learning_rate"]) == ("last_epoch", whole["learning_rate"][:2])


@pytest.mark.parametrize(("rate", "epoch", "remedy"), [("1e+20", 1, "0.001"), ("0.0005", 2, "5e-05")])
def test_a_loss_that_is_not_finite_ends_the_run_with_epoch_rate_and_remedy(rate: str, epoch: int, remedy: str) -> None:
    model, dataset, config = ready("model.dense=[16]", f"optimizer.learning_rate={rate}")
    seen: list[int] = []
    sentence = f"nan in epoch {epoch} with optimizer.learning_rate={rate}; try optimizer.learning_rate={remedy} "
    with pytest.raises(TrainingDiverged, match=re.escape(sentence)):
        fit(model, dataset, config, on_batches=multiplied_in_epoch_2(model, np.nan, seen))
    assert seen[-1] < BATCHES  # at once, not at the end of the epoch


def test_on_batches_never_counts_more_batches_than_an_epoch_has() -> None:
    seen: list[int] = []
    fit(*ready("training.steps_per_execution=3"), (), seen.append)
    assert seen == [3, 4, 3, 4]


def test_an_observer_that_returns_true_after_the_last_epoch_stops_nothing() -> None:
    assert fit(*ready(), [lambda epoch, logs: epoch == 2]).stopped is None
