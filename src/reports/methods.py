"""The methods that look inside a model. Each yields pictures, pages, measures and notes of a subject.

`src.inspection` computes the numbers, `src.figures` draws them, and `src.schema.methods` lists the methods.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from src import figures, inspection
from src.reports.embedding_page import embedding_page
from src.reports.explanation import Finding, Measure, Note, Page, Picture, Subject
from src.results import short_name

MAX_LAYERS = 8  # with patterns of filters; of more convolutions, some at equal distances
MAX_CLASSES = 25  # with patterns
MAX_POINTS = 2_000  # images on the map: t-SNE of them takes seconds
AGREEMENT = "explanation/occlusion_grad_cam_correlation"
GAP = "explanation/integrated_gradients_gap"


def filters(subject: Subject) -> Iterator[Finding]:
    """Draw the kernels of the first convolution."""
    if (found := inspection.first_filters(subject.model, subject.layers)) is not None:
        yield Picture("filters.png", figures.plot_filters(found.kernels, found.name))


def feature_maps(subject: Subject) -> Iterator[Finding]:
    """Draw the feature maps of every convolution for the example, a dozen convolutions on a page."""
    pages = figures.feature_maps_data(inspection.feature_maps(subject.model, subject.example, subject.layers))
    for number, page in enumerate(pages, start=1):
        of_all = f", page {number} of {len(pages)}" if len(pages) > 1 else ""
        figure = figures.plot_feature_maps(page, subject.example, subject.example_name + of_all)
        yield Picture(f"feature_maps/page_{number}.png", figure)


def grad_cam(subject: Subject) -> Iterator[Finding]:
    """Draw the evidence for a class in each image."""
    if subject.grad_cam is not None:
        yield Picture("grad_cam.png", subject.draw_heats(figures.GRAD_CAM, subject.grad_cam))


def patterns(subject: Subject) -> Iterator[Finding]:
    """Draw the patterns that excite filters most: the filters whose maps of the example are drawn."""
    layers = subject.map_layers
    chosen = [layers[place] for place in np.unique(np.linspace(0, len(layers) - 1, MAX_LAYERS).round().astype(int))]
    names = [layer.name for layer in chosen]
    found = inspection.feature_maps(subject.model, subject.example, names)
    (shown,) = figures.feature_maps_data(found, rows=len(found))
    rows = []
    for row in shown:
        channels = sorted(row.channels)
        drawn = inspection.filter_patterns(subject.model, row.layer, channels, subject.seed)
        rows.append(figures.PatternRow(row.layer, row.shape[-1], channels, drawn))
    yield Picture("patterns.png", figures.plot_filter_patterns(rows, len(layers)))


def class_patterns(subject: Subject) -> Iterator[Finding]:
    """Draw the pattern for which the score of each class is largest."""
    names = subject.class_names[:MAX_CLASSES]
    found = inspection.class_patterns(subject.model, range(len(names)), subject.seed)
    pixels = np.round(255 * found).astype(np.uint8)
    probabilities = inspection.probabilities_of(subject.model, pixels).diagonal().tolist()
    answers = list(zip(names, probabilities, strict=True))
    yield Picture("class_patterns.png", figures.plot_class_patterns(answers, found, len(subject.class_names)))


def occlusion(subject: Subject) -> Iterator[Finding]:
    """Draw the places whose covering makes a class less probable, and compare them with Grad-CAM."""
    if not len(subject.images):
        return
    drops = inspection.occlusion_maps(subject.model, subject.images, subject.classes)
    yield Picture("occlusion.png", subject.draw_heats(figures.OCCLUSION, drops))
    if subject.grad_cam is not None:
        correlations = inspection.rank_correlations(drops, subject.grad_cam)
        yield Measure(AGREEMENT, "occlusion ~ Grad-CAM", correlations)


def integrated_gradients(subject: Subject) -> Iterator[Finding]:
    """Draw the share of each pixel in the score of a class, and measure how much of the score is missing."""
    if not len(subject.images):
        return
    found = inspection.integrated_gradients(subject.model, subject.images, subject.classes)
    gaps, style = found.gaps.tolist(), figures.INTEGRATED_GRADIENTS
    if inexact := {name: gap for name, gap in zip(subject.names, gaps, strict=True) if gap > inspection.MAX_GAP}:
        listed = ", ".join(f"{short_name(name)} ({100 * gap:,.1f} %)" for name, gap in inexact.items())
        yield Note(
            f"integrated gradients are inexact for {listed}: their sum misses this part of the difference between "
            "the scores of the image and of a black one"
        )
        line = f"inexact: the sum misses up to {100 * max(inexact.values()):,.1f} % of the difference in score"
        style = style._replace(meaning=(f"{style.meaning[0]}\n{line}", f"{style.meaning[1]}\n{line}"))
    yield Picture("integrated_gradients.png", subject.draw_heats(style, found.maps))
    yield Measure(GAP, "gap of gradients", gaps, found.gap)


def embedding(subject: Subject) -> Iterator[Finding]:
    """Draw a map of up to 2,000 test images, and write a page that shows them."""
    if subject.split is None or subject.probabilities is None:
        return
    images, labels, probabilities = subject.split.images, subject.split.labels, subject.probabilities
    chosen = np.arange(len(labels))
    if len(labels) > MAX_POINTS:
        chosen = np.sort(np.random.default_rng(subject.seed).choice(len(labels), MAX_POINTS, replace=False))
    wrong = probabilities[chosen].argmax(axis=1) != labels[chosen]
    chosen = np.concatenate([chosen[~wrong], chosen[wrong]])  # mistakes are drawn last, over the others
    shown = np.asarray(images[chosen])
    places = inspection.embed(inspection.last_features(subject.model, shown), subject.seed)
    if places is None:
        return
    predicted = probabilities[chosen].argmax(axis=1)
    points = [
        figures.MapPoint(float(x), float(y), int(label), int(guess))
        for (x, y), label, guess in zip(places, labels[chosen], predicted, strict=True)
    ]
    yield Picture("embedding.png", figures.plot_embedding(points, subject.class_names))
    names = [figures.image_name(index, subject.files[index] if subject.files else None) for index in chosen.tolist()]
    scores = probabilities[chosen].max(axis=1).tolist()
    title = f"{subject.model.name}: map of test images"
    yield Page("embedding.html", embedding_page(title, points, subject.class_names, shown, names, scores))
