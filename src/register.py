"""Register the model of a run as a version of a registered model, and move an alias such as `champion` to it.

python -m src.register run_id=RUN
python -m src.register run_id=RUN alias=champion
python -m src.register run_id=RUN alias=champion if_better=true
python -m src.register run_id=RUN alias=champion on_other_data=move
"""

from __future__ import annotations

import numpy as np

from src import console, fitting, reports, saving, tracking
from src.cli.command import entry_point
from src.errors import ModelFileError, StoreError
from src.process.interrupt import deferred
from src.results import RegistrationResult, TrainResult
from src.schema import TEST, RegisterConfig, best_metrics, check_registry_names, metric_names
from src.tracked import trained_config

AGREEMENT = 2e-5  # between stored predictions, which have six decimals, and those of the model's files


def register(config: RegisterConfig) -> RegistrationResult:
    """Register the model of a finished run once, and move an alias to it if one is given.

    Each format is read back first and must agree with the stored predictions of the run. Registering the same run again
    gives the same version.

    Raises:
        StoreError: no such run, or one that is not finished, keeps no model or has an incomplete record.
        ModelFileError: a model file that is missing, altered, or gives other predictions.
        UserError: the alias points to a model of other data, and `on_other_data` is `error`.
    """
    with tracking.resume_run(config.tracking, run_id=config.run_id) as run:
        if run.status != "FINISHED":
            raise StoreError(f"run {run.run_id} is {run.status}; only the model of a finished run can be registered")
        result = tracking.recorded_result(config.tracking, str(run.run_id))
        digest = run.param("resolved.data_digest")
        # The recorded name: today, or in another working folder, a folder of images may have another one.
        name = config.name or str(run.read_config()["dataset"]["name"])
        check_registry_names(name, config.alias)
        registry = tracking.Registry(config.tracking)
        check_alias(registry, run, name, config)  # first, since the next step takes seconds
        check_formats(run)
        check_alias(registry, run, name, config)
        version, is_new = find_or_add_version(registry, run, name, digest)
        registry.tag(version, scores_of(result))
        if reports.lacks_card(registry, run, version):
            write_card(registry, run, version, result)
        decision = move_alias(registry, run, version, config) if config.alias else reports.AliasDecision(False, "")
    return RegistrationResult(
        name=name,
        version=version.number,
        is_new=is_new,
        run_id=version.run_id,
        alias=config.alias,
        moved=decision.moves,
        reason=decision.reason,
        p_value=decision.p_value,
        test=decision.test,
    )


def check_alias(registry: tracking.Registry, run: tracking.Run, name: str, config: RegisterConfig) -> None:
    """Raise UserError when the alias points to a model of other data and the configuration does not say what to do."""
    champion = registry.version_of_alias(name, config.alias) if config.alias else None
    if champion and not config.if_better:
        reports.decide_alias(registry, run, config, champion)


def check_formats(run: tracking.Run) -> None:
    """Raise ModelFileError unless every format of the model gives the predictions that the run recorded."""
    with run.logged_model_folder() as logged, run.model_folder() as folder:
        formats, file = saving.formats_in(folder), saving.keras_file(logged)  # TensorFlow is not imported before this
        images = run.examples(logged)
        expected = saving.predict_with(file, images)
        saving.check_formats(folder, formats, images, expected)
    stored = reports.read_predictions(run)
    if stored is None:
        return
    scores = stored.scores[: len(images)]
    predicted = stored.predicted[: len(images)]
    is_same = len(predicted) == len(expected) and (predicted == expected.argmax(axis=1)).all()
    if not is_same or np.abs(scores - expected.max(axis=1)).max() > AGREEMENT:
        raise ModelFileError(
            f"the model of run {run.run_id} does not give the predictions in the run's tables/test_predictions.csv: "
            "the model or the table was changed. To score the model again: "
            f"python -m src.evaluate run_id={run.run_id}"
        )


def find_or_add_version(
    registry: tracking.Registry, run: tracking.Run, name: str, digest: str
) -> tuple[tracking.Version, bool]:
    """Return the run's version of the registered model, and whether it was added just now."""
    if version := registry.version_of_run(name, str(run.run_id)):
        return version, False
    tags = {"model": trained_config(run).model.name, "data_digest": digest}
    return registry.add(name, run, reports.first_description(run), tags), True


def write_card(registry: tracking.Registry, run: tracking.Run, version: tracking.Version, result: TrainResult) -> None:
    """Write the model card of a version, after measuring the model."""
    with run.logged_model_folder() as logged:
        file = saving.keras_file(logged)
        size, latency = file.stat().st_size, fitting.latency(saving.load_model(file))
    card = reports.card_of(run, trained_config(run), result, version, size, latency)
    reports.write_card(registry, run, version, card)


def scores_of(result: TrainResult) -> dict[str, str]:
    """Return a run's scores as tags for its version: of its best epoch, and of the test split if it was scored."""
    tested = {name: result.metrics[name] for name in metric_names(TEST) if name in result.metrics}
    return {name: str(value) for name, value in (best_metrics(result.metrics, result.best_epoch) | tested).items()}


def move_alias(
    registry: tracking.Registry, run: tracking.Run, version: tracking.Version, config: RegisterConfig
) -> reports.AliasDecision:
    """Move the alias to the version: in any case, or if it is better than the champion.

    Raises:
        UserError: another process has just moved the alias to a model of other data.
    """
    assert config.alias is not None
    champion = registry.version_of_alias(version.name, config.alias)
    if champion is None:
        decision = reports.AliasDecision(True, f"the first {config.alias} of {version.name}")
    elif champion.number == version.number:
        return reports.AliasDecision(False, f"version {version.number} is already the {config.alias} of {version.name}")
    else:
        decision = reports.decide_alias(registry, run, config, champion)
    if registry.version_of_alias(version.name, config.alias) != champion:
        return move_alias(registry, run, version, config)  # another process has just moved it
    p_values: dict[str, str | None] = dict.fromkeys(("mcnemar_p_value", "bootstrap_p_value"))
    if decision.p_value is not None:
        p_values[f"{decision.test}_p_value"] = f"{decision.p_value:.6g}"
    with deferred():
        if decision.moves:
            registry.move_alias(version, config.alias)
        registry.tag(version, {"verdict": decision.reason, **p_values})
    return decision


@entry_point("register")
def main(config: RegisterConfig, overrides: list[str]) -> None:
    """Register the model, then print its version and which version has the alias."""
    result = register(config)

    console.say_registration(result, config.tracking.uri)


if __name__ == "__main__":
    main()
