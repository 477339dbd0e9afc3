"""The example of near copies in the documents."""

from PIL import Image

from docs.drawings.__main__ import COPIES
from docs.drawings.copies import draw_copies, texts_of
from tests.support.figures import above


def test_the_picture_of_the_documents_shows_what_the_code_finds() -> None:
    figure = draw_copies()
    with Image.open(COPIES) as picture:
        assert picture.info["Description"] == texts_of(figure)
    assert above(figure)[:2] == [["2 (train)", "train #22"], ["3 (test)", "test #3"]]
