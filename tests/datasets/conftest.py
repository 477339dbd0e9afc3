"""Folders of images that all differ, and servers to download from."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.mirror import Answer, Mirror
from tests.support.pictures import Photos, put_class


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    """Not yet there."""
    return Photos(tmp_path / "photos", tmp_path / "cache")


@pytest.fixture
def pets(photos: Photos) -> Photos:
    """Forty cats, twenty dogs."""
    put_class(photos.folder, "cat", 40)
    put_class(photos.folder, "dog", 20)
    return photos


# --- servers --------------------------------------------------------------------------------------------------


@pytest.fixture
def mirror() -> Iterator[Callable[..., Mirror]]:
    started: list[Mirror] = []

    def start(*answers: Answer) -> Mirror:
        started.append(Mirror(*answers))
        return started[-1]

    yield start
    for server in started:
        server.close()
