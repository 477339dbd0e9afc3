"""Pictures of what a network has learned, and of what it bases its predictions on."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from src import datasets, figures, inspection, tracking
from src.errors import DataError
from src.places import local_path
from src.results import short_name

if TYPE_CHECKING:
    import keras
    import numpy as np


MAX_PREDICTIONS = 6  # right ones and as many wrong ones: a row of each
Picture = tuple[str, Any]  # the path below figures/, and the Matplotlib figure


def record_explanation(
    run: tracking.Run,
    model: keras.Model,
    dataset: datasets.Dataset,
    probabilities: np.ndarray | None,
    output: str | None = None,
) -> list[str]:
    """Save the pictures that explain a model, and return their paths in the run.

    Args:
        run: where they are stored.
        model: any network; one without convolutions has no such pictures.
        dataset: its first test image is followed through the network.
        probabilities: float32, (n, classes), of the test split; None while it may not be scored, and then there is no
            Grad-CAM.
        output: a folder that gets copies of the pictures; None for none.
    """
    return save_pictures(run, _pictures(model, dataset, probabilities), output)


def _pictures(model: keras.Model, dataset: datasets.Dataset, probabilities: np.ndarray | None) -> Iterator[Picture]:
    if (filters := inspection.first_filters(model)) is not None:
        yield "filters.png", figures.plot_filters(filters.kernels, filters.name)
    first = figures.image_name(0, dataset.test_files[0] if dataset.test_files else None)
    yield from feature_map_pictures(model, dataset.test.images[0], f"test image {short_name(first)}")
    if probabilities is None:
        return
    right, wrong = choose_predictions(dataset, probabilities)
    images = [prediction.image for prediction in (*right, *wrong)]
    heats = inspection.grad_cam(model, dataset.test.images[images], probabilities[images].argmax(axis=1).tolist())
    if heats is not None:
        yield "grad_cam.png", figures.plot_grad_cam(right, wrong, dataset.test.images, heats)


def feature_map_pictures(model: keras.Model, image: np.ndarray, name: str) -> Iterator[Picture]:
    """Draw the feature maps of every convolution for one image, a dozen convolutions on a page."""
    pages = figures.feature_maps_data(inspection.feature_maps(model, image))
    for number, page in enumerate(pages, start=1):
        title = f"{name}, page {number} of {len(pages)}" if len(pages) > 1 else name
        yield f"feature_maps/page_{number}.png", figures.plot_feature_maps(page, image, title)


def choose_predictions(
    dataset: datasets.Dataset, probabilities: np.ndarray
) -> tuple[list[figures.Prediction], list[figures.Prediction]]:
    """Return right test predictions, each of another class, and the worst mistakes."""
    split = dataset.test.labels, probabilities, dataset.class_names, MAX_PREDICTIONS, dataset.test_files
    return figures.right_predictions_data(*split), figures.worst_mistakes_data(*split)


def save_pictures(run: tracking.Run, pictures: Iterable[Picture], output: str | None) -> list[str]:
    """Save pictures in the run, and copies in a folder if one is given; return their paths in the run."""
    paths = []
    for path, figure in pictures:
        run.log_figure(f"figures/{path}", figure)
        if output is not None:
            _save_copy(figure, output, path)
        paths.append(f"figures/{path}")
    return paths


def _save_copy(figure: Any, output: str, path: str) -> None:
    file = local_path(output) / path
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():  # as in `Run.log_figure`: names may be in any script
            warnings.filterwarnings("ignore", r"Glyph .* missing from font")
            figure.savefig(file)
    except OSError as error:
        raise DataError(f"{file} cannot be written: {error.strerror or error}; name another output=") from error


def no_convolutions_note(model: keras.Model) -> str:
    """Return the sentence that says why a network has no such pictures."""
    return f"{model.name} has no convolutions, and so no filters, feature maps or Grad-CAM"
