"""The card of a registered model, as Markdown for the registry and as a page."""

import re

import pytest

from src.reports.model_card import MAX_MARKDOWN, ModelCard, Part, card_markdown, card_page

TABLE = Part("Classes", ("class", "F1"), [("<b>cat</b>", "0.9"), ("a|b", "0.8")], "The two of them.")
CODE = Part("How to use it", code="python -m src.serve model_uri=models:/pets/3")
CARD = ModelCard("Version 3 of pets", "lenot on pets, test accuracy 0.9", ["only a sample"], [TABLE, CODE])


def test_the_description_has_all_parts_and_shows_names_literally() -> None:
    found = card_markdown(CARD)
    assert found.startswith(
        "**lenot on pets, test accuracy 0.9**\n\n**only a sample**\n\n### Classes\n\n| class | F1 |\n"
    )
    assert "<b>" not in found
    assert "a|b" not in found
    assert found.endswith("### How to use it\n\n```\npython -m src.serve model_uri=models:/pets/3\n```")


def test_the_page_shows_names_literally_and_its_pictures_are_in_it() -> None:
    found = card_page(CARD, {"Confusion matrix": b"\x89PNG"})
    assert "<h1>Version 3 of pets</h1>" in found
    assert '<p class="warning">only a sample</p>' in found
    assert "<td>&lt;b&gt;cat&lt;/b&gt;</td>" in found
    assert '<img src="data:image/png;base64,iVBORw==" alt="Confusion matrix">' in found
    assert not re.search(r"(src|href)=\"(?!data:)", found)


@pytest.mark.parametrize("length", [100, 1_000, 10_000])
def test_a_description_that_is_too_long_for_the_registry_ends_after_a_whole_part(length: int) -> None:
    long = Part("Long", note="x" * length)
    found = card_markdown(CARD._replace(parts=[TABLE, *[long] * 60, CODE]))
    assert len(found) <= MAX_MARKDOWN
    assert found.endswith("x" * length) or (length == 10_000 and found.endswith("The two of them."))


def test_secrets_are_hidden() -> None:
    secret = CARD._replace(summary="from postgresql://ada:hunter2@db/runs")
    assert "hunter2" not in card_markdown(secret)
    assert "hunter2" not in card_page(secret, {})
