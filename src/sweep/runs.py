"""The MLflow runs of a resumed study. The two stores refer to each other, and either may have been cleared."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Mapping, Sequence
from typing import Any

from src import console, reports, tracking
from src.errors import ConfigError, NotKept
from src.extensions import PARAM, extension_param
from src.links import restore_command
from src.redact import HIDDEN
from src.results import TrialRow
from src.schema import RUN_GROUPS, TrackingConfig, as_tree, is_place, with_given_name
from src.space import SweepPlan
from src.space.places import place_keys
from src.sweep.setting import Data

MAX_LISTED = 10  # trials, or spans of them, named in a warning


def open_parent(store: tracking.Store, study: tracking.StudyId, plan: SweepPlan, data: Sequence[Data]) -> tracking.Run:
    """Return the parent run of the trials' runs, created again with its params and data sets when it is gone."""
    parent, is_blank = tracking.open_parent_run(store, study, plan.tags)
    if is_blank:
        for dataset in data:
            parent.log_dataset(dataset.name, dataset.digest, dataset.source, dict(dataset.images))
        reports.record_search(parent, plan)
    return parent


def runs_of_trials(store: tracking.Store, study: tracking.StudyId, parent: tracking.Run) -> list[tracking.TrialRun]:
    """Return the runs of a study's trials, and put those of a lost parent under the study's run."""
    runs = tracking.study_runs(store, study)
    if parent.run_id is not None and (count := tracking.adopt_orphans(store, parent.run_id, runs)):
        orphans = "the run of 1 trial" if count == 1 else f"the runs of {count} trials"
        console.say(f"study {study.name}: the parent of {orphans} was missing; the new parent is run {parent.run_id}")
    return runs


def warnings_of(
    store: tracking.Store,
    study: tracking.StudyId,
    tracking_config: TrackingConfig,
    rows: Sequence[TrialRow],
    runs: Sequence[tracking.TrialRun],
) -> list[str]:
    """Return the lines of a warning about lost or earlier runs, to be shown before anything is trained.

    Args:
        store: the store of the runs.
        study: the name and id of the study.
        tracking_config: the store and the experiment as configured.
        rows: the study's trials.
        runs: the trials' runs that the store has.
    """
    if store.client is None:
        return []
    known = {run.run_id for run in runs}
    if missing := [row for row in rows if row.run_id is not None and row.run_id not in known]:
        return _lines_of_missing(store, study, tracking_config, missing)
    return _lines_of_other_code(study, runs) if rows else _lines_of_earlier(store, study)


def _lines_of_missing(
    store: tracking.Store, study: tracking.StudyId, tracking_config: TrackingConfig, missing: Sequence[TrialRow]
) -> list[str]:
    deleted = {run.run_id for run in tracking.study_runs(store, study, deleted=True)}
    restorable = [str(row.run_id) for row in missing if row.run_id in deleted]
    numbers = _spans([row.number for row in missing])
    subject = f"run of trial {numbers} is" if len(missing) == 1 else f"runs of {len(missing)} trials ({numbers}) are"
    lines = [
        f"study {study.name}: the {subject} not in experiment {tracking_config.experiment!r} of {tracking_config.uri}.",
        "Their values stay in the study and still count. Figures, best.yaml and trials.csv are made from the study.",
        "To get them back in MLflow:",
    ]
    if restorable:
        restore = restore_command(tracking_config.uri, restorable[0])
        lines.append(f"- {restore}")
    if len(restorable) > 1:
        lines.append(f"  and {len(restorable) - 1} more that were deleted: trials.csv has their ids")
    if len(restorable) < len(missing):
        lines.append("- set tracking.uri and tracking.experiment to where they are")
    return [*lines, "To start a new study instead: hydra.sweeper.study_name=NAME, with another name"]


def _lines_of_other_code(study: tracking.StudyId, runs: Sequence[tracking.TrialRun]) -> list[str]:
    now = extension_param().get(PARAM, "")
    other = [run for run in runs if run.status == "FINISHED" and run.extensions != now]
    if not other:
        return []
    trials = f"trial{'s' * (len(other) > 1)} {_spans(sorted(run.number for run in other))}"
    return [
        f"study {study.name}: {trials} used other code of extensions ({other[0].extensions or 'none'}; now "
        f"{now or 'none'}). Their values stay in the study and still count.",
        "To start a new study instead: hydra.sweeper.study_name=NAME, with another name",
    ]


def _lines_of_earlier(store: tracking.Store, study: tracking.StudyId) -> list[str]:
    earlier = tracking.earlier_parents(store, study)
    if not earlier:
        return []
    return [
        f"an earlier study {study.name} left run {earlier[-1]} in MLflow; its trials are not in hydra.sweeper.storage.",
        "This is a new study, which starts with its first trial. To resume the earlier one, restore its database.",
    ]


def config_of_trial(
    store: tracking.Store, plan: SweepPlan, row: TrialRow, known: Container[str], first: int
) -> Mapping[str, Any] | None:
    """Return the resolved configuration that a trial was trained with, None when it is no longer known.

    Its data set has the place where the sweep finds it now, because it may have moved. A path or an address that was
    hidden in the run, because it came from the environment, is the one of the sweep if its setting is still the same.

    Args:
        store: the store of the runs.
        plan: the checked settings of the sweep.
        row: the trial.
        known: the ids of the runs that the store has.
        first: the number of the first trial with the study's present setting.
    """
    from_params = None
    with contextlib.suppress(ConfigError):
        from_params = as_tree(plan.space.draw_from(row.params))
    if row.run_id is not None and row.run_id in known:
        with contextlib.suppress(NotKept):  # its files may be gone too
            recorded = tracking.read_config(store, row.run_id)
            if from_params is None:
                return recorded
            if row.number >= first:
                recorded = _with_hidden_places_of(recorded, from_params)
            return {**recorded, "dataset": _with_places_of(recorded["dataset"], from_params["dataset"])}
    return from_params if row.number >= first else None


def _with_hidden_places_of(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's configuration with the paths and addresses of the sweep in place of those that were hidden."""
    config = dict(recorded)
    for group in filter(recorded.__contains__, RUN_GROUPS):
        hidden = [key for key in place_keys(group, now[group]) if HIDDEN in str(recorded[group].get(key))]
        config[group] = recorded[group] | {key: now[group][key] for key in hidden}
    return config


def _with_places_of(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a trial's data set with the place where the sweep finds it now, and named after that place."""
    if recorded.get("loader") != now["loader"]:
        return recorded
    has_given_name = with_given_name({"dataset": now})["dataset"] != now
    places = {key: value for key, value in now.items() if is_place(f"dataset.{key}")}
    return {**recorded, **places} | ({"name": now["name"]} if has_given_name else {})


def _spans(numbers: Sequence[int]) -> str:
    """Return `0-3, 7, 9-11`, cut when there are many."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][-1] == number - 1:
            spans[-1] = [spans[-1][0], number]
        else:
            spans.append([number])
    shown = ["-".join(map(str, span)) for span in spans]
    return ", ".join(shown[:MAX_LISTED]) + (", ..." if len(shown) > MAX_LISTED else "")
