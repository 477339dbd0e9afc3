"""Fixtures of the tests of certainty."""

import pytest

from src.certainty import resamples


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the bootstrap fast, for tests that need it a hundred times."""
    monkeypatch.setattr(resamples, "MAX_RESAMPLES", 200)
