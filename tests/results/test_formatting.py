"""Values as they are shown to people."""

import pytest

from src.results import short_name


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("a.png", "a.png"),
        ("b" * 28, "b" * 28),
        ("a" * 20 + "b" * 27, "…" + "b" * 27),
        ("t\tr\rn\n.png", "t�r�n�.png"),
        ("Möwe/猫.png", "Möwe/猫.png"),
        ("", ""),
    ],
)
def test_a_short_name_keeps_the_end_and_has_no_characters_that_cannot_be_shown(name: str, short: str) -> None:
    assert short_name(name) == short
