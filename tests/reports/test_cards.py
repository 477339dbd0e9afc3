"""Cards of registered versions: which descriptions may be replaced."""

import pytest

from src.reports.cards import is_signed, signed
from src.reports.model_card import MAX_MARKDOWN

CARD = "**lenot on pets**\n\n### Metrics\n\nnone"
MLFLOW_LIMIT = 5_000  # characters of a description in MLflow's database


@pytest.mark.parametrize("text", [CARD, "", "x" * MAX_MARKDOWN, "token=hunter2"])
def test_a_card_is_recognized_as_it_was_written_and_fits_into_the_registry(text: str) -> None:
    written = signed(text)
    assert is_signed(written)
    assert written.startswith(text.replace("hunter2", ""))
    assert len(written) <= MLFLOW_LIMIT


@pytest.mark.parametrize(
    "edited",
    [
        "for the web site",
        "",
        CARD,
        signed(CARD) + "\n\nA note.",
        "A note.\n\n" + signed(CARD),
        signed(CARD).replace("none", "0.99"),
        signed(CARD).replace("convlab", "CONVLAB"),
    ],
)
def test_a_description_that_a_user_wrote_or_edited_is_not_taken_for_a_card(edited: str) -> None:
    assert not is_signed(edited)
