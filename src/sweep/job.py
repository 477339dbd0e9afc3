"""The job of a worker, and the messages that its parent sends: JSON, which can call nothing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src import tracking
from src.space import Places

STOP = b"stop"  # ends the worker after the epoch of its trial


@dataclass(frozen=True)
class Job:
    """The job of a worker.

    Attributes:
        definition: of the sweep, see `src.space.definition`.
        places: the paths and addresses of the worker.
        study: the name and id of the study, which exists.
        parent_run_id: the MLflow run of the sweep, None when tracking is off.
        n_trials: how many trials the study has in the end.
        first: the number of the first trial of this command.
        starter: the name under which the process that starts the workers is `alive` as long as they run.
        deadline: the time after which no further trial starts, by the monotonic clock that all processes of the machine
            share, or None.
        log: the file to which the worker appends what it does; None without one.
    """

    definition: Mapping[str, Any]
    places: Places
    study: tracking.StudyId
    parent_run_id: str | None
    n_trials: int
    first: int
    starter: str
    deadline: float | None
    log: str | None = None

    def as_message(self) -> bytes:
        """Return the job as JSON."""
        return json.dumps(dataclasses.asdict(self)).encode()

    @classmethod
    def from_message(cls, message: bytes) -> Job:
        """Return the job that `as_message` has written."""
        fields = json.loads(message)
        return cls(**fields | {"places": Places(**fields["places"]), "study": tracking.StudyId(*fields["study"])})
