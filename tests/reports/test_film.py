"""A film of a training: which epochs and images it shows."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from src import figures, models
from src.cli.compose import compose_config
from src.datasets import Dataset, load_dataset
from src.errors import StoreError
from src.fitting import fit
from src.models import build_model
from src.reports.film import FRAMES, MIN_WATCHED, SHARE, Film
from src.reports.run import Recorder
from src.tracking import NullRun
from tests.support.training import STANDING_STILL, ready


class Noted(NullRun):
    """A run that notes the pictures that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.is_here = True
        self.images: list[tuple[str, int]] = []

    @property
    def folder(self) -> Path | None:
        return Path() if self.is_here else None

    def log_image(self, key: str, step: int, pixels: np.ndarray) -> None:
        assert pixels.dtype == np.uint8
        assert pixels.shape[-1] == 3
        self.images.append((key, step))


class Full(Noted):
    """A run on a disk that is full."""

    def log_image(self, key: str, step: int, pixels: np.ndarray) -> None:
        raise StoreError("there is no space left")


def film(model: str = "dense", epochs: int = 3, *typed: str, run: Noted | None = None) -> tuple[Film, Noted, Dataset]:
    config = compose_config([f"model={model}", "dataset=synthetic", *typed])
    dataset = load_dataset(config.dataset)
    run = run or Noted()
    network = build_model(config.model, config.dataset.input_shape, len(dataset.class_names))
    return Film(run, network, dataset, epochs), run, dataset


def test_a_network_without_convolutions_has_only_mistakes() -> None:
    shown, run, _ = film()
    shown.note_epoch(1, {})
    assert run.images == [("mistakes", 1)]


def test_pictures_for_a_server_wait_for_the_end_of_the_training() -> None:
    shown, run, _ = film()
    run.is_here = False
    for epoch in (1, 2, 3):
        shown.note_epoch(epoch, {})
    assert run.images == []
    shown.write()
    assert run.images == [("mistakes", 1), ("mistakes", 2), ("mistakes", 3)]


def test_a_full_disk_does_not_end_the_training_but_is_reported_at_its_end() -> None:
    shown, _, _ = film(run=Full())
    shown.note_epoch(1, {})
    with pytest.raises(StoreError, match="no space left"):
        shown.write()


class Absent(Noted):
    """A run on a server that takes a picture only now and then."""

    def log_image(self, key: str, step: int, pixels: np.ndarray) -> None:
        if step % 2:
            raise StoreError("the server does not answer")
        super().log_image(key, step, pixels)


def test_pictures_that_wait_for_a_server_are_each_written_when_the_training_is_interrupted() -> None:
    shown, run, _ = film(epochs=4, run=Absent())
    run.is_here = False
    for epoch in (1, 2, 3, 4):
        shown.note_epoch(epoch, {})
    shown.write_on_interruption()
    assert run.images == [("mistakes", 2), ("mistakes", 4)]


def test_an_epoch_for_which_there_is_too_little_memory_has_no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, run, _ = film("lenot")

    def exhaust(*arguments: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(models, "predict", exhaust)
        shown.note_epoch(1, {})
    shown.note_epoch(2, {})
    assert run.images == [("feature maps", 2), ("mistakes", 2)]


def test_a_network_with_large_maps_looks_at_few_images_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, _, _ = film("lenot")
    sizes: list[int] = []
    predict = models.predict

    def note(model: Any, images: np.ndarray) -> np.ndarray:
        sizes.append(len(images))
        return predict(model, images)

    monkeypatch.setattr(models, "predict", note)
    largest = max(math.prod(layer.output.shape[1:]) for layer in shown.model.layers)
    monkeypatch.setattr("src.fitting.batches.MAX_MAP_BYTES", 5 * 4 * largest)  # of five float32 maps
    shown.note_epoch(1, {})
    assert max(sizes) == 5
    assert sum(sizes) == len(shown.images)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_training_that_is_stopped_early_has_a_frame_of_its_last_epoch(
    parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.fitting.epochs.parts_for", lambda config: parts)
    typed = ["training.epochs=100", "training.early_stopping_patience=2"]
    model, dataset, config = ready(*STANDING_STILL, *typed)
    run = Noted()
    fitted = fit(model, dataset, config, [Film(run, model, dataset, 100).note_epoch])
    assert fitted.stopped == "early_stopping"
    assert run.images == [("mistakes", len(fitted.history["loss"]))] == [("mistakes", 3)]


def test_a_training_that_ends_before_its_schedule_has_frames_of_the_epochs_that_it_trains() -> None:
    config = compose_config(["model=dense", "dataset=synthetic", "training.epochs=100", "training.last_epoch=7"])
    dataset, run = load_dataset(config.dataset), Noted()
    network = build_model(config.model, config.dataset.input_shape, len(dataset.class_names))
    (note_epoch,) = Recorder(run, config, dataset).observers(network)
    for epoch in range(1, 8):
        note_epoch(epoch, {})
    assert [step for _, step in run.images] == list(range(1, 8))


def test_a_convnet_has_feature_maps_too() -> None:
    shown, run, _ = film("lenot")
    shown.note_epoch(2, {})
    assert run.images == [("feature maps", 2), ("mistakes", 2)]


@pytest.mark.parametrize(
    ("epochs", "expected"), [(1, 1), (FRAMES, FRAMES), (FRAMES + 1, FRAMES), (45, FRAMES), (1000, FRAMES)]
)
def test_a_long_training_has_frames_at_equal_distances_and_one_of_its_last_epoch(epochs: int, expected: int) -> None:
    shown, run, _ = film("dense", epochs)
    for epoch in range(1, epochs + 1):
        shown.note_epoch(epoch, {})
    steps = [step for _, step in run.images]
    assert len(steps) == expected
    assert steps[-1] == epochs
    assert len(set(np.diff([0, *steps]).tolist())) <= 2


def test_it_looks_at_validation_images_and_without_them_at_training_images_but_never_at_test_images() -> None:
    for typed, split in (([], "validation"), (["dataset.validation_size=0"], "train")):
        shown, _, dataset = film("dense", 3, *typed)
        images = getattr(dataset, split).images
        np.testing.assert_array_equal(shown.images, images[: len(shown.images)])


@pytest.mark.parametrize("limit", [60, 2_000])
def test_a_small_data_set_is_not_watched_for_long(limit: int) -> None:
    shown, _, dataset = film("dense", 3, f"dataset.limit={limit}", "dataset.train_size=3000")
    assert len(shown.images) == max(MIN_WATCHED, len(dataset.train) // SHARE)


def test_the_surest_mistake_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[figures.Mistake]] = []

    def note(mistakes: list[figures.Mistake], images: int) -> np.ndarray:
        given.append(mistakes)
        return np.zeros((images, 9, 3), np.uint8)

    monkeypatch.setattr(figures, "mistakes_frame", note)
    shown, _, _ = film()
    shown.note_epoch(1, {})
    (mistakes,) = given
    scores = [mistake.score for mistake in mistakes]
    assert scores == sorted(scores, reverse=True)
    predicted = models.predict(shown.model, shown.images).argmax(axis=1)
    assert len(mistakes) == (predicted != shown.labels).sum()
    assert all(mistake.predicted != mistake.true for mistake in mistakes)
