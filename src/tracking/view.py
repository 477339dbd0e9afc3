"""The UI's view of an experiment: its kind, and the columns of its table of runs."""

import contextlib
import json
import time
from collections.abc import Mapping, Sequence

VIEW = "results"  # its id, in the tag's name and in addresses
TAG = f"mlflow.sharedViewState.{VIEW}"
COLUMN_SETTINGS = ("model.name", "dataset.name", "optimizer.learning_rate", "seed")
VIEW_COLUMNS = (
    "metrics.`best_val_accuracy`",
    "metrics.`best_val_accuracy_spread`",  # of pipelines, as the next one
    "metrics.`test_accuracy`",
    "metrics.`test_accuracy_spread`",
    "metrics.`best_epoch`",
    *(f"params.`{name}`" for name in COLUMN_SETTINGS),
    "tags.`trial_state`",
)
# The columns of earlier versions. In the first two, `val_accuracy` is the last epoch's, even if another epoch was kept.
EARLIER_COLUMNS: list[tuple[str, ...]] = [
    (
        "metrics.`test_accuracy`",
        "metrics.`val_accuracy`",
        "params.`model.name`",
        "params.`dataset.name`",
        "params.`optimizer.learning_rate`",
        param,
        "tags.`trial_state`",
    )
    for param in ("params.`seed`", "params.`resolved.best_epoch`")
]
EARLIER_COLUMNS.append(tuple(column for column in VIEW_COLUMNS if "_spread" not in column))


def experiment_tags() -> dict[str, str]:
    """Return the tags of a new experiment: it trains models, and has a saved view named Results.

    The UI's own columns show when and by what a run was made, but not how good it is. The only setting for columns is
    a saved view, which is a tag of the experiment.
    """
    now = int(time.time() * 1000)
    return {"mlflow.experimentKind": "custom_model_development", TAG: _view(VIEW_COLUMNS, now)}


def renewed_view(tags: Mapping[str, str]) -> str | None:
    """Return the view with today's columns for an experiment with those of an earlier version, else None.

    A view that a user has changed is left alone.

    Args:
        tags: of the experiment.
    """
    with contextlib.suppress(ValueError, TypeError, KeyError):  # not a view of this program
        created = json.loads(tags[TAG])["createdAt"]
        if tags[TAG] in [_view(columns, created) for columns in EARLIER_COLUMNS]:
            return _view(VIEW_COLUMNS, created)
    return None


def _view(columns: Sequence[str], created: int) -> str:
    """Return the tag's value: a view, created at this time in milliseconds and not changed since."""
    state = json.dumps({"selectedColumns": columns})
    return json.dumps({"name": "Results", "createdAt": created, "updatedAt": created, "state": state})
