"""The card of a registered model, as Markdown for the registry and as a page."""

import re
from pathlib import Path

import pytest

from src.reports.exports import COLUMNS, TABLE
from src.reports.model_card import (
    MAX_MARKDOWN,
    ModelCard,
    Part,
    card_markdown,
    card_page,
    exported_files,
    how_it_was_found,
)
from src.tracking import NullRun
from tests.support.runs import config_for, new_run

CLASSES = Part("Classes", ("class", "F1"), [("<b>cat</b>", "0.9"), ("a|b", "0.8")], "The two of them.")
CODE = Part("How to use it", code="python -m src.serve model_uri=models:/pets/3")
CARD = ModelCard("Version 3 of pets", "lenot on pets, test accuracy 0.9", ["only a sample"], [CLASSES, CODE])


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


@pytest.mark.parametrize("length", [100, 1_000])
def test_a_description_that_is_too_long_for_the_registry_has_whole_parts(length: int) -> None:
    found = card_markdown(CARD._replace(parts=[CLASSES, *[Part("Long", note="x" * length)] * 60]))
    assert len(found) <= MAX_MARKDOWN
    assert found.endswith("x" * length)


def test_a_part_for_which_the_registry_has_no_room_is_left_out_and_the_next_one_is_not() -> None:
    found = card_markdown(CARD._replace(parts=[CLASSES, Part("Long", note="x" * MAX_MARKDOWN), CODE]))
    assert found == card_markdown(CARD)


def test_secrets_are_hidden() -> None:
    secret = CARD._replace(summary="from postgresql://ada:hunter2@db/runs")
    assert "hunter2" not in card_markdown(secret)
    assert "hunter2" not in card_page(secret, {})


def test_the_exported_files_of_a_run_are_listed_with_what_was_measured(tmp_path: Path) -> None:
    lines = [("keras", 400_000, 0.99, 0, 1.2, 9, 2), ("litert", 250_000, 0.98765, 1e-6, 0.31, 8, 2)]
    with new_run(config_for(f"sqlite:///{tmp_path}/mlflow.db")) as run:
        assert exported_files(run) is None
        run.log_table(TABLE, COLUMNS, lines)
        part = exported_files(run)
    assert part is not None
    assert part.rows == [("litert", "0.9877", "0.25 MB", "0.31 ms")]
    assert "exports/litert/model.tflite" in part.note
    assert part.code == "python -m src.predict model_file=exports/litert/model.tflite images=FOLDER"


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ({"resolved.validation_images": "0"}, "trained again on training and validation images (run r)."),
        ({"resolved.validation_images": "500"}, "trained again (run r)."),
        ({}, "trained again (run r)."),
    ],
)
def test_a_card_mentions_validation_images_only_if_the_run_trained_on_them(
    images: dict[str, str], expected: str
) -> None:
    run = NullRun()
    run.run_id, run.tags, run.params = "r", {"best_of": "lenot"}, images
    assert how_it_was_found(run) == f"The best trial of study lenot, {expected}"
