"""Pairs of images side by side."""

import numpy as np

from src import figures
from src.figures import ShownImage
from src.figures.colors import BLUE, RED
from tests.support.figures import above, images, overlapping_texts, places, texts, values


def shown(value: int, class_name: str = "cat", name: str = "a.png") -> ShownImage:
    return ShownImage(np.full((4, 4, 1), value, np.uint8), class_name, "train", name)


def test_the_images_of_a_pair_are_next_to_each_other_with_class_split_and_name() -> None:
    figure = figures.plot_pairs([(shown(1), shown(2, "dog", "b.png"))], 1)
    assert places(figure) == [(0, 0), (0, 1)]
    assert [value[0][0] for value in values(figure)] == [1, 2]
    assert above(figure) == [["cat (train)", "a.png"], ["dog (train)", "b.png"]]
    first, second = texts(figure.axes[0])[0].splitlines()
    assert first == "1 pair of equal or nearly equal images"
    assert second == "above each: class (split), orange if classes differ, and name"


def test_classes_have_another_color_if_they_differ() -> None:
    figure = figures.plot_pairs([(shown(1), shown(2, "dog")), (shown(3), shown(4))], 2)
    colors = [text.get_color() for text in figure.axes[0].texts if "(train)" in text.get_text()]
    assert colors == [RED, RED, BLUE, BLUE]


def test_of_many_pairs_the_first_are_drawn_and_the_title_says_how_many_there_are() -> None:
    name = "a/very/long/path/to/an/image/with/a/long/name.png"
    figure = figures.plot_pairs([(shown(1, "a class with a long name", name), shown(2))] * 30, 1234)
    assert len(images(figure)) == 2 * figures.MAX_PAIRS == 48
    assert texts(figure.axes[0])[0].startswith("24 of 1,234 pairs of equal")
    assert overlapping_texts(figure) == []
