"""A terminal of the usual width."""

import io

import pytest

from tests.support.terminal import use_terminal


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal of 80 columns instead of the one that the tests run in."""
    return use_terminal(monkeypatch, columns=80)
