"""Folders of images: a folder for each class, or such folders in each split."""

from pathlib import Path

from src.datasets.arrays import Arrays
from src.datasets.bad_files import check_bad_files, without_skipped
from src.datasets.cache import decoded_images
from src.datasets.listing import explain_names, list_classes, list_images
from src.datasets.splitting import Source, divide
from src.datasets.suggesting import suggest_settings
from src.errors import DataError
from src.places import local_path
from src.schema import ImageFolderConfig, Suggestion


def load_image_folder(config: ImageFolderConfig) -> Arrays:
    """Return the images of a folder, in the order of `divide`.

    Raises:
        ConfigError: a validation size is set although there is a folder `validation`.
        DataError: the folder is missing, its classes are not those of the config, a class has too few images, or there
            are bad files and `on_bad_image` is `error`.
    """
    folder = local_path(config.folder)
    listing = list_images(folder, config.follow_links)
    class_names = _check_classes(config, listing.class_names)
    images, undecoded = decoded_images(config, listing.files, lambda: (folder / file.path for file in listing.files))
    bad_files = sorted([*listing.bad_files, *undecoded])
    listed = check_bad_files(config, bad_files, len(listing.files) + len(listing.bad_files), listing.links)
    files = without_skipped(listing.files, undecoded)
    given, notes = list(listing.splits.values()), explain_names(listing)
    return divide(config, Source("folder", images, files, class_names, given, listed, notes, bad_files))


def suggest(config: ImageFolderConfig) -> Suggestion:
    """Return the image size and the batch size that suit the images of the folder; only headers of files are read.

    Raises:
        DataError: the folder is missing, or its folders are not classes or splits.
    """
    folder = local_path(config.folder)
    listing = list_images(folder, config.follow_links)
    sources = (folder / file.path for file in listing.files)
    return suggest_settings(config, listing.files, list(listing.splits.values()), sources)


def list_classes_of(config: ImageFolderConfig) -> list[str]:
    """Return the names of the classes from the folders alone; no image is opened.

    Raises:
        DataError: the folder is missing, or its folders are not the classes of the config.
    """
    return _check_classes(config, list_classes(local_path(config.folder), config.follow_links))


def image_files_of(config: ImageFolderConfig) -> list[Path]:
    """Return the paths of the image files, in the order of their names; none is opened.

    Raises:
        DataError: the folder is missing, or its folders are not classes.
    """
    folder = local_path(config.folder)
    return [folder / file.path for file in list_images(folder, config.follow_links).files]


def _check_classes(config: ImageFolderConfig, found: list[str]) -> list[str]:
    """Return the names of the classes in the order of the config, or those of the folders when it names none."""
    if not config.class_names:
        return found
    missing = [name for name in config.class_names if name not in found]
    extra = [name for name in found if name not in config.class_names]
    if missing or extra:
        parts = [f"{what}: {', '.join(names)}" for what, names in (("missing", missing), ("extra", extra)) if names]
        raise DataError(
            f"the folders in {config.folder} are not the {config.num_classes} classes of {config.name}; "
            f"{'; '.join(parts)}. Correct the folders, set dataset.folder to another one, or use dataset=image_folder, "
            "which uses the folders as classes"
        )
    return list(config.class_names)
