"""The decision between a candidate and the champion: an alias moves to the candidate, or it does not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from src import tracking
from src.errors import StoreError, UserError
from src.reports.evaluation import read_predictions
from src.schema import RegisterConfig

SIGNIFICANCE = 0.05  # a difference that chance alone would cause less often than this counts as one
MAX_NAMED = 5  # classes in a message


class AliasDecision(NamedTuple):
    """The decision about an alias.

    Attributes:
        moves: True if the alias moves to the candidate.
        reason: why it moves, or why not.
        p_value: of McNemar's test, None when the two models were not compared.
    """

    moves: bool
    reason: str
    p_value: float | None = None


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
    with tracking.resume_run(config.tracking, run_id=champion.run_id) as champion_run:
        ours, theirs = read_predictions(run), read_predictions(champion_run)
    if ours is None or theirs is None:
        missing = run.run_id if ours is None else champion.run_id
        raise StoreError(
            f"run {missing} has no tables/test_predictions.csv, which the comparison needs; create it with "
            f"python -m src.evaluate run_id={missing}"
        )
    if not np.array_equal(ours.labels, theirs.labels):
        return AliasDecision(
            False, f"the {holder} was tested on other images of the same data, so the two cannot be compared"
        )
    test = mcnemar(ours.predicted == ours.labels, theirs.predicted == theirs.labels)
    counts = (
        f"only the candidate is right on {test.first_only} of {len(ours.labels):,} images, only the other model on "
        f"{test.second_only}, McNemar p = {test.p_value:.3g}"
    )
    if test.first_only <= test.second_only:
        return AliasDecision(False, f"it is not better than the {holder}; {counts}", test.p_value)
    if test.p_value >= SIGNIFICANCE:
        return AliasDecision(False, f"it is better than the {holder} by no more than chance; {counts}", test.p_value)
    return AliasDecision(True, f"it beats the former {holder}; {counts}", test.p_value)


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


class McNemar(NamedTuple):
    """McNemar's test of two classifiers on the same images.

    Attributes:
        first_only: the number of images that only the first classifies correctly.
        second_only: the number of images that only the second classifies correctly.
        p_value: the probability that two equally good classifiers differ by at least as much, in either direction.
    """

    first_only: int
    second_only: int
    p_value: float


def mcnemar(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> McNemar:
    """Return the exact test. Of two equally good classifiers, each is right on half of the images on which they differ.

    Args:
        first, second: for each image, True if the classifier is right; (n,).

    Reference: McNemar 1947, Note on the sampling error of the difference between correlated proportions.
    """
    first_only, second_only = int((first & ~second).sum()), int((second & ~first).sum())
    count = first_only + second_only
    return McNemar(first_only, second_only, float(binomtest(first_only, count).pvalue) if count else 1.0)
