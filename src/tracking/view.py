"""What the UI shows of an experiment: its kind, and the columns of its runs."""

import contextlib
import json
import time
from collections.abc import Mapping, Sequence

VIEW = "results"  # its id, in the tag's name and in addresses
TAG = f"mlflow.sharedViewState.{VIEW}"
COLUMNS = (
    "metrics.`best_val_accuracy`",
    "metrics.`test_accuracy`",
    "metrics.`best_epoch`",
    "params.`model.name`",
    "params.`dataset.name`",
    "params.`optimizer.learning_rate`",
    "params.`seed`",
    "tags.`trial_state`",
)
# The columns of earlier versions: their `val_accuracy` is the last epoch's, whichever epoch was kept.
FORMER = [
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


def experiment_tags() -> dict[str, str]:
    """Tags of a new experiment: it is about training models, and has a saved view named Results.

    The UI's own columns say when a run was made and by what, but not how good it is; MLflow has no setting for that
    beside the views that people save, which are tags of the experiment.
    """
    now = int(time.time() * 1000)
    return {"mlflow.experimentKind": "custom_model_development", TAG: _view(COLUMNS, now)}


def renewed_view(tags: Mapping[str, str]) -> str | None:
    """Return the view with today's columns for an experiment with the former ones; None if a user changed them.

    Args:
        tags: of the experiment.
    """
    with contextlib.suppress(ValueError, TypeError, KeyError):  # another view than ours
        created = json.loads(tags[TAG])["createdAt"]
        if tags[TAG] in [_view(columns, created) for columns in FORMER]:
            return _view(COLUMNS, created)
    return None


def _view(columns: Sequence[str], created: int) -> str:
    """The tag's value: a view, made at this time in milliseconds and not changed since."""
    state = json.dumps({"selectedColumns": columns})
    return json.dumps({"name": "Results", "createdAt": created, "updatedAt": created, "state": state})
