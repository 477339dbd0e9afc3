"""The decision between a candidate and the champion: an alias moves to the candidate, or it does not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from src import certainty, fitting, tracking
from src.errors import StoreError, UserError
from src.reports.evaluation import PREDICTIONS, Predictions, read_predictions
from src.reports.probabilities import PROBABILITIES, Probabilities, read_probabilities
from src.schema import (
    CrossEntropyConfig,
    LossConfig,
    RegisterConfig,
    TrainingConfig,
    comparable_metric,
    direction_of,
    sign_of,
)
from src.tracked import trained_config

SIGNIFICANCE = 0.05  # a difference that chance alone would cause less often than this counts as one
MAX_NAMED = 5  # classes in a message


class AliasDecision(NamedTuple):
    """The decision about an alias.

    Attributes:
        moves: True if the alias moves to the candidate.
        reason: why it moves, or why not.
        p_value: of the test, None when the two models were not compared.
        test: of the accuracy `mcnemar`, of another metric `bootstrap`.
    """

    moves: bool
    reason: str
    p_value: float | None = None
    test: str = "mcnemar"


class Answers(NamedTuple):
    """The stored answers of a model for the test images; without probabilities if only the accuracy is compared."""

    run_id: str | None
    predictions: Predictions
    probabilities: Probabilities | None


class Difference(NamedTuple):
    """The difference between a candidate and a champion on the same images.

    Attributes:
        is_better: True if the candidate is better, even if by chance.
        p_value: of the test.
        test: `mcnemar` or `bootstrap`.
        text: the numbers behind it.
    """

    is_better: bool
    p_value: float
    test: str
    text: str


def decide_alias(
    registry: tracking.Registry, run: tracking.Run, config: RegisterConfig, champion: tracking.Version
) -> AliasDecision:
    """Decide if the alias moves from the champion to the model of the run.

    Args:
        registry: of the store.
        run: the run of the candidate.
        config: the alias, and the conditions under which it moves.
        champion: the version that the alias points to.

    Raises:
        UserError: the two were trained on different data, and `on_other_data` is `error`.
        StoreError: one of the two runs has no predictions to compare.
    """
    holder = _holder(config, champion)
    difference = _data_difference(registry, run, champion)
    if difference and config.on_other_data == "move":
        return AliasDecision(True, f"on_other_data=move; the former {holder} {difference}")
    if difference and config.if_better:
        return AliasDecision(
            False,
            f"the {holder} {difference}, so the two cannot be compared; register it under another name, or move the "
            "alias with on_other_data=move",
        )
    if difference:
        raise UserError(
            f"the {holder} of {champion.name} {difference}, so the alias was not moved; register run {run.run_id} "
            "under another name (name=NAME), or move the alias anyway with on_other_data=move"
        )
    if config.if_better:
        return _compare(registry, run, config, champion)
    return AliasDecision(True, f"as requested; version {champion.number} was the {config.alias} before")


def _compare(
    registry: tracking.Registry, run: tracking.Run, config: RegisterConfig, champion: tracking.Version
) -> AliasDecision:
    """Decide if the candidate is better than the champion, on the same data and by more than chance."""
    holder = _holder(config, champion)
    if not registry.has_run(champion):
        return AliasDecision(False, f"the {holder} {_missing_run(champion)}, so the two cannot be compared")
    metric = config.metric or comparable_metric(run.params.get("training.monitor", TrainingConfig.monitor))
    with tracking.resume_run(config.tracking, run_id=champion.run_id) as champion_run:
        ours, theirs = _read_answers(run, metric), _read_answers(champion_run, metric)
    if not np.array_equal(ours.predictions.labels, theirs.predictions.labels):
        return AliasDecision(
            False, f"the {holder} was tested on other images of the same data, so the two cannot be compared"
        )
    if metric == "accuracy":
        difference = _difference_in_accuracy(ours.predictions, theirs.predictions)
    else:
        loss = trained_config(run).loss if metric == "loss" else CrossEntropyConfig()
        difference = _difference_in(metric, loss, ours, theirs)
    moves = difference.is_better and difference.p_value < SIGNIFICANCE
    if moves:
        verdict = f"it beats the former {holder}"
    elif difference.is_better:
        verdict = f"it is better than the {holder} by no more than chance"
    else:
        verdict = f"it is not better than the {holder}"
    return AliasDecision(moves, f"{verdict}; {difference.text}", difference.p_value, difference.test)


def _read_answers(run: tracking.Run, metric: str) -> Answers:
    """Return what is stored of a run's answers, as far as the metric needs it.

    Raises:
        StoreError: it is missing or damaged.
    """
    predictions = read_predictions(run)
    needs_probabilities = metric != "accuracy" and predictions is not None
    probabilities = read_probabilities(run, len(predictions.labels)) if needs_probabilities and predictions else None
    if predictions is None or (needs_probabilities and probabilities is None):
        raise StoreError(
            f"run {run.run_id} has no {PREDICTIONS if predictions is None else PROBABILITIES}, which the comparison "
            f"needs; create it with python -m src.evaluate run_id={run.run_id}"
        )
    return Answers(run.run_id, predictions, probabilities)


def _difference_in_accuracy(ours: Predictions, theirs: Predictions) -> Difference:
    test = certainty.compare_right(ours.predicted == ours.labels, theirs.predicted == theirs.labels)
    text = (
        f"only the candidate is right on {test.first_only} of {len(ours.labels):,} images, only the other model on "
        f"{test.second_only}, McNemar p = {test.p_value:.3g}"
    )
    return Difference(test.first_only > test.second_only, test.p_value, "mcnemar", text)


def _difference_in(metric: str, loss: LossConfig, ours: Answers, theirs: Answers) -> Difference:
    assert ours.probabilities is not None
    assert theirs.probabilities is not None
    if ours.probabilities.shape != theirs.probabilities.shape:
        raise StoreError(
            f"runs {ours.run_id} and {theirs.run_id} have probabilities of {ours.probabilities.shape[1]} and "
            f"{theirs.probabilities.shape[1]} classes; create them again with python -m src.evaluate run_id=RUN"
        )
    function = fitting.metric_functions(loss)[metric]
    labels = ours.predictions.labels
    test = certainty.compare_metric(labels, ours.probabilities, theirs.probabilities, function)
    text = (
        f"its test {metric} differs by {test.difference:+.4f} (95 % interval {test.low:+.4f} to {test.high:+.4f}) on "
        f"{len(labels):,} images, paired bootstrap p = {test.p_value:.3g}"
    )
    is_better = sign_of(direction_of(metric)) * test.difference > 0
    return Difference(is_better, test.p_value, "bootstrap", text)


def _holder(config: RegisterConfig, champion: tracking.Version) -> str:
    return f"{config.alias} (version {champion.number})"


def _data_difference(registry: tracking.Registry, run: tracking.Run, champion: tracking.Version) -> str | None:
    """Describe how the champion's data differs from the run's, as the end of a sentence; None for the same data."""
    theirs, ours = registry.data_of(champion), tracking.data_of_run(run.params)
    if theirs.digest is None:
        return f"{_missing_run(champion)}, so its data is not known"
    parts = []
    if theirs.digest != ours.digest:
        parts.append(f"digest {theirs.digest[:12]}, here {str(ours.digest)[:12]}")
    if theirs.class_names and ours.class_names and theirs.class_names != ours.class_names:
        missing = [name for name in theirs.class_names if name not in ours.class_names]
        new = [name for name in ours.class_names if name not in theirs.class_names]
        groups = (("missing classes", missing), ("new classes", new))
        parts += [f"{title}: {_first_names(names)}" for title, names in groups if names]
        if not missing and not new:
            parts.append("the same classes in another order")
    return f"was trained and tested on other data ({'; '.join(parts)})" if parts else None


def _missing_run(champion: tracking.Version) -> str:
    """Return why a version has no run that can be read, as the end of a sentence."""
    if champion.run_id:
        return f"came from run {champion.run_id}, which is gone or cannot be read"
    return "was not registered from a run"


def _first_names(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
