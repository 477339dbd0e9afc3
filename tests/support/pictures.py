"""Folders of images, each with pixels of its own."""

import os
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
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
