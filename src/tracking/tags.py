"""The tags of runs: which ones people read, and which ones only this program reads.

Tags that people look at and filter by have plain names:

- where a run comes from: `model`, `dataset`, `host`, `git_dirty`;
- how it ended: `stopped`, `error`, `trial_state`, `resumed` (after which epochs), `resumed_with`;
- what it belongs to: `study`, `sweep`, `trial`, `pipeline`, `best_of`, `reproduces`, `made_with` (the run whose
  network made a picture);
- which trial of a front a pipeline trained again: `chosen_trial`, `chosen_because`.

MLflow's own tags begin with `mlflow.`. All other names belong to the user: `tags.owner=ada`. A user may give a training
a tag with one of the plain names too, so convlab decides nothing by a plain tag.

Tags that only this program reads begin with `convlab.`. Users cannot set those. Runs of earlier versions have them
without the prefix, so they are always read with `read_tag` and searched for with `searches`.

Versions in the model registry have tags of their own, all for people: `data_digest`, `verdict`, `mcnemar_p_value` or
`bootstrap_p_value`, and test metrics.
"""

import json
import math
from collections.abc import Mapping

from src.results import Calibration, Interval
from src.schema import TAG_PREFIX

PROCESS = f"{TAG_PREFIX}process"  # the process that began the run, or that resumed it last
HOST = f"{TAG_PREFIX}host"  # the machine of that process
FINGERPRINT = f"{TAG_PREFIX}fingerprint"  # of all that decides the result
PLANNED = f"{TAG_PREFIX}planned"  # the fingerprint that the run will have when it is finished
COMMAND = f"{TAG_PREFIX}command"  # that resumes a sweep or a pipeline
EPOCHS = f"{TAG_PREFIX}epochs"  # the new number of epochs, if it was changed when the run was resumed
CHECKPOINTS = f"{TAG_PREFIX}checkpoints"  # the folder of all checkpoints, unless it is next to the store
UNRECOGNIZED = f"{TAG_PREFIX}unrecognized_classes"  # the warning about such classes
INTERVALS = f"{TAG_PREFIX}intervals"  # of the test metrics, JSON: metric -> [low, high]
CALIBRATION = f"{TAG_PREFIX}calibration"  # JSON: error, temperature, calibrated_error
STUDY_ID = f"{TAG_PREFIX}study_id"
SWEEP = f"{TAG_PREFIX}sweep"  # marks the run of a sweep, the parent of its trials' runs
ART = f"{TAG_PREFIX}art"  # the command that made a picture in this run: dream or style
PIPELINE_KEY = f"{TAG_PREFIX}pipeline_key"  # of what a pipeline was asked to do
PARENT = "mlflow.parentRunId"  # MLflow's own: the run under which this one is shown


def read_tag(tags: Mapping[str, str], name: str) -> str | None:
    """Return the value of a `convlab.` tag, None when the run does not have it.

    A run of an earlier version has it without the prefix. In a run of this version that name belongs to the user.
    """
    return tags.get(name, None if PROCESS in tags else tags.get(_earlier_name(name)))


def interval_tag(intervals: Mapping[str, Interval]) -> dict[str, str]:
    """Return the tag with the intervals of a run's test metrics."""
    return {INTERVALS: json.dumps(intervals)}


def read_intervals(tags: Mapping[str, str]) -> dict[str, Interval]:
    """Return the intervals of a run's test metrics; none of a run of an earlier version, or if the tag was changed."""
    try:
        stored = json.loads(read_tag(tags, INTERVALS) or "{}")
        return {name: Interval(float(low), float(high)) for name, (low, high) in stored.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def calibration_tag(calibration: Calibration) -> dict[str, str]:
    """Return the tag with a model's calibration."""
    return {CALIBRATION: json.dumps(calibration._asdict())}


def read_calibration(tags: Mapping[str, str]) -> Calibration | None:
    """Return the calibration of a run's model; None of a run of an earlier version, or if the tag was changed."""
    try:
        found = Calibration(**json.loads(read_tag(tags, CALIBRATION) or "{}"))
        numbers = [float(value) for value in found if value is not None]
    except (ValueError, TypeError):
        return None
    is_usable = all(map(math.isfinite, numbers)) and (found.temperature is None or found.temperature > 0)
    return found if is_usable else None


def host_of(tags: Mapping[str, str]) -> str | None:
    """Return the machine on which a run was started, None when that is unknown."""
    return tags.get(HOST, tags.get("host"))  # runs of earlier versions have no other tag for it


def is_parent(tags: Mapping[str, str]) -> bool:
    """Return True for the run of a sweep or a pipeline, which any process can resume."""
    return read_tag(tags, PIPELINE_KEY) is not None or is_sweep(tags)


def is_sweep(tags: Mapping[str, str]) -> bool:
    """Return True for the run of a sweep."""
    if SWEEP in tags:
        return True
    # A sweep of an earlier version, not a trial to which a user gave such a tag.
    return "sweep" in tags and "trial" not in tags and read_tag(tags, STUDY_ID) is not None


def is_trial(tags: Mapping[str, str]) -> bool:
    """Return True for the run of a trial."""
    return read_tag(tags, STUDY_ID) is not None and "trial" in tags


def renamed_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the `convlab.` tags that a run of an earlier version has without the prefix.

    A run that gets the tag of its process counts as one of this version, so it needs these too.
    """
    if PROCESS in tags:
        return {}
    names = (FINGERPRINT, UNRECOGNIZED, STUDY_ID, PIPELINE_KEY)
    found = {name: tags[_earlier_name(name)] for name in names if _earlier_name(name) in tags}
    return found | ({SWEEP: "true"} if is_sweep(tags) else {})


def searches(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the tags to search for, one after the other, to find runs of this version and of earlier ones."""
    earlier = {_earlier_name(name): value for name, value in tags.items()}
    return [dict(tags)] if earlier == tags else [dict(tags), earlier]


def filter_by(tags: Mapping[str, str]) -> str:
    """Return MLflow's search filter for runs that have all these tags. Values may not contain quotes."""
    return " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())


def _earlier_name(name: str) -> str:
    return name.removeprefix(TAG_PREFIX)
