"""The table of the classes of a test split."""

import pytest

from src.console import say_classes
from src.results import ClassScore
from tests.support.terminal import use_terminal


def classes(count: int, images: int = 10) -> list[ClassScore]:
    """The class `c1` is recognized worst."""
    return [ClassScore(f"c{number}", 0.5, 0.5, number / count, images) for number in range(count, 0, -1)]


def shown_names(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines() if line.strip().startswith("c") and "class" not in line]


def test_each_class_has_a_row_in_the_order_of_the_classes(capsys: pytest.CaptureFixture[str]) -> None:
    say_classes([ClassScore("cat", 0.91, 0.8, 0.8514, 1234), ClassScore("a b", 0.0, 0.0, 0.0, 0)])
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == ["test", "images", "by", "class"]
    assert lines[1] == ["class", "precision", "recall", "f1", "images"]
    assert lines[3:] == [["cat", "0.9100", "0.8000", "0.8514", "1234"], ["a", "b", "0.0000", "0.0000", "0.0000", "0"]]


def test_of_many_classes_the_worst_are_shown_and_all_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    say_classes([ClassScore("c0", 0.0, 0.0, 0.0, 0), *classes(100)])
    text = capsys.readouterr().out
    assert "the 20 of 101 classes with the lowest F1" in text
    assert shown_names(text) == [f"c{number}" for number in range(1, 21)]  # c0 has no images


def test_twenty_classes_are_all_shown(capsys: pytest.CaptureFixture[str]) -> None:
    say_classes(classes(20))
    assert shown_names(capsys.readouterr().out) == [f"c{number}" for number in range(20, 0, -1)]


def test_without_classes_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    say_classes([])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("columns", [48, 60, 200])
def test_a_narrow_terminal_shortens_long_names_and_keeps_the_numbers(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = use_terminal(monkeypatch, columns)
    say_classes([ClassScore("a very long name of a class " * 3 + "end", 0.25, 0.75, 0.375, 10_000)])
    text = screen.getvalue()
    assert all(word in text for word in ("0.2500", "0.7500", "0.3750", "10000", "precision", "recall", "images"))
    assert "end" in text
    assert "class" in text
    assert all(len(line) <= columns for line in text.splitlines())
