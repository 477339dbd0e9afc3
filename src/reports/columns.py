"""The columns of the UI's table of runs, for the runs of pipelines, which train nothing themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from src import tracking
from src.schema import Config, flatten

SETTINGS = ("model.name", "dataset.name", "optimizer.learning_rate", "seed")  # those of `src.tracking.view`


def record_columns(run: tracking.Run, configs: Sequence[Config], dataset_of: str, varied: Iterable[str] = ()) -> None:
    """Record what a pipeline's trainings have in common as params and tags of its run, and their data set as its input.

    A param that the run has already stays as it is: MLflow does not change params.

    Args:
        run: the pipeline's run.
        configs: of its trainings. Several values of one setting are listed.
        dataset_of: the id of a run on the same data.
        varied: settings, and groups of settings, that the configurations do not show; they are not recorded.
    """
    groups = set(varied)
    shown = {
        name: ", ".join(dict.fromkeys(tracking.as_param(flatten(config)[name]) for config in configs))
        for name in SETTINGS
        if name not in groups and name.partition(".")[0] not in groups
    }
    run.log_params({name: value for name, value in shown.items() if name not in run.params})
    run.set_tags({name: shown[f"{name}.name"] for name in ("model", "dataset") if f"{name}.name" in shown})
    run.log_dataset_of(dataset_of)
