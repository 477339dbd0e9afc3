"""The predictions that are shown, and the text above an image."""

import numpy as np
import pytest

from src import figures
from src.figures import Prediction
from tests.support.figures import GRAY, above, images, places, png, texts, values

LABELS = np.array([0, 1, 0, 2, 1])
PROBABILITIES = np.array(
    [
        [0.25, 0.5, 0.25],  # wrong
        [0.0, 1.0, 0.0],
        [0.125, 0.0, 0.875],  # wrong, the surest
        [0.5, 0.25, 0.25],  # wrong, as sure as the first
        [0.25, 0.75, 0.0],
    ]
)
WORST = [
    Prediction(image=2, true="ant", predicted="cow", score=0.875, true_score=0.125),
    Prediction(image=0, true="ant", predicted="bee", score=0.5, true_score=0.25),
    Prediction(image=3, true="cow", predicted="ant", score=0.5, true_score=0.25),
]


@pytest.mark.parametrize(("max_count", "expected"), [(25, WORST), (2, WORST[:2])])
def test_the_worst_mistakes_are_in_order_of_their_scores_and_then_of_the_split(
    max_count: int, expected: list[Prediction]
) -> None:
    assert figures.worst_mistakes_data(LABELS, PROBABILITIES, ["ant", "bee", "cow"], max_count) == expected


def test_a_model_without_mistakes_has_no_worst_ones() -> None:
    assert figures.worst_mistakes_data(np.array([0, 1]), np.eye(2), ["ant", "bee"]) == []


RIGHT = [
    Prediction(image=1, true="bee", predicted="bee", score=1.0, true_score=1.0),
    Prediction(image=5, true="ant", predicted="ant", score=0.5, true_score=0.5),
]


@pytest.mark.parametrize(("max_count", "expected"), [(6, RIGHT), (1, RIGHT[:1])])
def test_right_predictions_are_the_first_of_each_class_in_the_split_s_order(
    max_count: int, expected: list[Prediction]
) -> None:
    labels, probabilities = np.append(LABELS, 0), np.append(PROBABILITIES, [[0.5, 0.25, 0.25]], axis=0)
    assert figures.right_predictions_data(labels, probabilities, ["ant", "bee", "cow"], max_count) == expected


def test_a_model_that_is_never_right_has_no_right_predictions() -> None:
    assert figures.right_predictions_data(np.array([1, 0]), np.eye(2), ["ant", "bee"], max_count=6) == []


def test_a_mistake_shows_its_image_and_both_classes_with_their_scores() -> None:
    figure = figures.plot_mistakes(WORST, np.concatenate([GRAY, GRAY]))
    assert values(figure)[0] == GRAY[2, ..., 0].tolist()
    assert places(figure) == [(0, 0), (0, 1), (1, 0)]
    assert above(figure)[:2] == [["cow (0.88)", "is ant (0.12), #2"], ["bee (0.50)", "is ant (0.25), #0"]]


FILES = ["ant/0.png", "bee/1.png", "ant/a-photo-from-a-long-holiday-2.png", "cow/two\nlines.png", "bee/4.png"]


def test_a_prediction_of_an_image_from_a_file_names_the_file() -> None:
    split = LABELS, PROBABILITIES, ["ant", "bee", "cow"]
    assert [seen.file for seen in figures.worst_mistakes_data(*split, files=FILES)] == [FILES[at] for at in (2, 0, 3)]
    assert [seen.name for seen in figures.right_predictions_data(*split, max_count=6, files=FILES)] == [FILES[1]]


def test_the_title_of_a_mistake_has_its_file_on_one_line_cut_to_the_end_of_a_long_name() -> None:
    mistakes = [mistake._replace(file=FILES[mistake.image]) for mistake in WORST]
    figure = figures.plot_mistakes(mistakes, np.concatenate([GRAY, GRAY]))
    assert [lines[1] for lines in above(figure)] == [
        "is ant (0.12), …o-from-a-long-holiday-2.png",
        "is ant (0.25), ant/0.png",
        "is cow (0.25), cow/two�lines.png",
    ]
    assert figure.axes[0].texts[0].get_text().endswith("true class, file")


@pytest.mark.parametrize("count", [1, 3])
def test_long_names_of_classes_do_not_overlap(count: int) -> None:
    name = "n02085620-Chihuahua, Mexico"
    mistakes = [Prediction(12_345, name, name[::-1], 0.5, 0.25, "a/DCIM/IMG_20261128_123456.JPG")] * count
    figure = figures.plot_mistakes([each._replace(image=at) for at, each in enumerate(mistakes)], GRAY)
    png(figure)  # so that everything has its place
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not [box for at, box in enumerate(boxes) if any(box.overlaps(other) for other in boxes[at + 1 :])]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)


@pytest.mark.parametrize("shape", [(1, 28, 1), (28, 1, 1), (1, 1, 3)])
def test_a_mistake_one_pixel_high_or_wide_is_drawn(shape: tuple[int, ...]) -> None:
    figure = figures.plot_mistakes([Prediction(0, "a", "b", 0.5, 0.25)], np.zeros((1, *shape), np.uint8))
    (image,) = images(figure)
    left, right, bottom, top = image.get_extent()
    assert (bottom - top) / (right - left) == pytest.approx(shape[0] / shape[1])


def test_contradicted_labels_have_the_predicted_class_and_the_class_of_the_label() -> None:
    figure = figures.plot_label_issues(WORST[:2], GRAY, total=40)
    assert above(figure) == [["cow (0.88)", "label ant (0.12), #2"], ["bee (0.50)", "label ant (0.25), #0"]]
    assert values(figure) == [GRAY[2, ..., 0].tolist(), GRAY[0, ..., 0].tolist()]
    assert texts(figure.axes[0])[0] == "2 of 40 labels that the model contradicts: predicted class, label"
