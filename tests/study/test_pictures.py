"""The pictures of a study: which there are, and that the page needs nothing from outside."""

import io
import re

import pytest

from src.schema import Choice, Interval
from src.study import Storage, picker, study_figures, study_page
from src.study.claims import Claims
from tests.support.studies import claims_on

SPACE = (Interval("model.dropout", 0.0, 0.5), Choice("model.dense", ("[16]", "[32,16]"), ([16], [32, 16])))
ALL = {"history", "importances", "parallel_coordinates", "slices", "contour", "timeline"}


def claims_with(storage: Storage, trials: int) -> Claims:
    claims = claims_on(storage, n_trials=trials)
    with claims.alive("me"):
        for number in range(trials):
            found = claims.claim("me", lambda trial: [picker(trial)(dimension) for dimension in SPACE])
            assert isinstance(found, tuple)
            claims.complete(found[0], "me", 0.5 + 0.01 * number, {})
    return claims


def test_a_study_with_trials_is_drawn_in_every_way(memory: Storage):
    figures = dict(study_figures(claims_with(memory, 6).study, "val_accuracy"))
    assert set(figures) == ALL
    for figure in figures.values():
        file = io.BytesIO()
        figure.savefig(file, format="png")
        assert len(file.getvalue()) > 5_000


@pytest.mark.parametrize("trials", [0, 1])
def test_what_needs_more_trials_is_left_out(memory: Storage, trials: int):
    figures = dict(study_figures(claims_with(memory, trials).study, "val_accuracy"))
    assert "importances" not in figures
    assert figures.keys() <= ALL


def test_the_page_holds_every_plot_and_refers_to_nothing_outside(memory: Storage):
    page = study_page(claims_with(memory, 6).study, "val_accuracy")
    assert page.count("Plotly.newPlot(") >= len(ALL)
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=", page)
    assert "val_accuracy" in page
    assert "model.dense" in page
