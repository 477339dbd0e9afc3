"""Pictures of what a network has learned, and of what it bases its predictions on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from src import datasets, figures, inspection, tracking
from src.errors import DataError
from src.places import local_path
from src.results import short_name
from src.schema import METHODS, load_name
from src.writing import replacing

if TYPE_CHECKING:
    import keras


MAX_PREDICTIONS = 6  # right ones and as many wrong ones: a row of each
Probabilities = npt.NDArray[np.floating]


class Picture(NamedTuple):
    """A Matplotlib figure, and its path below figures/."""

    path: str
    figure: Any


class Page(NamedTuple):
    """An HTML page, and its path below figures/. Its secrets are hidden."""

    path: str
    html: str


class Note(NamedTuple):
    """A sentence that changes how to read a picture."""

    sentence: str


class Measure(NamedTuple):
    """A number for each explained image.

    Attributes:
        metric: the name of the metric for all images together.
        label: the heading of its column.
        values: one for each image; None for an image that has none.
        total: the value for all images together, if it is not the mean of the values.
    """

    metric: str
    label: str
    values: Sequence[float | None]
    total: float | None = None

    @property
    def value(self) -> float | None:
        """The value for all images together: the total, or the mean of the values; None without values."""
        if self.total is not None:
            return self.total
        known = [value for value in self.values if value is not None]
        return float(np.mean(known)) if known else None


Finding = Picture | Page | Measure | Note


@dataclass
class Subject:
    """A model, and what is explained of it.

    Attributes:
        model: any network.
        class_names: one for each label.
        images: uint8, (n, height, width, channels), the explained images; n may be 0.
        classes: for each of them the class that is explained.
        names: a name for each: its file, or the class that is explained.
        draw_heats: draws a heat map of each.
        example, example_name: the image whose feature maps are shown.
        seed: of random numbers.
        layers: names of the layers to look into; None for a choice of each method.
        split: the test split, None if a single image is explained.
        probabilities: float32, (images, classes), of the split; None while it may not be scored.
        files: of the split's images; None if they have none.
    """

    model: keras.Model
    class_names: Sequence[str]
    images: npt.NDArray[np.uint8]
    classes: Sequence[int]
    names: Sequence[str]
    draw_heats: Callable[[figures.HeatStyle, npt.NDArray[np.floating]], Any]
    example: npt.NDArray[np.uint8]
    example_name: str
    seed: int
    layers: Sequence[str] | None = None
    split: datasets.Split | None = None
    probabilities: Probabilities | None = None
    files: Sequence[str] | None = None

    @cached_property
    def grad_cam(self) -> npt.NDArray[np.float32] | None:
        """Grad-CAM of the images, in the last of `layers`; None for a network without convolutions."""
        layer = self.layers[-1] if self.layers else None
        return inspection.grad_cam(self.model, self.images, self.classes, layer) if len(self.images) else None

    @cached_property
    def map_layers(self) -> list[inspection.MapLayer]:
        """The layers to look into: `layers`, or all convolutions."""
        if self.layers:
            return inspection.find_layers(self.model, self.layers)
        return [layer for layer in inspection.map_layers(self.model) if layer.is_convolution]

    def findings(self, methods: Collection[str]) -> Iterator[Finding]:
        """Yield the pictures, pages, measures and notes of the methods.

        A method that needs convolutions is skipped in a network that has none.
        """
        has_layers = bool(self.map_layers)
        for name in methods:
            if has_layers or not METHODS[name].needs_convolutions:
                yield from load_name(METHODS[name].draws)(self)

    def note(self, methods: Collection[str]) -> list[str]:
        """Return a sentence about the methods that show nothing because there are no convolutions, or an empty list."""
        missing = [METHODS[name].label for name in methods if METHODS[name].needs_convolutions]
        if self.map_layers or not missing:
            return []
        listed = ", ".join(missing[:-1]) + " or " * (len(missing) > 1) + missing[-1]
        return [f"{self.model.name} has no convolutions, and so no {listed}"]


def split_subject(
    model: keras.Model,
    dataset: datasets.Dataset,
    probabilities: Probabilities | None,
    seed: int,
    layers: Sequence[str] | None = None,
) -> Subject:
    """Return a test split to explain: right predictions, each of another class, and the worst mistakes.

    Args:
        model: any network.
        dataset: its first test image is followed through the network.
        probabilities: float32, (n, classes), of the test split; None while it may not be scored, and then no
            predictions are explained.
        seed: of random numbers.
        layers: names of the layers to look into; None for a choice of each method.
    """
    right, wrong = ([], []) if probabilities is None else choose_predictions(dataset, probabilities)
    images = [prediction.image for prediction in (*right, *wrong)]
    test = dataset.test
    first = figures.image_name(0, dataset.test_files[0] if dataset.test_files else None)
    return Subject(
        model=model,
        class_names=dataset.class_names,
        images=np.asarray(test.images[images]),
        classes=[] if probabilities is None else probabilities[images].argmax(axis=1).tolist(),
        names=[prediction.name for prediction in (*right, *wrong)],
        draw_heats=lambda style, heats: figures.plot_heats(style, right, wrong, test.images, heats),
        example=test.images[0],
        example_name=f"test image {short_name(first)}",
        seed=seed,
        layers=layers,
        split=test,
        probabilities=probabilities,
        files=dataset.test_files,
    )


def image_subject(
    model: keras.Model,
    class_names: Sequence[str],
    image: npt.NDArray[np.uint8],
    name: str,
    answers: Sequence[tuple[int, float]],
    seed: int,
    layers: Sequence[str] | None = None,
) -> Subject:
    """Return an image to explain, for several classes.

    Args:
        model: any network.
        class_names: one for each label.
        image: uint8, (height, width, channels).
        name: of the image.
        answers: the label and the probability of each class that is explained.
        seed: of random numbers.
        layers: names of the layers to look into; None for a choice of each method.
    """
    named = [(class_names[label], probability) for label, probability in answers]
    return Subject(
        model=model,
        class_names=class_names,
        images=np.repeat(image[np.newaxis], len(answers), axis=0),
        classes=[label for label, _ in answers],
        names=[class_name for class_name, _ in named],
        draw_heats=lambda style, heats: figures.plot_class_heats(style, image, named, heats, name),
        example=image,
        example_name=name,
        seed=seed,
        layers=layers,
    )


def check_layers(model: keras.Model, layers: Sequence[str] | None) -> None:
    """Raise ConfigError if a layer does not exist or returns no maps, before anything is computed."""
    if layers is not None:
        inspection.find_layers(model, layers)


def choose_predictions(
    dataset: datasets.Dataset, probabilities: Probabilities
) -> tuple[list[figures.Prediction], list[figures.Prediction]]:
    """Return right test predictions, each of another class, and the worst mistakes."""
    split = dataset.test.labels, probabilities, dataset.class_names, MAX_PREDICTIONS, dataset.test_files
    return figures.right_predictions_data(*split), figures.worst_mistakes_data(*split)


def record_explanation(
    run: tracking.Run, findings: Iterable[Finding], output: str | None = None, folder: str = "figures"
) -> tuple[list[str], list[Measure], list[str]]:
    """Save pictures and pages in the run; return their paths there, the measures, and the sentences of the notes.

    Args:
        run: where they are stored.
        findings: of `Subject.findings`.
        output: a folder that gets copies; None for none.
        folder: of the run.
    """
    paths, measures, notes = [], [], []
    for finding in findings:
        if isinstance(finding, Note):
            notes.append(finding.sentence)
            continue
        if isinstance(finding, Measure):
            measures.append(finding)
            continue
        path = f"{folder}/{finding.path}"
        if isinstance(finding, Picture):
            run.log_figure(path, finding.figure)
        else:
            run.log_page(path, finding.html)
        if output is not None:
            _save_copy(finding, output, path.removeprefix("figures/"))
        paths.append(path)
    return paths, measures, notes


def _save_copy(finding: Picture | Page, output: str, path: str) -> None:
    file = local_path(output) / path
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as part, warnings.catch_warnings():  # as in `Run.log_figure`: names may be in any script
            warnings.filterwarnings("ignore", r"Glyph .* missing from font")
            if isinstance(finding, Picture):
                finding.figure.savefig(part, format="png")
            else:
                part.write_text(finding.html, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{file} cannot be written: {error.strerror or error}; name another output=") from error
