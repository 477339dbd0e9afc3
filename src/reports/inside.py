"""Pictures of what a network has learned and where it looks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from src import datasets, figures, inspection, tracking
from src.errors import DataError
from src.places import local_path

if TYPE_CHECKING:
    import keras
    import numpy as np


MOST = 6  # right and wrong predictions that are shown
Picture = tuple[str, Any]  # the path below figures/, and the Matplotlib figure


def record_inside(
    run: tracking.Run,
    model: keras.Model,
    dataset: datasets.Dataset,
    probabilities: np.ndarray | None,
    output: str | None = None,
) -> list[str]:
    """Puts the pictures of `inside` into the run, and into a folder where one is named.

    Returns:
        Where they are in the run.
    """
    return keep(run, inside(model, dataset, probabilities), output)


def inside(model: keras.Model, dataset: datasets.Dataset, probabilities: np.ndarray | None) -> Iterator[Picture]:
    """Pictures of what a trained network has learned and where it looks.

    Args:
        model: any network; one without convolutions has none of these pictures.
        dataset: its first test image is followed through the network.
        probabilities: float32, (n, classes), of the test split; None where it may not be scored, and then there is no
            Grad-CAM.
    """
    if (filters := inspection.first_filters(model)) is not None:
        yield "filters.png", figures.plot_filters(filters.kernels, filters.name)
    first = figures.image_name(0, dataset.test_files[0] if dataset.test_files else None)
    yield from map_pictures(model, dataset.test.images[0], f"test image {figures.short_name(first)}")
    if probabilities is None:
        return
    right, wrong = examples(dataset, probabilities)
    seen = [prediction.image for prediction in (*right, *wrong)]
    heats = inspection.grad_cam(model, dataset.test.images[seen], probabilities[seen].argmax(axis=1).tolist())
    if heats is not None:
        yield "grad_cam.png", figures.plot_grad_cam(right, wrong, dataset.test.images, heats)


def map_pictures(model: keras.Model, image: np.ndarray, what: str) -> Iterator[Picture]:
    """The feature maps of every convolution, a page for each dozen of them."""
    pages = figures.feature_maps_data(inspection.feature_maps(model, image))
    for number, page in enumerate(pages, start=1):
        of = f"{what}, page {number} of {len(pages)}" if len(pages) > 1 else what
        yield f"feature_maps/page_{number}.png", figures.plot_feature_maps(page, image, of)


def examples(
    dataset: datasets.Dataset, probabilities: np.ndarray
) -> tuple[list[figures.Prediction], list[figures.Prediction]]:
    """Right test predictions, each of another class, and the worst mistakes."""
    split = dataset.test.labels, probabilities, dataset.class_names, MOST, dataset.test_files
    return figures.right_predictions_data(*split), figures.worst_mistakes_data(*split)


def keep(run: tracking.Run, pictures: Iterator[Picture], output: str | None) -> list[str]:
    """Puts pictures into the run, and into a folder where one is named; returns where they are in the run."""
    kept = []
    for path, figure in pictures:
        run.log_figure(f"figures/{path}", figure)
        if output is not None:
            file = local_path(output) / path
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                with warnings.catch_warnings():  # as in `Run.log_figure`: names may be in any script
                    warnings.filterwarnings("ignore", r"Glyph .* missing from font")
                    figure.savefig(file)
            except OSError as error:
                raise DataError(f"{file} cannot be written: {error.strerror or error}; name another output=") from error
        kept.append(f"figures/{path}")
    return kept


def without_convolutions(model: keras.Model) -> str:
    return f"{model.name} has no convolutions, and so no filters, feature maps or Grad-CAM"
