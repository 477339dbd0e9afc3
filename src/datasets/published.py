"""Published data sets: found in one of several folders, verified, set aside when damaged, downloaded when missing.

The loader of such a data set provides functions that read its files and raise DataError for content that is not the
published one. The sentence of that error begins with the file's path.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from src.datasets.download import fetch, lock_of
from src.errors import DataError
from src.places import local_path
from src.schema import PublishedConfig

Content = TypeVar("Content")


@dataclass(frozen=True)
class Folder:
    """A folder that may contain a data set.

    Attributes:
        path: the folder, which may not exist.
        is_ours: downloads go into it, so a damaged file in it is renamed to make room for another download.
        damaged: a sentence for each damaged file found so far, in this and other folders.
    """

    path: Path
    is_ours: bool
    damaged: list[str]

    def read(self, name: str, read: Callable[[Path], Content]) -> Content | None:
        """Return the content of a file or subfolder, or None when it does not exist or is damaged.

        Args:
            name: its name in this folder.
            read: returns the content, or raises DataError when it is not the published one.
        """
        path = self.path / name
        if not path.exists():
            return None
        content, problem = _read_or_problem(read, path)
        if problem and self.is_ours and path.is_file():
            content, problem = _set_aside(read, path, problem)
        if problem:
            self.damaged.append(problem)
        return content


def find_or_download(
    config: PublishedConfig,
    find: Callable[[Folder], Content | None],
    download: Callable[[], Content],
    files: str,
) -> tuple[Content, list[str]]:
    """Return a data set from the first folder that contains all of it, or from a server.

    Args:
        config: the data set.
        find: returns the data set from a folder, or None when the folder does not contain all of it.
        download: returns the data set from a server, such as with `download_file`.
        files: the files that a user can put into the first folder, for the message.

    Returns:
        The data set, and a sentence for each damaged file.

    Raises:
        DataError: it is in none of the folders and cannot be downloaded.
    """
    damaged: list[str] = []
    for position, folder in enumerate(config.folders):
        content = find(Folder(local_path(folder), is_ours=position == 0, damaged=damaged))
        if content is not None:
            return content, damaged
    try:
        return download(), damaged
    except DataError as error:
        reasons = "; ".join([*damaged, str(error)])
        raise DataError(
            f"{config.name} is not in {' or '.join(config.folders)} and cannot be downloaded: {reasons}. "
            f"Put {files} into {config.folders[0]}, or set DATA_DIR to the folder above it"
        ) from error


def download_file(config: PublishedConfig, name: str, read: Callable[[Path], Content]) -> Content:
    """Return the content of a file, which is downloaded into the first folder unless it is already there.

    Args:
        config: the data set.
        name: the file's name, in the folder and at each mirror.
        read: returns the content, or raises DataError when it is not the published one.

    Raises:
        DataError: the folder cannot be written, or no mirror has the published content.
    """

    def problem_with(path: Path) -> str | None:
        _, problem = _read_or_problem(read, path)
        return problem and problem.replace(str(path), "it", 1)

    return read(fetch(name, config.mirrors, local_path(config.folders[0]), problem_with))


def _read_or_problem(read: Callable[[Path], Content], path: Path) -> tuple[Content | None, str | None]:
    try:
        return read(path), None
    except DataError as error:
        return None, str(error)


def _set_aside(read: Callable[[Path], Content], path: Path, problem: str) -> tuple[Content | None, str | None]:
    """Rename a damaged file, unless another process has replaced it; return the content, or the problem."""
    damaged = path.with_name(f"{path.name}.damaged")
    try:
        with FileLock(lock_of(path)):
            content, current = _read_or_problem(read, path)
            if current and path.exists():
                os.replace(path, damaged)
                current += f"; it was renamed to {damaged.name}"
            return content, current
    except OSError:
        return None, f"{problem}; it was not renamed because its folder cannot be written"
