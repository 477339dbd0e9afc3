"""The space that the cache of decoded images takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from src import datasets
from src.diagnosis.case import Case, size_of
from src.diagnosis.finding import Finding, Repair
from src.places import local_path


def find_cached_images(case: Case) -> Iterator[Finding]:
    """Yield the cache of decoded images, as information. It may be removed at any time."""
    root = local_path(case.config.cache_dir)
    folders = datasets.cached_folders(root)
    if folders:
        repair = Repair("remove them", partial(_remove, folders), is_cleaning=True)
        problem = f"has the decoded images of {len(folders)} folder{'s' * (len(folders) > 1)}, which can be made again"
        yield Finding(str(root), problem, repair=repair, is_fault=False, size=size_of(*folders))


def _remove(folders: Sequence[Path]) -> None:
    for folder in folders:
        datasets.remove_cached(folder)
