"""The list of checks, in the order in which they run."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from src.diagnosis.abandoned_runs import find_abandoned_runs, find_unfinished_parents
from src.diagnosis.altered_models import find_altered_models
from src.diagnosis.best_epoch import find_missing_best_epochs
from src.diagnosis.cache import find_cached_images
from src.diagnosis.case import Case
from src.diagnosis.checkpoints import find_checkpoints
from src.diagnosis.finding import Finding
from src.diagnosis.half_written import find_half_written_files
from src.diagnosis.killed_runs import find_killed_runs
from src.diagnosis.missing_files import find_missing_artifacts, find_missing_models, find_versions_without_runs
from src.diagnosis.trials import find_disagreements
from src.diagnosis.undelivered import find_rescued_weights, find_undelivered
from src.diagnosis.unfinished_models import find_unfinished_models


class Check(NamedTuple):
    """A kind of fault or information: its heading, and the function that finds it."""

    title: str
    find: Callable[[Case], Iterator[Finding]]


# The first three find out which runs have ended, and those after them rely on it.
CHECKS = (
    Check("trials and runs that disagree", find_disagreements),
    Check("runs that say RUNNING", find_abandoned_runs),
    Check("sweeps and pipelines that say RUNNING", find_unfinished_parents),
    Check("models that were not finished", find_unfinished_models),
    Check("half-written files", find_half_written_files),
    Check("missing files of runs", find_missing_artifacts),
    Check("missing files of models", find_missing_models),
    Check("registered versions without a run", find_versions_without_runs),
    Check("models that differ from their manifest", find_altered_models),
    Check("trainings without a best epoch", find_missing_best_epochs),
    Check("points and files that were not delivered", find_undelivered),
    Check("checkpoints", find_checkpoints),
    Check("rescued weights", find_rescued_weights),
    Check("cache of decoded images", find_cached_images),
    Check("interrupted runs", find_killed_runs),
)
