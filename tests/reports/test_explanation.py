"""Methods that look inside a model, without a run: which findings a subject has."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from src.datasets import Split, load_dataset
from src.models import predict
from src.reports.explanation import (
    Finding,
    Measure,
    Note,
    Page,
    Picture,
    Subject,
    choose_predictions,
    image_subject,
    split_subject,
)
from src.schema import METHODS, ConvBlock, Method
from tests.support.configs import composed
from tests.support.figures import texts
from tests.support.networks import SIDE, network

IMAGES = np.random.default_rng(0).integers(0, 256, (9, SIDE, SIDE, 1), dtype=np.uint8)
CLASSES = ["ant", "bee", "cat"]


def subject(*blocks: ConvBlock, layers: list[str] | None = None) -> Subject:
    return image_subject(network(*blocks), CLASSES, IMAGES[0], "a.png", [(2, 0.5), (0, 0.3)], seed=1, layers=layers)


def found(of: Subject, *methods: str) -> list[Finding]:
    return list(of.findings(methods))


def extra(of: Subject) -> Iterator[Finding]:
    yield Page("extra.html", of.example_name)


def test_a_new_method_is_an_entry_and_the_function_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Method(draws="tests.reports.test_explanation:extra", label="extra")
    monkeypatch.setitem(METHODS, "extra", entry)
    assert found(subject(), "extra") == [Page("extra.html", "a.png")]


def test_without_convolutions_methods_that_need_some_are_skipped_and_named() -> None:
    dense = subject()
    assert found(dense, "filters", "grad_cam") == []
    assert dense.note(["filters", "grad_cam"]) == ["net has no convolutions, and so no filters or Grad-CAM"]
    assert dense.note(["occlusion"]) == []
    assert subject(ConvBlock(filters=2)).note(["filters"]) == []


def test_occlusion_is_compared_with_grad_cam_if_there_is_one() -> None:
    picture, measure = found(subject(ConvBlock(filters=2)), "occlusion")
    assert isinstance(picture, Picture)
    assert isinstance(measure, Measure)
    assert len(measure.values) == 2
    assert [type(finding) for finding in found(subject(), "occlusion")] == [Picture]


def test_grad_cam_uses_the_last_of_the_layers_that_are_named() -> None:
    blocks = [ConvBlock(filters=3), ConvBlock(filters=3)]
    first, both, last = (
        np.asarray(subject(*blocks, layers=layers).grad_cam)
        for layers in (["conv_0"], ["conv_0", "conv_1"], ["conv_1"])
    )
    np.testing.assert_array_equal(both, last)
    assert not np.array_equal(first, last)


@pytest.mark.parametrize(("values", "mean"), [([0.5, None, 1.0], 0.75), ([None], None), ([], None)])
def test_the_mean_of_a_measure_is_that_of_the_images_that_have_a_value(values: list[Any], mean: float | None) -> None:
    assert Measure("metric", "label", values).value == mean


def test_a_measure_may_have_a_total_that_is_not_the_mean_of_its_values() -> None:
    assert Measure("metric", "label", [1.0, 3.0], total=2.5).value == 2.5


def switch() -> keras.Model:
    """Its scores jump where an image has a certain brightness, which no step on the line from black meets."""
    pixels = keras.Input((SIDE, SIDE, 1), dtype="uint8")
    brightness = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(pixels))
    jump = layers.Dense(1, activation="tanh", name="jump")(brightness)
    model = keras.Model(pixels, layers.Dense(3, activation="softmax")(jump))
    model.get_layer("jump").set_weights([np.full((1, 1), 1e6, np.float32), np.full(1, -3e5, np.float32)])
    return model


def test_integrated_gradients_that_miss_a_part_of_the_score_have_a_note_and_a_line_in_their_picture() -> None:
    explained = image_subject(switch(), CLASSES, IMAGES[0], "a.png", [(2, 0.5), (0, 0.3)], seed=1)
    note, picture, measure = found(explained, "integrated_gradients")
    assert isinstance(note, Note)
    assert note.sentence.startswith("integrated gradients are inexact for cat (100.0 %), ant (100.0 %): ")
    assert isinstance(picture, Picture)
    assert "\ninexact: the sum misses up to 100.0 %" in texts(picture.figure.axes[0])[0]
    assert isinstance(measure, Measure)
    assert measure.value == pytest.approx(1)


def test_integrated_gradients_that_add_up_have_no_note() -> None:
    picture, measure = found(subject(), "integrated_gradients")
    assert isinstance(picture, Picture)
    assert "inexact" not in texts(picture.figure.axes[0])[0]
    assert isinstance(measure, Measure)


def test_the_explained_images_of_a_split_have_the_names_of_their_predictions() -> None:
    dataset = load_dataset(composed("dataset=synthetic").dataset)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10), len(dataset.test)).astype(np.float32)
    explained = split_subject(network(), dataset, probabilities, seed=1)
    right, wrong = choose_predictions(dataset, probabilities)
    assert explained.names == [prediction.name for prediction in (*right, *wrong)]
    assert len(explained.names) == len(explained.images)


def test_of_many_images_the_map_shows_some_with_mistakes_over_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.reports.methods.MAX_POINTS", 6)
    explained = subject()
    explained.probabilities = predict(explained.model, IMAGES)
    labels = explained.probabilities.argmax(axis=1)
    labels[::2] = (labels[::2] + 1) % 3
    explained.split = Split(IMAGES, labels)
    picture, page = found(explained, "embedding")
    assert isinstance(picture, Picture)
    assert isinstance(page, Page)
    marks = page.html.split("<use ")[1:]
    assert len(marks) == 6
    wrong = ['class="wrong"' in mark for mark in marks]
    assert wrong == sorted(wrong)
    assert any(wrong)


def test_an_image_has_no_map() -> None:
    assert found(subject(), "embedding") == []
