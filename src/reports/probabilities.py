"""The probabilities of a model for the images of its test split, stored in its run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from src import tracking
from src.errors import NotKept, StoreError

PROBABILITIES = "tables/test_probabilities.npy"

Probabilities = npt.NDArray[np.float32]


def read_probabilities(run: tracking.Run, images: int) -> Probabilities | None:
    """Return the test probabilities that are stored in the run; None for a run that has none, such as an older one.

    Args:
        run: of the model.
        images: the number of images in the run's table of predictions.

    Raises:
        StoreError: the file is damaged, or does not belong to the predictions.
    """
    try:
        with run.reading(PROBABILITIES) as file:
            found = _load(run, file)
    except NotKept:
        return None
    if found.dtype != np.float32 or found.ndim != 2 or len(found) != images or not np.isfinite(found).all():
        raise _damaged(run, f"it contains {found.dtype}, {found.shape}; expected finite float32, ({images}, classes)")
    return found.astype(np.float32)


def _load(run: tracking.Run, file: Path) -> npt.NDArray[np.generic]:
    try:
        # A map of the file, because it is checked to be as large as its header says before memory is reserved.
        return np.array(np.load(file, mmap_mode="r", allow_pickle=False))
    except Exception as error:  # a damaged header raises any of a dozen
        raise _damaged(run, str(error).split("\n")[0]) from error


def _damaged(run: tracking.Run, reason: str) -> StoreError:
    return StoreError(
        f"run {run.run_id}: {PROBABILITIES} is damaged ({reason}); create it again with "
        f"python -m src.evaluate run_id={run.run_id}"
    )
