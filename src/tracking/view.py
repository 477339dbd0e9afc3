"""What the UI shows of an experiment: its kind, and the columns of its runs."""

import json
import time

VIEW = "results"  # its id, in the tag's name and in addresses
COLUMNS = (
    "metrics.`test_accuracy`",
    "metrics.`val_accuracy`",
    "params.`model.name`",
    "params.`dataset.name`",
    "params.`optimizer.learning_rate`",
    "params.`seed`",
    "tags.`trial_state`",
)


TAG = f"mlflow.sharedViewState.{VIEW}"


def experiment_tags() -> dict[str, str]:
    """Tags of a new experiment: it is about training models, and has a saved view named Results.

    The UI's own columns say when a run was made and by what, but not how good it is; MLflow has no setting for that
    beside the views that people save, which are tags of the experiment.
    """
    now = int(time.time() * 1000)
    view = {"name": "Results", "createdAt": now, "updatedAt": now, "state": json.dumps({"selectedColumns": COLUMNS})}
    return {
        "mlflow.experimentKind": "custom_model_development",
        TAG: json.dumps(view),
    }
