"""The report about files that cannot be used."""

from collections import Counter
from collections.abc import Sequence

from src.datasets.arrays import BAD_TABLE, SKIPPED, BadFile, Listed
from src.datasets.images import CONVERTIBLE
from src.datasets.listing import LINK_OUT, MAX_NAMED, ImageFile, explain_links
from src.errors import DataError
from src.schema import PicturesConfig


def check_bad_files(
    config: PicturesConfig, bad_files: Sequence[BadFile], total: int, links: Sequence[str] = ()
) -> list[Listed]:
    """Return a warning about skipped files and one about converted files, if there are any.

    Args:
        config: the data set.
        bad_files: sorted.
        total: the number of files, including the bad ones.
        links: paths of links in place of folders.

    Raises:
        DataError: there are some and `on_bad_image` is `error`.
    """
    skipped = [bad for bad in bad_files if bad.result == SKIPPED]
    converted = [bad for bad in bad_files if bad.result != SKIPPED]
    warnings = []
    if converted:
        counts = f"{len(converted)} of {total:,} image files in {config.place} were converted ({_count(converted)})"
        warnings.append(Listed(counts, BAD_TABLE))
    if not skipped:
        return warnings
    problem = f"{len(skipped)} of {total:,} image files in {config.place} cannot be used ({_count(skipped)})"
    about_links = explain_links(links)
    if not links and any(bad.reason == LINK_OUT for bad in skipped):
        about_links = ". dataset.follow_links=true follows the links"
    if config.on_bad_image == "error":
        first = "; ".join(f"{bad.path}: {bad.reason}" for bad in skipped[:MAX_NAMED])
        more = "; ..." if len(skipped) > MAX_NAMED else ""
        remedy = "Repair or remove them, or skip them with dataset.on_bad_image=skip"
        raise DataError(f"{problem}: {first}{more}. {remedy}{about_links}")
    if not config.converts and any(bad.reason in CONVERTIBLE for bad in skipped):
        about_links = f". dataset.on_bad_image=convert reads some of them{about_links}"
    return [*warnings, Listed(f"{problem} and are skipped", BAD_TABLE, about_links)]


def without_skipped(files: Sequence[ImageFile], bad_files: Sequence[BadFile]) -> list[ImageFile]:
    """Return the files whose images were decoded."""
    skipped = {bad.path for bad in bad_files if bad.result == SKIPPED}
    return [file for file in files if file.path not in skipped]


def _count(bad_files: Sequence[BadFile]) -> str:
    reasons = Counter(bad.reason for bad in bad_files).most_common()
    return ", ".join(f"{number} {reason}" for reason, number in reasons)
