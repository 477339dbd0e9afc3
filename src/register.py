"""A run's model as a version of a registered model, and who is the champion.

python -m src.register run_id=RUN
python -m src.register run_id=RUN alias=champion
python -m src.register run_id=RUN alias=champion if_better=true
python -m src.register run_id=RUN alias=champion on_other_data=move
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from src import console, reports, saving, tracking
from src.cli.command import entry_point
from src.cli.compose import config_from_dict
from src.errors import ModelFileError, StoreError, UserError
from src.process.interrupt import deferred
from src.results import RegistrationResult, best_metrics
from src.schema import RegisterConfig, check_registry_names

SIGNIFICANCE = 0.05  # a difference that chance alone would make less often than this is taken for one
AGREEMENT = 2e-5  # between stored predictions, which have six decimals, and those of the model's files
SHOWN = 5  # classes named in a message


def register(config: RegisterConfig) -> RegistrationResult:
    """Registers the model of a finished run, once, and moves an alias to it where that is asked for.

    Each format is read back first and must answer as the run's stored predictions say. The same run asked for again is
    the same version.

    Raises:
        StoreError: no such run, or one that is not finished or keeps no model.
        ModelFileError: a model file that is missing, altered, or answers differently.
        UserError: the alias points to a model of other data, and `on_other_data` is `error`.
    """
    with tracking.resume_run(config.tracking, run_id=config.run_id) as run:
        if run.status != "FINISHED":
            raise StoreError(f"run {run.run_id} is {run.status}; only the model of a finished run is registered")
        recorded = run.read_config()
        trained = config_from_dict(recorded)
        data = str(recorded["dataset"]["name"])  # a folder's may be another one today, and in another working folder
        name = config.name or data
        check_registry_names(name, config.alias)
        registry = tracking.Registry(config.tracking)
        check_alias(registry, run, name, config)  # first, since the next step takes seconds
        check_formats(run)
        check_alias(registry, run, name, config)
        version = registry.version_of_run(name, str(run.run_id))
        is_new = version is None
        if version is None:
            told = f"{trained.model.name} on {data}, trained by run {run.run_id}"
            tags = {"model": trained.model.name, "data_digest": run.params["resolved.data_digest"]}
            version = registry.add(name, run, told, tags)
        registry.tag(version, scores_of(config, str(run.run_id)))
        verdict = move(registry, run, version, config) if config.alias else Verdict(False, "")
    return RegistrationResult(
        name=name,
        version=version.number,
        is_new=is_new,
        run_id=version.run_id,
        alias=config.alias,
        moved=verdict.moved,
        reason=verdict.reason,
        p_value=verdict.p_value,
    )


def scores_of(config: RegisterConfig, run_id: str) -> dict[str, str]:
    """Return the run's scores as tags for its version: of its best epoch, and of the test split if it was scored."""
    result = tracking.recorded_result(config.tracking, run_id)
    tested = {name: result.metrics[name] for name in ("test_accuracy", "test_loss") if name in result.metrics}
    return {name: str(value) for name, value in (best_metrics(result.metrics, result.best_epoch) | tested).items()}


def check_formats(run: tracking.Run) -> None:
    """Raises ModelFileError unless every format of the run's model answers as the run says that its model did."""
    with run.logged_model_folder() as logged, run.model_folder() as folder:
        images = run.examples(logged)
        expected = saving.predict_with(saving.keras_file(logged), images)
        saving.check_formats(folder, saving.formats_in(folder), images, expected)
    stored = reports.read_predictions(run)
    if stored is None:
        return
    scores = stored.scores[: len(images)]
    predicted = stored.predicted[: len(images)]
    if (predicted != expected.argmax(axis=1)).any() or np.abs(scores - expected.max(axis=1)).max() > AGREEMENT:
        raise ModelFileError(
            f"the model of run {run.run_id} does not answer as its tables/test_predictions.csv says; score it again "
            f"with python -m src.evaluate run_id={run.run_id}, and find out who changed what"
        )


class Verdict(NamedTuple):
    """Whether an alias was moved, why, and how likely chance alone makes as large a difference."""

    moved: bool
    reason: str
    p_value: float | None = None


def check_alias(registry: tracking.Registry, run: tracking.Run, name: str, config: RegisterConfig) -> None:
    """Raise UserError when the alias points to a model of other data and the configuration does not say what to do."""
    holder = registry.version_of_alias(name, config.alias) if config.alias else None
    if holder and not config.if_better:
        settle(registry, run, config, holder)


def describe_difference(registry: tracking.Registry, run: tracking.Run, holder: tracking.Version) -> str | None:
    """Describe how the data of a version differs from the run's, as the end of a sentence; None for the same data."""
    theirs, ours = registry.data_of(holder), tracking.data_of_run(run.params)
    if theirs.digest is None:
        return f"{_origin(holder)}, so its data is not known"
    parts = []
    if theirs.digest != ours.digest:
        parts.append(f"digest {theirs.digest[:12]}, here {str(ours.digest)[:12]}")
    if theirs.class_names and ours.class_names and theirs.class_names != ours.class_names:
        missing = [name for name in theirs.class_names if name not in ours.class_names]
        new = [name for name in ours.class_names if name not in theirs.class_names]
        parts += [
            f"{what}: {_listed(names)}" for what, names in (("missing classes", missing), ("new classes", new)) if names
        ]
        if not missing and not new:
            parts.append("the same classes in another order")
    return f"was trained and tested on other data ({'; '.join(parts)})" if parts else None


def _origin(holder: tracking.Version) -> str:
    """The reason why a version has no run that can be read, as the end of a sentence."""
    return (
        f"came from run {holder.run_id}, which is gone or cannot be read"
        if holder.run_id
        else "was not registered from a run"
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def move(registry: tracking.Registry, run: tracking.Run, version: tracking.Version, config: RegisterConfig) -> Verdict:
    """Moves the alias to the version: in any case, or if it is better than the one that has the alias.

    Raises:
        UserError: another process has moved the alias meanwhile to a model of other data.
    """
    assert config.alias is not None
    holder = registry.version_of_alias(version.name, config.alias)
    if holder is None:
        verdict = Verdict(True, f"the first {config.alias} of {version.name}")
    elif holder.number == version.number:
        return Verdict(False, f"version {version.number} is the {config.alias} of {version.name} already")
    else:
        verdict = settle(registry, run, config, holder)
    if registry.version_of_alias(version.name, config.alias) != holder:
        return move(registry, run, version, config)  # another process has moved it meanwhile
    tags = {"verdict": verdict.reason}
    if verdict.p_value is not None:
        tags["mcnemar_p_value"] = f"{verdict.p_value:.6g}"
    with deferred():
        if verdict.moved:
            registry.move_alias(version, config.alias)
        registry.tag(version, tags)
    return verdict


def settle(registry: tracking.Registry, run: tracking.Run, config: RegisterConfig, holder: tracking.Version) -> Verdict:
    """Decide whether the alias leaves the version that has it: as it was asked for, or for the better of the two.

    Raises:
        UserError: the two were trained on different data, and `on_other_data` is `error`.
    """
    champion = f"{config.alias} (version {holder.number})"
    difference = describe_difference(registry, run, holder)
    if difference and config.on_other_data == "move":
        return Verdict(True, f"on_other_data=move; the former {champion} {difference}")
    if difference and config.if_better:
        return Verdict(
            False,
            f"the {champion} {difference}, so the two cannot be compared; register it under another name, or move the "
            "alias with on_other_data=move",
        )
    if difference:
        raise UserError(
            f"the {champion} of {holder.name} {difference}, so the alias was not moved; register run {run.run_id} "
            "under another name (name=NAME), or move the alias anyway with on_other_data=move"
        )
    if config.if_better:
        return challenge(registry, run, config, holder)
    return Verdict(True, f"asked for; version {holder.number} was the {config.alias} before")


def challenge(
    registry: tracking.Registry, run: tracking.Run, config: RegisterConfig, holder: tracking.Version
) -> Verdict:
    """Decide whether the run's model is better than the holder's, on the same data and by more than chance."""
    champion = f"{config.alias} (version {holder.number})"
    if not registry.has_run(holder):
        return Verdict(False, f"the {champion} {_origin(holder)}, so the two cannot be compared")
    with tracking.resume_run(config.tracking, run_id=holder.run_id) as before:
        ours, theirs = reports.read_predictions(run), reports.read_predictions(before)
    if ours is None or theirs is None:
        missing = run.run_id if ours is None else holder.run_id
        raise StoreError(
            f"run {missing} keeps no tables/test_predictions.csv to compare by; make it with "
            f"python -m src.evaluate run_id={missing}"
        )
    if not np.array_equal(ours.labels, theirs.labels):
        return Verdict(
            False, f"the {champion} was tested on other images of the same data, so the two cannot be compared"
        )
    test = mcnemar(ours.predicted == ours.labels, theirs.predicted == theirs.labels)
    told = (
        f"right where the other is wrong: {test.first_only} against {test.second_only} of {len(ours.labels):,} images, "
        f"McNemar p = {test.p_value:.3g}"
    )
    if test.first_only <= test.second_only:
        return Verdict(False, f"it is not better than the {champion}; {told}", test.p_value)
    if test.p_value >= SIGNIFICANCE:
        return Verdict(False, f"it is better than the {champion} by no more than chance; {told}", test.p_value)
    return Verdict(True, f"it beats the former {champion}; {told}", test.p_value)


class McNemar(NamedTuple):
    """McNemar's test of two classifiers on the same images.

    Attributes:
        first_only: how many images only the first classifies rightly.
        second_only: how many only the second does.
        p_value: how likely two equally good ones differ by as much or more, in either direction.
    """

    first_only: int
    second_only: int
    p_value: float


def mcnemar(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> McNemar:
    """The exact test: of the images on which they differ, each is right on half, by a binomial distribution.

    Args:
        first, second: whether each image was classified rightly, (n,).

    Reference: McNemar 1947, Note on the sampling error of the difference between correlated proportions.
    """
    from scipy.stats import binomtest

    first_only, second_only = int((first & ~second).sum()), int((second & ~first).sum())
    differ = first_only + second_only
    return McNemar(first_only, second_only, float(binomtest(first_only, differ).pvalue) if differ else 1.0)


@entry_point("register")
def main(config: RegisterConfig, overrides: list[str]) -> None:
    """Registers, then says which version it is and who has the alias."""
    result = register(config)

    console.say_registration(result, config.tracking.uri)


if __name__ == "__main__":
    main()
