"""The space that the cache of decoded images takes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from src import datasets
from src.diagnosis.case import Case, size_of
from src.diagnosis.finding import Finding, Repair
from src.places import local_path


def find_cached_images(case: Case) -> Iterator[Finding]:
    """Yield the folders of decoded images, as information. They may be removed at any time."""
    for folder in datasets.cached_folders(local_path(case.config.cache_dir)):
        repair = Repair("remove it", partial(datasets.remove_cached, folder), is_cleaning=True)
        yield Finding(
            str(folder),
            "has decoded images, which can be made again",
            repair=repair,
            is_fault=False,
            size=size_of(folder),
        )
