"""Folders of images, each with pixels of its own."""

import os
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from src.schema import ImageFolderConfig, ManifestConfig


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

    def paths(self) -> list[str]:
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.png"))

    def write(self, name: str, *rows: str, columns: str = "path,label") -> ManifestConfig:
        """A manifest in the folder, and the config that reads it."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / name).write_text("\n".join([columns, *rows, ""]))
        return self.manifest(name)

    def manifest(self, name: str, **changes: Any) -> ManifestConfig:
        config = ManifestConfig(
            name="photos",
            loader="manifest",
            image_size=[6, 6],
            channels=1,
            file=str(self.folder / name),
            cache_dir=str(self.cache),
        )
        return replace(config, **changes)

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
