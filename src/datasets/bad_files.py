"""The report about files that cannot be used."""

from collections import Counter
from collections.abc import Sequence

from src.datasets.arrays import BadFile
from src.datasets.listing import MAX_NAMED, explain_links
from src.errors import DataError
from src.schema import PicturesConfig


def check_bad_files(
    config: PicturesConfig, bad_files: Sequence[BadFile], total: int, links: Sequence[str] = ()
) -> list[str]:
    """Return a list with a warning about the bad files, empty when there are none.

    Args:
        config: the data set.
        bad_files: sorted.
        total: the number of files, including the bad ones.
        links: paths of links in place of folders.

    Raises:
        DataError: there are some and `on_bad_image` is `error`.
    """
    if not bad_files:
        return []
    reasons = Counter(bad.reason for bad in bad_files).most_common()
    counts = ", ".join(f"{number} {reason}" for reason, number in reasons)
    problem = f"{len(bad_files)} of {total:,} image files in {config.place} cannot be used ({counts})"
    about_links = explain_links(links)
    if config.on_bad_image == "error":
        first = "; ".join(f"{bad.path}: {bad.reason}" for bad in bad_files[:MAX_NAMED])
        more = "; ..." if len(bad_files) > MAX_NAMED else ""
        remedy = "Repair or remove them, or skip them with dataset.on_bad_image=skip"
        raise DataError(f"{problem}: {first}{more}. {remedy}{about_links}")
    return [f"{problem} and are skipped; the run's tables/bad_images.csv lists them{about_links}"]
