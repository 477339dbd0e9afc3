"""A film of a training: what changes from epoch to epoch in an image's feature maps and among the wrong predictions."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from src import datasets, figures, fitting, inspection, models, tracking
from src.errors import NotEnoughMemory, StoreError

if TYPE_CHECKING:
    import keras

FRAMES = 10  # of a training; of more epochs, some are left out
WATCHED = 256  # images at most whose predictions are looked at
SHARE = 50  # training images for each image that is watched, so that small data sets are not watched for long
MIN_WATCHED = 16  # images that are watched in any case
BATCH = 64  # images at most whose predictions are computed at once


class Film:
    """Draws two pictures after an epoch; MLflow shows those of one key as a film.

    An epoch has none if there is too little memory for them.

    They are written at once if the run's files are on this disk. Those for a server wait for the end of the training or
    its interruption: a slow or absent server must not delay or end it.

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
        count = min(len(split), WATCHED, max(MIN_WATCHED, len(dataset.train) // SHARE))
        self.images, self.labels = np.asarray(split.images[:count]), np.asarray(split.labels[:count])
        self.waiting: list[tuple[str, int, np.ndarray]] = []
        run.promise_images()

    def note_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Draw the pictures of an epoch, counted from 1; an observer of `fitting.fit`."""
        if not self._shows(epoch):
            return
        with contextlib.suppress(NotEnoughMemory), fitting.explain_out_of_memory(BATCH):
            self.waiting += self._draw(epoch)
        if self.run.folder is not None:
            with contextlib.suppress(StoreError):  # such as a full disk: the end of the training reports it
                self.write()

    def write(self) -> None:
        """Write the pictures that were not written yet.

        Raises:
            StoreError: the store does not take them.
        """
        while self.waiting:
            self.run.log_image(*self.waiting[0])
            del self.waiting[0]

    def write_on_interruption(self) -> None:
        """Write what was not written yet. Those that an absent server does not take are kept for a later delivery."""
        for picture in self.waiting:
            with contextlib.suppress(Exception):  # the reason of the interruption says more
                self.run.log_image(*picture)

    def _shows(self, epoch: int) -> bool:
        if self.epochs <= FRAMES or getattr(self.model, "stop_training", False):  # early stopping ends the training
            return True
        return epoch * FRAMES // self.epochs > (epoch - 1) * FRAMES // self.epochs

    def _draw(self, epoch: int) -> list[tuple[str, int, np.ndarray]]:
        pictures = [("mistakes", epoch, figures.mistakes_frame(self._mistakes(), len(self.images)))]
        if maps := inspection.feature_maps(self.model, self.images[0]):
            pictures.insert(0, ("feature maps", epoch, figures.maps_frame(self.images[0], maps)))
        return pictures

    def _mistakes(self) -> list[figures.Mistake]:
        """Return the wrong predictions, the surest first."""
        step = min(BATCH, fitting.scoring_batch(self.model))
        starts = range(0, len(self.images), step)
        found = np.concatenate([models.predict(self.model, self.images[at : at + step]) for at in starts])
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
