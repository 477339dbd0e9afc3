"""The page of a sweep in a real browser: it fits, it can be read, and its table can be sorted."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from src import figures
from src.reports.sweep_page import sweep_page
from src.results import Counts
from tests.support.browser import PATIENCE
from tests.support.trials import ACCURACY, METRIC, SPACES, rows_of

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE)
LARGE = [*SPACES["six parameters"], *SPACES["many choices"]]
PLOTS = 7


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a sweep with many trials and parameters with long names."""
    rows = rows_of(LARGE, 60)
    best = max((row for row in rows if row.state == "COMPLETE"), key=lambda row: row.value or 0)
    counts = Counts(complete=40, pruned=15, failed=5, running=0, retried=0)
    plots = figures.interactive_plots(figures.sweep_numbers(rows, LARGE, [ACCURACY], METRIC))
    page = sweep_page("a study", rows, [best], counts, LARGE, [ACCURACY], plots, figures.plotly_script())
    file = tmp_path_factory.mktemp("page") / "sweep.html"
    file.write_text(page, encoding="utf-8")
    return file


@pytest.fixture
def problems() -> list[str]:
    """What the browser complains of, and what the page asks the network for."""
    return []


@pytest.fixture
def page(browser: Browser, file: Path, problems: list[str]) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: problems.append(request.url) if "://" in request.url[5:] else None)
    page.goto(file.as_uri())
    expect(page.locator(".js-plotly-plot:has(.main-svg)")).to_have_count(PLOTS)
    yield page
    page.close()


@pytest.mark.parametrize("width", [800, 1280, 1440])
def test_the_page_is_as_wide_as_the_window(page: Page, problems: list[str], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function(  # plotly follows the window a moment later
        "() => [...document.querySelectorAll('.js-plotly-plot')].every("
        "plot => Math.abs(plot.offsetWidth - plot.querySelector('.main-svg').getBoundingClientRect().width) < 2)"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert problems == []


def test_no_label_of_an_axis_covers_another(page: Page) -> None:
    overlaps = page.evaluate(
        """() => [...document.querySelectorAll(".js-plotly-plot")].flatMap(plot => {
            const labels = [...plot.querySelectorAll(".xtick text, .ytick text")]
                .map(label => [label.textContent, label.getBoundingClientRect()]);
            return labels.flatMap(([one, a], index) => labels.slice(index + 1)
                .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1
                    && a.top < b.bottom - 1 && b.top < a.bottom - 1)
                .map(([other]) => [one, other]));
        })"""
    )
    assert overlaps == []


def test_a_click_on_a_heading_sorts_the_trials_and_another_one_turns_them_around(page: Page) -> None:
    values = page.locator("tbody td:nth-child(3)")
    for turn in ("ascending", "descending"):
        page.get_by_role("button", name=METRIC).click()
        expect(page.get_by_role("columnheader", name=METRIC)).to_have_attribute("aria-sort", turn)
        shown = [float(text) for text in values.all_inner_texts() if text]
        assert shown == sorted(shown, reverse=turn == "descending")
        assert values.all_inner_texts()[-1] == ""  # trials without a value are last
