"""A film of a training: which epochs and images it shows."""

from pathlib import Path

import numpy as np
import pytest

from src import figures, models
from src.cli.compose import compose_config
from src.datasets import Dataset, load_dataset
from src.errors import StoreError
from src.models import build_model
from src.reports.film import FRAMES, LEAST, SHARE, Film
from src.tracking import NullRun


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
    assert len(shown.images) == max(LEAST, len(dataset.train) // SHARE)


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
