"""Interrupted trainings: finding the one to continue and its checkpoint, and checking that it is the same training."""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.resuming.finding import NOTHING, Resumption, find_interrupted, find_requested
    from src.resuming.places import check_named_folder
    from src.resuming.starting import continue_run, open_checkpoints, tags_of, with_initial_weights
else:
    __getattr__ = lazy_package(__name__)
