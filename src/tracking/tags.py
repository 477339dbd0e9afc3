"""The tags of runs: which ones people read, and which ones only this program reads.

Tags that people look at and filter by have plain names:

- where a run comes from: `model`, `dataset`, `host`, `git_dirty`;
- how it ended: `stopped`, `error`, `trial_state`;
- what it belongs to: `study`, `sweep`, `trial`, `pipeline`, `best_of`, `reproduces`.

MLflow's own tags begin with `mlflow.`. All other names belong to the user: `tags.owner=ada`.

Tags that only this program reads begin with `convlab.`. Users cannot set those. Runs of earlier versions have them
without the prefix, so they are always read with `read_tag` and searched for with `searches`.

Versions in the model registry have tags of their own, all for people: `data_digest`, `verdict`, `mcnemar_p_value` and
test metrics.
"""

from collections.abc import Mapping

from src.schema import TAG_PREFIX

PROCESS = f"{TAG_PREFIX}process"  # the process that began the run
FINGERPRINT = f"{TAG_PREFIX}fingerprint"  # of all that decides the result
UNRECOGNIZED = f"{TAG_PREFIX}unrecognized_classes"  # the warning about such classes
STUDY_ID = f"{TAG_PREFIX}study_id"
PIPELINE_KEY = f"{TAG_PREFIX}pipeline_key"  # of what a pipeline was asked to do


def read_tag(tags: Mapping[str, str], name: str) -> str | None:
    """Return the value of a `convlab.` tag, None when the run has it neither with nor without the prefix."""
    return tags.get(name, tags.get(_earlier_name(name)))


def searches(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the tags to search for, one after the other, to find runs of this version and of earlier ones."""
    earlier = {_earlier_name(name): value for name, value in tags.items()}
    return [dict(tags)] if earlier == tags else [dict(tags), earlier]


def filter_by(tags: Mapping[str, str]) -> str:
    """Return MLflow's search filter for runs that have all these tags. Values may not contain quotes."""
    return " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())


def _earlier_name(name: str) -> str:
    return name.removeprefix(TAG_PREFIX)
