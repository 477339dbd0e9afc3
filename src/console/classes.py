"""The table of the classes of a data set that was scored."""

from __future__ import annotations

from collections.abc import Sequence

from src.console import lines
from src.results import ClassScore, short_name

MAX_CLASSES = 20  # in the table; of more, the worst
NUMBERS = 43  # characters of a row besides the name
MIN_NAME, FILE_WIDTH = 5, 200  # characters
COLUMNS = ("class", "precision", "recall", "f1", "images")


def say_classes(classes: Sequence[ClassScore]) -> None:
    """Print precision, recall, F1 score and number of test images of each class; print nothing without classes.

    Of a long list only the classes with the lowest F1 scores are shown, the worst first. Those without images are last.
    """
    if not classes:
        return
    shown, title = list(classes), "test images by class"
    if len(shown) > MAX_CLASSES:
        shown = sorted(shown, key=lambda found: (found.images == 0, found.f1))[:MAX_CLASSES]
        title += f": the {MAX_CLASSES} of {len(classes)} classes with the lowest F1"
    width = lines.console.width if lines.console.is_terminal else FILE_WIDTH
    length = max(width - NUMBERS, MIN_NAME)
    lines.say(title)
    lines.table("", COLUMNS, [(short_name(found.name, length), *found.cells()[1:]) for found in shown])
