"""Model cards of registered versions: how they are written and updated, and a user's own description is kept."""

from __future__ import annotations

import hashlib
import re

from src import tracking
from src.errors import NotKept
from src.redact import redact
from src.reports.model_card import PAGE, ModelCard, card_markdown, record_card

# The last line of a card, a comment that is not shown: the first digits of the SHA-256 of the text above it.
SIGNATURE = re.compile(r"\n\n<!-- convlab ([0-9a-f]{16}) -->$")


def first_description(run: tracking.Run) -> str:
    """Return the description of a version until it has its card."""
    recorded = run.read_config()
    return f"{recorded['model']['name']} on {recorded['dataset']['name']}, trained by run {run.run_id}"


def lacks_card(registry: tracking.Registry, run: tracking.Run, version: tracking.Version) -> bool:
    """Return True if the card of a version, or the page of its run, was not written: a process may have been killed."""
    if registry.description(version) == redact(first_description(run)):
        return True
    try:
        with run.reading(PAGE):
            return False
    except NotKept:
        return True


def write_card(registry: tracking.Registry, run: tracking.Run, version: tracking.Version, card: ModelCard) -> bool:
    """Write the card of a version: as its description unless a user has changed that, and as a page in its run.

    Returns:
        False if the description stays as it is.
    """
    description = registry.description(version)
    is_ours = not description or is_signed(description) or description == redact(first_description(run))
    if is_ours:
        registry.describe(version, signed(card_markdown(card)))
    record_card(run, card)
    return is_ours


def signed(markdown: str) -> str:
    """Return a description that `is_signed` recognizes until somebody edits it."""
    text = redact(markdown)  # the registry does this too, and must not change the text after its digest was computed
    return f"{text}\n\n<!-- convlab {_digest(text)} -->"


def is_signed(description: str) -> bool:
    """Return True for a card as it was written."""
    found = SIGNATURE.search(description)
    return found is not None and found[1] == _digest(description[: found.start()])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
