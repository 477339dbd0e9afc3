"""Probabilities for images that a model was not trained on, stored in a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from src import tracking
from src.errors import NotKept, StoreError

PROBABILITIES = "tables/test_probabilities.npy"
OUT_OF_FOLD = "tables/out_of_fold_probabilities.npy"

Probabilities = npt.NDArray[np.float32]


def read_probabilities(
    run: tracking.Run, images: int, path: str = PROBABILITIES, remedy: str | None = None
) -> Probabilities | None:
    """Return probabilities that are stored in the run; None for a run that has none, such as an older one.

    Args:
        run: of the model.
        images: the number of images in the run's table of predictions.
        path: of the file in the run.
        remedy: what to do about a damaged file; by default, to evaluate the run again.

    Raises:
        StoreError: the file is damaged, or does not belong to the predictions.
    """
    remedy = remedy or f"create it again with python -m src.evaluate run_id={run.run_id}"
    damaged = f"run {run.run_id}: {path} is damaged ({{reason}}); {remedy}"
    try:
        with run.reading(path) as file:
            found = _load(file, damaged)
    except NotKept:
        return None
    if found.dtype != np.float32 or found.ndim != 2 or len(found) != images or not np.isfinite(found).all():
        reason = f"it contains {found.dtype}, {found.shape}; expected finite float32, ({images}, classes)"
        raise StoreError(damaged.format(reason=reason))
    return found.astype(np.float32)


def _load(file: Path, damaged: str) -> npt.NDArray[np.generic]:
    try:
        # A map of the file, because it is checked to be as large as its header says before memory is reserved.
        return np.array(np.load(file, mmap_mode="r", allow_pickle=False))
    except Exception as error:  # a damaged header raises any of a dozen
        raise StoreError(damaged.format(reason=str(error).split("\n")[0])) from error
