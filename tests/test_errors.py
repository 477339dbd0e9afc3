"""Errors of libraries are described by one line."""

import pytest

from src.errors import first_line


@pytest.mark.parametrize(
    ("message", "expected"),
    [("one line", "one line"), ("the first:\nthe second", "the first"), ("", "Broken"), ("\n \nlater", "later")],
)
def test_an_error_is_described_by_its_first_line_or_its_class(message: str, expected: str) -> None:
    class Broken(Exception): ...

    assert first_line(Broken(message)) == expected
