"""The map of images: colors by class, rings around mistakes, names at the medians."""

import numpy as np

from src import figures
from src.figures import MapPoint, class_looks

POINTS = [MapPoint(0, 0, 0, 0), MapPoint(1, 0, 0, 0), MapPoint(5, 3, 0, 1), MapPoint(7, 7, 1, 1)]


def test_each_class_is_drawn_with_its_own_color_and_the_mistakes_with_a_ring_around_them() -> None:
    *classes, rings = figures.plot_embedding(POINTS, ["ant", "bee"]).axes[0].collections
    assert [np.asarray(drawn.get_offsets()).tolist() for drawn in classes] == [[[0, 0], [1, 0], [5, 3]], [[7, 7]]]
    assert not np.array_equal(classes[0].get_facecolor()[0], classes[1].get_facecolor()[0])
    assert np.asarray(rings.get_offsets()).tolist() == [[5, 3]]
    assert len(rings.get_facecolor()) == 0


def test_the_name_of_a_class_is_at_the_median_of_its_images() -> None:
    texts = figures.plot_embedding(POINTS, ["ant", "bee"]).axes[0].texts
    assert [(text.get_text(), text.get_position()) for text in texts] == [("ant", (1, 0)), ("bee", (7, 7))]


def test_a_map_without_mistakes_counts_none() -> None:
    (legend,) = figures.plot_embedding(POINTS[:2], ["ant", "bee"]).legends
    assert [text.get_text() for text in legend.get_texts()] == ["wrong prediction (0)"]


def test_seventy_classes_have_seventy_looks() -> None:
    assert len(set(class_looks(70))) == 70
