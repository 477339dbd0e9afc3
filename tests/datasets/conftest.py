"""Folders of images, each with pixels of its own; servers to download from."""

import http.server
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.schema import ImageFolderConfig


def put_image(path: Path, shade: int | None = None) -> Path:
    """A small image, of one shade or of noise that its path decides on, in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(zlib.crc32(os.fsencode(path))).integers(0, 256, (6, 6), np.uint8)
    Image.fromarray(noise if shade is None else np.full((6, 6), shade, np.uint8)).save(path)
    return path


def put_class(folder: Path, name: str, count: int) -> None:
    for number in range(count):
        put_image(folder / name / f"{number:03}.png")


class Photos:
    """A folder of images and the config that reads it."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.cache = cache

    def config(self, **changes: Any) -> ImageFolderConfig:
        config = ImageFolderConfig(
            name="photos",
            loader="image_folder",
            image_size=[6, 6],
            channels=1,
            folder=str(self.folder),
            cache_dir=str(self.cache),
        )
        return replace(config, **changes)


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

Answer = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    server: "Mirror"

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        answers = self.server.answers
        answers[min(len(self.server.requests), len(answers)) - 1](self)

    def begin(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: pytest's output is for failures."""


class Mirror(http.server.ThreadingHTTPServer):
    """A server on this machine that gives each answer once, in turn, and the last one ever after."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.requests: list[str] = []
        self.closing = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/data/"

    def close(self) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()


def gives(content: bytes, handler: Handler) -> None:
    handler.begin(len(content))
    handler.wfile.write(content)


@pytest.fixture
def mirror() -> Iterator[Callable[..., Mirror]]:
    started: list[Mirror] = []

    def start(*answers: Answer) -> Mirror:
        started.append(Mirror(*answers))
        return started[-1]

    yield start
    for server in started:
        server.close()
