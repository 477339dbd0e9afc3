"""The map of images in a real browser: pointer and keyboard show an image, and nothing comes from the network."""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from src.figures import MapPoint
from src.reports.embedding_page import embedding_page
from tests.support.browser import PATIENCE

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE)
POINTS = [MapPoint(0, 0, 0, 0), MapPoint(10, 0, 1, 1), MapPoint(10, 5, 1, 0)]  # left, right, above the right one


def test_an_image_is_shown_for_the_pointer_and_for_the_arrow_keys(browser: Browser, tmp_path: Path) -> None:
    images = np.zeros((3, 8, 8, 1), np.uint8)
    html = embedding_page("net", POINTS, ["ant", "bee"], images, ["a.png", "b.png", "c.png"], [0.9, 0.8, 0.7])
    file = tmp_path / "embedding.html"
    file.write_text(html, encoding="utf-8")
    problems: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url) if "://" in request.url[5:] else None)
    page.goto(file.as_uri())
    words = page.locator("#words")

    page.keyboard.press("Tab")
    expect(words).to_contain_text("a.png")
    page.keyboard.press("ArrowRight")
    expect(words).to_contain_text("b.png")
    page.keyboard.press("ArrowUp")
    expect(words).to_contain_text("c.png")
    page.keyboard.press("ArrowLeft")
    expect(words).to_contain_text("a.png")
    page.keyboard.press("m")
    expect(words).to_have_text("c.pngclass beepredicted ant (0.70)wrong")
    place = page.locator("use").nth(1).bounding_box()
    assert place is not None
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    expect(words).to_contain_text("predicted bee (0.80)")
    expect(page.locator("#shown .thumb")).to_have_attribute("aria-label", "b.png, class bee, predicted bee (0.80)")
    assert problems == []
    page.close()
