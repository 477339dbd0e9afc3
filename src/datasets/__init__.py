"""Data sets as arrays: find, verify, split and limit them."""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.datasets.arrays import BAD_TABLE, DUPLICATES_TABLE, BadFile
    from src.datasets.cache import cached_folders, remove_cached
    from src.datasets.headers import Header, read_headers
    from src.datasets.image_file import image_size, read_image
    from src.datasets.images import ImageBytes
    from src.datasets.loading import (
        Dataset,
        Split,
        check_dataset,
        check_outside,
        class_names_of,
        content_digest,
        find_below,
        load_dataset,
    )
    from src.datasets.unlabeled import Batch, read_unlabeled
else:
    __getattr__ = lazy_package(__name__)
