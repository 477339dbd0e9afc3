"""What has changed since a run was trained: code, configuration, data, packages, and what comes out now."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from src import tracking
from src.cli.compose import compose_config, config_from_dict
from src.errors import ConfigError, NotKept, StoreError
from src.redact import HIDDEN, redact_tree
from src.results import DriftRow, ReproductionResult, TrainResult
from src.schema import Config, ReproduceConfig, flatten, is_place
from src.tracked import locate_dataset

COLUMNS = ("what", "then", "now", "verdict")
SAME, CHANGED = "same", "CHANGED"
NOT_COMPARED = ("epoch_seconds", "images_per_second", "learning_rate")
STANDARD_ERRORS = 3.0  # within which two accuracies are taken for the same
LOSS_TOLERANCE = 0.05  # of a loss
# A resolver such as ${oc.env:...}, or a setting of Hydra's: whoever may write into a store can put one there.
READS_MACHINE = re.compile(r"\$\{.*:|^[+~]*hydra\b", re.DOTALL)


def check_origin(config: ReproduceConfig) -> tuple[Config, list[DriftRow]]:
    """The run's configuration, to be trained again, and what differs here and now from where it was trained.

    Raises:
        StoreError: no such run, or one that did not finish.
        ConfigError: its recorded configuration names something that no configuration has.
    """
    with tracking.resume_run(config.tracking, run_id=config.run_id) as run:
        if run.status != "FINISHED":
            raise StoreError(f"run {run.run_id} is {run.status}; only a finished run can be reproduced")
        recorded = run.read_config()
        trained = config_from_dict(recorded)
        rows = [*_code(run), *_configuration(run, recorded, trained), *_packages(run), *_machine(run)]
        again = replace(
            trained,
            dataset=locate_dataset(run, trained, config.data_dir),
            tracking=replace(config.tracking, run_name=f"again-{run.tags.get('mlflow.runName', '')}"),
            tags={**trained.tags, "reproduces": config.run_id},
        )
        if run.tags.get("stopped") == "observer":  # which is not here any more
            epochs = len(tracking.recorded_result(config.tracking, config.run_id).history["loss"])
            again = replace(again, training=replace(again.training, last_epoch=epochs))
            rows.append(DriftRow("training ended by", "an observer", f"training.last_epoch={epochs}", CHANGED))
    return again, rows


def compare(config: ReproduceConfig, again: Config, rows: list[DriftRow], result: TrainResult) -> ReproductionResult:
    """Adds data and results to what differs, and keeps all of it with the new run."""
    then = tracking.recorded_result(config.tracking, config.run_id).metrics
    with tracking.resume_run(config.tracking, run_id=config.run_id) as old:
        images = {split: int(old.params[f"resolved.{split}_images"]) for split in ("validation", "test")}
        data = old.params["resolved.data_digest"]
    with tracking.resume_run(config.tracking, run_id=result.run_id) as new:
        reproduction = ReproductionResult(
            run_id=str(result.run_id),
            experiment_id=result.experiment_id,
            reproduces=config.run_id,
            origin=[*rows, _row("data", data[:16], new.params["resolved.data_digest"][:16])],
            results=[
                _result(name, value, result.metrics.get(name), again.training.deterministic, images[_split_of(name)])
                for name, value in sorted(then.items())
                if name not in NOT_COMPARED
            ],
        )
        new.log_table("drift.csv", COLUMNS, [*reproduction.origin, *reproduction.results])
        new.describe(description(reproduction))
    return reproduction


def description(result: ReproductionResult) -> str:
    """The drift in Markdown."""
    changed = [row for row in (*result.origin, *result.results) if row.verdict != SAME]
    lines = [f"Run {result.reproduces} trained again: {'the same result' if result.is_same else 'ANOTHER RESULT'}.", ""]
    if changed:
        lines += [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
        lines += [f"| {' | '.join(row)} |" for row in changed]
    return "\n".join(lines)


# --- where it was trained, and where it is trained again ---------------------------------------------------------


def _code(run: tracking.Run) -> list[DriftRow]:

    here = tracking.origin_tags()
    commits = [tags.get("mlflow.source.git.commit", "unknown")[:12] for tags in (run.tags, here)]
    changed = [" with changes" if tags.get("git_dirty") == "true" else "" for tags in (run.tags, here)]
    rows = [DriftRow("commit", commits[0] + changed[0], commits[1] + changed[1], _verdict(commits[0], commits[1]))]
    then, now = run.params.get("resolved.code_digest", "unknown"), tracking.code_digest()
    return [*rows, _row("code (SHA-256 of src/**/*.py)", then[:12], now[:12])]


def _configuration(run: tracking.Run, recorded: Mapping[str, Any], trained: Config) -> list[DriftRow]:
    """The recorded configuration against the params, and against what the same line composes to today."""
    rows = [
        DriftRow(
            f"config {name}: its param and config/config.yaml", run.params[name], tracking.as_param(value), CHANGED
        )
        for name, value in flatten(recorded).items()
        if name in run.params and not is_place(name) and run.params[name] != tracking.as_param(value)
    ]
    typed = run.read_overrides()
    if typed is None:
        return rows or [DriftRow("config", "recorded", "taken as recorded: it was not typed", SAME)]
    if foreign := [line for line in typed if READS_MACHINE.search(line)]:
        told = f"not composed: {', '.join(foreign)} may read what is on this machine"
        return [*rows, DriftRow("config as it was typed", "composed", told, "unknown")]
    try:
        composed = compose_config([line for line in typed if HIDDEN not in line])
    except ConfigError as error:
        return [*rows, DriftRow("config as it was typed", "composed", str(error), CHANGED)]
    leaves = {name: value for name, value in flatten(trained).items() if not is_place(name)}
    today = flatten(composed)
    names = dict.fromkeys([*leaves, *(name for name in today if not is_place(name))])
    rows += [
        DriftRow(
            f"config {name}",
            tracking.as_param(leaves.get(name)),
            tracking.as_param(redact_tree(today.get(name), name)),
            CHANGED,
        )
        for name in names
        if leaves.get(name) != today.get(name) and HIDDEN not in str(leaves.get(name))
        if name not in {f"dataset.{key}" for key in composed.dataset.set_by_folder()}
    ]
    return rows or [DriftRow("config", "recorded", "as the same line composes today", SAME)]


def _packages(run: tracking.Run) -> list[DriftRow]:

    try:
        with run.reading("environment/packages.txt") as file:
            then = _versions(file.read_text())
    except NotKept:
        return [DriftRow("packages", "not recorded", "unknown", "unknown")]
    now = _versions(tracking.packages())
    rows = [
        DriftRow(name, then.get(name, "not there"), now.get(name, "not there"), CHANGED)
        for name in sorted(then.keys() | now.keys(), key=str.lower)
        if then.get(name) != now.get(name)
    ]
    return rows or [DriftRow("packages", f"{len(then)} versions", f"{len(now)} versions", SAME)]


def _versions(listed: str) -> Mapping[str, str]:
    """Package -> version, Python among them."""
    return {found[1]: found[2] for found in re.finditer(r"^(?:# )?([\w.-]+)(?:==| )(\S+)$", listed, re.MULTILINE)}


def _machine(run: tracking.Run) -> list[DriftRow]:

    here = tracking.origin_tags()["host"]
    return [DriftRow("machine", run.tags.get("host", "unknown"), here, _verdict(run.tags.get("host"), here))]


# --- what comes out ----------------------------------------------------------------------------------------------


def _split_of(metric: str) -> str:
    """Whose images say how far chance goes; for metrics of training, means over a changing network, the test's."""
    return "validation" if metric.startswith("val_") else "test"


def _result(name: str, then: float, now: float | None, is_exact: bool, images: int) -> DriftRow:
    """The same to the last bit; where kernels are free to differ, as much the same as repeated trainings are.

    Two accuracies are the same within some standard errors of their difference, of which both give the common rate.
    """
    if now is None:
        return DriftRow(name, repr(then), "not measured", CHANGED)
    verdict = _verdict(then, now)
    if verdict == CHANGED and not is_exact:
        rate = (then + now) / 2
        is_accuracy = "accuracy" in name
        margin = STANDARD_ERRORS * (2 * rate * (1 - rate) / images) ** 0.5 if is_accuracy else LOSS_TOLERANCE * then
        verdict = "within chance" if abs(then - now) <= margin else CHANGED
    return DriftRow(name, repr(then), repr(now), verdict)


def _row(what: str, then: str, now: str) -> DriftRow:
    return DriftRow(what, then, now, _verdict(then, now))


def _verdict(then: object, now: object) -> str:
    return SAME if then == now else CHANGED
