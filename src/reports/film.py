"""A film of a training: what changes from epoch to epoch in an image's feature maps and among the wrong predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from src import datasets, figures, inspection, models, tracking

if TYPE_CHECKING:
    import keras

FRAMES = 20  # of a training; of more epochs, some are left out
WATCHED = 256  # images at most whose predictions are looked at
SHARE = 50  # training images for each image that is watched, so that small data sets are not watched for long
LEAST = 16  # images that are watched in any case
BATCH = 64


class Film:
    """Records two pictures after an epoch; MLflow shows those of one key as a film.

    Args:
        run: where they are recorded.
        model: that is trained.
        dataset: its validation images are looked at, without them its training images, and never its test images.
        epochs: the length of the training.
    """

    def __init__(self, run: tracking.Run, model: keras.Model, dataset: datasets.Dataset, epochs: int) -> None:
        self.run = run
        self.model = model
        self.epochs = epochs
        self.class_names = dataset.class_names
        split = dataset.validation or dataset.train
        count = min(len(split), WATCHED, max(LEAST, len(dataset.train) // SHARE))
        self.images, self.labels = np.asarray(split.images[:count]), np.asarray(split.labels[:count])

    def note_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Record the pictures of an epoch, counted from 1; an observer of `fitting.fit`."""
        if self.epochs > FRAMES and epoch * FRAMES // self.epochs == (epoch - 1) * FRAMES // self.epochs:
            return
        if maps := inspection.feature_maps(self.model, self.images[0]):
            self.run.log_image("feature maps", epoch, figures.maps_frame(self.images[0], maps))
        self.run.log_image("mistakes", epoch, figures.mistakes_frame(self._mistakes(), len(self.images)))

    def _mistakes(self) -> list[figures.Mistake]:
        """Return the wrong predictions, the surest first."""
        starts = range(0, len(self.images), BATCH)
        found = np.concatenate([models.predict(self.model, self.images[at : at + BATCH]) for at in starts])
        predicted, scores = found.argmax(axis=1), found.max(axis=1)
        wrong = np.flatnonzero(predicted != self.labels)
        return [
            figures.Mistake(
                self.images[at],
                self.class_names[predicted[at]],
                self.class_names[self.labels[at]],
                float(scores[at]),
            )
            for at in wrong[np.argsort(-scores[wrong], kind="stable")]
        ]
