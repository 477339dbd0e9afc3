"""Samples of a data set: the first images of each class, with its name and number of images."""

import numpy as np

from src import figures
from src.figures import ClassSamples
from tests.support.figures import center, images, places, texts, values


def test_a_class_shows_its_first_images_and_their_number() -> None:
    labels = np.array([1, 0, 1, 1] + [0] * 10, np.uint8)
    assert figures.samples_data(labels, ["cat", "dog", "emu"]) == [
        ClassSamples("cat", 11, [1, 4, 5, 6, 7, 8, 9, 10]),
        ClassSamples("dog", 3, [0, 2, 3]),
        ClassSamples("emu", 0, []),
    ]


def test_of_many_classes_the_first_ones_are_shown() -> None:
    rows = figures.samples_data(np.arange(200, dtype=np.uint8), [str(number) for number in range(200)])
    assert [row.name for row in rows] == [str(number) for number in range(30)]


def test_a_picture_names_every_class_even_one_without_images() -> None:
    rows = [ClassSamples("$cat$", 1_000, [1, 0]), ClassSamples("emu", 0, [])]
    pets = np.stack([np.full((4, 6, 3), value, np.uint8) for value in (10, 20)])
    figure = figures.plot_samples(rows, pets, "pets")
    assert texts(figure.axes[0]) == ["training images of pets", "$cat$\n1,000", "emu\n0"]
    assert values(figure) == [pets[1].tolist(), pets[0].tolist()]
    assert places(figure) == [(0, 0), (0, 1)]
    (cat, emu), (_, middle) = figure.axes[0].texts[1:], center(images(figure)[0])
    assert cat.get_position()[1] == middle < emu.get_position()[1]
