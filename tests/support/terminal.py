"""A terminal instead of the one that the tests run in."""

import io

import pytest
from rich.console import Console

from src.console import epochs, lines, trials


def use_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> io.StringIO:
    screen = io.StringIO()
    terminal = Console(
        file=screen, force_terminal=True, width=columns, highlight=False, soft_wrap=True, color_system=None
    )
    for module in (lines, epochs, trials):
        monkeypatch.setattr(module, "console", terminal)
    return screen
