"""Checkpoints: the whole state of a training after an epoch, in files from which another process continues it."""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.checkpointing.files import leftovers, newest, read, write
    from src.checkpointing.manifest import check, manifests, may_be_whole, newest_epoch
    from src.checkpointing.places import FOLDER, TRIAL, root_of, trial_key
    from src.checkpointing.state import Array, Arrays, Checkpoint
    from src.checkpointing.training import Checkpoints, Written
else:
    __getattr__ = lazy_package(__name__)
