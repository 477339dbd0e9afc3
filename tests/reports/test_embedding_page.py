"""The page with a map of images: the images are in it, and names are text."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from src.figures import MapPoint
from src.reports.embedding_page import embedding_page, sprite_sheet

GRAY = np.arange(5 * 4 * 6, dtype=np.uint8).reshape(5, 4, 6, 1)
POINTS = [MapPoint(number, number**2, number % 2, 1) for number in range(5)]
NAMES = ["a.png", "</script><b>", "c.png", "d.png", "e.png"]


def made(names: list[str] = NAMES, classes: tuple[str, str] = ("ant", "bee")) -> str:
    return embedding_page("net", POINTS, classes, GRAY, names, [0.9, 0.8, 0.7, 0.6, 0.5])


def opened(sheet: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(sheet.partition("base64,")[2])))


def test_the_sheet_has_the_images_in_rows() -> None:
    sheet, columns, size = sprite_sheet(GRAY)
    assert (columns, size) == (3, (4, 6))
    assert sheet.startswith("data:image/png;base64,")
    pixels = np.asarray(opened(sheet))
    assert pixels[4:8, 6:12].tolist() == GRAY[4, ..., 0].tolist()


@pytest.mark.parametrize(("shape", "size"), [((96, 48, 3), (48, 24)), ((20, 30, 3), (20, 30))])
def test_large_images_are_reduced_and_images_in_color_are_a_jpeg(
    shape: tuple[int, int, int], size: tuple[int, int]
) -> None:
    sheet, _, found = sprite_sheet(np.zeros((2, *shape), np.uint8))
    assert (found, opened(sheet).size, opened(sheet).format) == (size, (2 * size[1], size[0]), "JPEG")


def test_every_image_has_a_mark_and_wrong_predictions_are_marked_and_listed_the_surest_first() -> None:
    page = made()
    assert page.count("<use ") == 5
    assert page.count('class="wrong"/>') == 3
    listed = re.findall(r"</td><td>(\S+\.png)</td><td>ant</td><td>bee \((\S+)\)", page)
    assert listed == [("a.png", "0.90"), ("c.png", "0.70"), ("e.png", "0.50")]


def test_the_script_knows_the_name_the_classes_and_the_score_of_each_image() -> None:
    found = re.search(r"<script>const map = (\{.*?\});\n", made())
    assert found is not None
    data = json.loads(found[1])
    assert data["images"][1] == ["</script><b>", 1, 1, 0.8]
    assert (data["classes"], data["columns"], data["width"], data["height"]) == (["ant", "bee"], 3, 6, 4)


def test_names_neither_end_the_script_nor_become_markup() -> None:
    page = made(["</script><img src=x>"] * 5, ("<i>ant</i>", "bee"))
    assert page.count("</script>") == 1
    assert "<img" not in page
    assert "<i>" not in page


def test_the_page_refers_to_nothing_outside() -> None:
    assert set(re.findall(r"""(?:src|href)=["']?(.)""", made())) == {"#"}
    assert not re.findall("https?://|@import", made())
    assert re.findall(r"url\((.{12})", made()) == ['"data:image/']
