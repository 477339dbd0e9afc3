"""The space that the cache of decoded images takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from src import datasets
from src.diagnosis.case import Case, size_of
from src.diagnosis.finding import CLEAN, Finding, Repair
from src.places import local_path


def find_cached_images(case: Case) -> Iterator[Finding]:
    """Yield the cache of decoded images, as information. It may be removed at any time."""
    root = local_path(case.config.cache_dir)
    folders = datasets.cached_folders(root)
    if folders:
        repair = Repair("remove these images", "these images were removed", partial(_remove, folders), CLEAN)
        sets = "1 data set" if len(folders) == 1 else f"{len(folders)} data sets"
        problem = f"contains the decoded images of {sets}, which can be decoded again"
        yield Finding(str(root), problem, repair=repair, is_fault=False, size=size_of(*folders))


def _remove(folders: Sequence[Path]) -> None:
    for folder in folders:
        datasets.remove_cached(folder)
