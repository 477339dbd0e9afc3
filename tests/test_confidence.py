"""Predictions in bins of their confidence."""

import numpy as np
import pytest

from src.confidence import BINS, bin_predictions


def test_a_bin_contains_its_upper_edge_and_the_sums_of_its_predictions() -> None:
    probabilities = np.array([[0.6, 0.4], [0.4, 0.6], [1.0, 0.0]], np.float32)
    bins = bin_predictions(np.array([0, 0, 0]), probabilities)
    assert np.flatnonzero(bins.images).tolist() == [9, BINS - 1]  # float32 stores 0.6 a little above it
    assert bins.right[[9, -1]].tolist() == [1, 1]
    assert bins.confidence[[9, -1]].tolist() == pytest.approx([1.2, 1.0])
    assert bins.error == pytest.approx(abs(1 - 1.2) / 3)
