"""Batches: every image once, with its own label, in an order of the seed; scoring does not fill the memory."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from src.datasets import Split
from src.fitting import batches
from tests.support.workplace import ROOT


def labeled(count: int) -> Split:
    values = np.arange(count, dtype=np.uint8)
    return Split(values.reshape(-1, 1, 1, 1), values)


def epoch_of(epoch_batches: Any) -> tuple[list[int], list[int]]:
    """Labels and batch sizes of one epoch; every image must come as bytes, with its own label."""
    epoch = list(epoch_batches.as_numpy_iterator())
    for images, labels in epoch:
        assert (images.dtype.name, images.ravel().tolist()) == ("uint8", labels.tolist())
    return [int(label) for _, labels in epoch for label in labels], [len(labels) for _, labels in epoch]


def in_epoch(number: int, shuffled: Any, order: Any) -> tuple[list[int], list[int]]:
    order.on_epoch_begin(number)
    return epoch_of(shuffled)


def test_an_epoch_has_every_image_once_in_an_order_that_depends_on_seed_and_epoch() -> None:
    one, again, another = (batches.training_batches(labeled(50), batch_size=16, seed=seed) for seed in (1, 1, 2))
    epochs = [in_epoch(number, *shuffled) for number, shuffled in ((0, one), (1, one), (0, another))]
    assert [(sorted(labels), sizes) for labels, sizes in epochs] == [(list(range(50)), [16, 16, 16, 2])] * 3
    assert len({tuple(range(50)), *(tuple(labels) for labels, _ in epochs)}) == 4
    assert in_epoch(1, *again) == epochs[1]  # whether or not this process has seen the epoch before it


def test_scoring_keeps_the_order_and_reaches_the_last_image() -> None:
    assert epoch_of(batches.scoring_batches(labeled(7), batch_size=3)) == (list(range(7)), [3, 3, 1])


@pytest.mark.parametrize(("filters", "images"), [(1, 1_000), (512, 128), (2**20, 1)])
def test_fewer_images_are_scored_at_once_if_a_map_is_large(filters: int, images: int) -> None:
    vector = keras.Input((1_024,))
    model = keras.Model(vector, keras.layers.RepeatVector(filters)(vector))
    assert batches.scoring_batch(model) == images


def test_images_on_disk_come_in_the_same_batches_as_images_in_memory(tmp_path: Path) -> None:
    split = Split(
        np.random.default_rng(0).integers(0, 256, (20, 4, 3, 1), dtype=np.uint8), np.arange(20, dtype=np.uint8) % 3
    )
    np.save(tmp_path / "images.npy", split.images)
    mapped = Split(np.load(tmp_path / "images.npy", mmap_mode="r"), split.labels)
    assert isinstance(mapped.head(12).images, np.memmap)
    for make in (lambda one: batches.training_batches(one, 8, seed=1)[0], lambda one: batches.scoring_batches(one, 8)):
        for (images, labels), (from_disk, their_labels) in zip(make(split), make(mapped), strict=True):
            assert np.array_equal(images, from_disk)
            assert np.array_equal(labels, their_labels)


SHUFFLED = """
import resource, sys, numpy as np
from src.datasets import Split
from src.fitting import batches
images = np.load(sys.argv[1], mmap_mode="r")
split = Split(images, np.zeros(len(images), np.uint8))
for _ in zip(range(3), batches.training_batches(split, 64, seed=1)[0]): pass
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sum(len(labels) for _, labels in batches.training_batches(split, 64, seed=2)[0])
held = int(open("/proc/self/statm").read().split()[1]) - int(open("/proc/self/statm").read().split()[2])
print(held * 4096)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux reports memory without mapped files")
def test_an_epoch_over_images_on_disk_does_not_load_them_all_into_memory(tmp_path: Path) -> None:
    size = 1_500 * 2**20
    images = np.lib.format.open_memmap(tmp_path / "images.npy", "w+", np.uint8, (size // 128**2, 128, 128, 1))
    images.flush()
    done = subprocess.run(
        [sys.executable, "-c", SHUFFLED, str(tmp_path / "images.npy")], cwd=ROOT, capture_output=True, text=True
    )
    assert int(done.stdout) < size / 2, done.stderr
