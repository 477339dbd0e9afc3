"""Class weights: each class counts alike."""

import numpy as np
import pytest

from src.fitting import fit
from src.fitting.epochs import class_weights
from tests.support.training import STANDING_STILL, ready


def test_a_class_with_fewer_images_has_a_larger_weight() -> None:
    labels = np.array([0] * 6 + [1] * 3 + [3], np.uint8)
    assert class_weights(labels) == pytest.approx([10 / (3 * 6), 10 / (3 * 3), 10 / 3, 10 / 3])


def test_balanced_weights_make_the_loss_the_mean_over_the_classes() -> None:
    model, dataset, config = ready("training.class_weights=balanced", "training.epochs=1", *STANDING_STILL)
    kept = np.concatenate([np.flatnonzero(dataset.train.labels > 0), np.flatnonzero(dataset.train.labels == 0)[:2]])
    dataset.train.__dict__.update(images=dataset.train.images[kept], labels=dataset.train.labels[kept])
    chosen = model.predict(dataset.train.images, verbose=0)[np.arange(len(kept)), dataset.train.labels]
    by_class = [-np.log(chosen[dataset.train.labels == label]).mean() for label in range(10)]
    assert fit(model, dataset, config).history["loss"] == pytest.approx([np.mean(by_class)], rel=1e-3)
