"""Batches: every image once, with its own label, in an order of the seed; scoring does not fill the memory."""

from typing import Any

import keras
import numpy as np
import pytest

from src.datasets import Split
from src.fitting import batches


def labelled(count: int) -> Split:
    values = np.arange(count, dtype=np.uint8)
    return Split(values.reshape(-1, 1, 1, 1), values)


def epoch_of(epoch_batches: Any) -> tuple[list[int], list[int]]:
    """Labels and batch sizes of one epoch; every image must come as bytes, with its own label."""
    epoch = list(epoch_batches.as_numpy_iterator())
    for images, labels in epoch:
        assert (images.dtype.name, images.ravel().tolist()) == ("uint8", labels.tolist())
    return [int(label) for _, labels in epoch for label in labels], [len(labels) for _, labels in epoch]


def test_an_epoch_holds_every_image_once_in_an_order_of_its_seed_and_its_number() -> None:
    one, again, another = (batches.training_batches(labelled(50), batch_size=16, seed=seed) for seed in (1, 1, 2))
    epochs = [epoch_of(shuffled) for shuffled in (one, one, another)]
    assert [(sorted(labels), sizes) for labels, sizes in epochs] == [(list(range(50)), [16, 16, 16, 2])] * 3
    assert len({tuple(range(50)), *(tuple(labels) for labels, _ in epochs)}) == 4
    assert epoch_of(again) == epochs[0]


def test_scoring_keeps_the_order_and_reaches_the_last_image() -> None:
    assert epoch_of(batches.scoring_batches(labelled(7), batch_size=3)) == (list(range(7)), [3, 3, 1])


@pytest.mark.parametrize(("filters", "images"), [(1, 1_000), (512, 128), (2**20, 1)])
def test_fewer_images_are_scored_at_once_where_a_map_is_large(filters: int, images: int) -> None:
    vector = keras.Input((1_024,))
    model = keras.Model(vector, keras.layers.RepeatVector(filters)(vector))
    assert batches.scoring_batch(model) == images
