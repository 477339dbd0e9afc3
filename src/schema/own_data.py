"""The settings of a user's own data: a folder of images, a table of images, arrays in a file."""

import math
import unicodedata
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any, ClassVar, Self

from src.errors import ConfigError
from src.schema.checks import ADDED, LOCATION, one_of, require
from src.schema.dataset import DatasetConfig
from src.schema.naming import UNNAMED, name_after, name_after_file


@dataclass(kw_only=True)
class OwnDataConfig(DatasetConfig):
    """Data that brings its own classes. Splits that it has are kept, the others are a share of each class.

    Attributes:
        place_key: the field with the folder or file.
        unnamed: the name which means that the data set is named after its folder or file when a configuration is
            composed.
    """

    place_key: ClassVar[str]
    unnamed: ClassVar[str]

    class_names: list[str] = field(default_factory=list)  # in Unicode's form NFC; empty: those of the data, sorted
    data_dir: str = field(default="data", metadata=LOCATION)
    test_fraction: float = 0.15  # of each class, if the data has no split for testing
    validation_fraction: float = 0.15  # of each class, if the data has no split for validation
    split_seed: int = 0

    def __post_init__(self) -> None:
        self.class_names = [unicodedata.normalize("NFC", name) for name in self.class_names]
        super().__post_init__()
        for key in ("test_fraction", "validation_fraction"):
            fraction = getattr(self, key)
            require(0 < fraction < 1, f"dataset.{key}", fraction, "a fraction between 0 and 1")
        if self.test_fraction + self.validation_fraction >= 1:
            raise ConfigError(
                f"dataset.test_fraction={self.test_fraction:g} and dataset.validation_fraction="
                f"{self.validation_fraction:g} leave nothing to train on; their sum must be less than 1"
            )

    def check_class_names(self) -> None:
        """Raises ConfigError for a single class, and for a class that is named twice."""
        names, received = set(self.class_names), self.class_names
        require(len(names) != 1, "dataset.class_names", received, "at least two classes, or none for the data's own")
        require(len(names) == len(received), "dataset.class_names", received, "names that all differ")

    def refuse_mirroring(self, key: str) -> ConfigError:
        return ConfigError(
            f"{key}: do mirrored pictures of {self.name} keep their class? Those of cats do, those of letters do not. "
            f"If they do, set dataset.flips=true; if not, set {key}=null, or choose augmentation=digits"
        )

    @property
    def place(self) -> str:
        """The folder or file with the data."""
        return str(getattr(self, self.place_key))

    @classmethod
    def name_after(cls, place: str) -> str:
        """Return the name that the folder or file gives, or `unnamed` if it gives none."""
        return name_after_file(place, cls.unnamed)

    @property
    def root(self) -> str | None:
        return self.place

    def below(self, data_dir: str) -> Self:
        place = PurePath(self.place.strip())
        inner = place.relative_to(self.data_dir) if place.is_relative_to(self.data_dir) else PurePath(place.name)
        moved: dict[str, Any] = {"data_dir": data_dir, self.place_key: str(PurePath(data_dir.strip(), inner))}
        return replace(self, **moved)

    def named(self) -> Self:
        return replace(self, name=self.name_after(self.place)) if self.name == self.unnamed else self

    def set_by_folder(self) -> set[str]:
        is_set = {"class_names": not self.class_names, "name": self.name == self.name_after(self.place)}
        return {key for key, holds in is_set.items() if holds}


@dataclass(kw_only=True)
class PicturesConfig(OwnDataConfig):
    """Image files, which are decoded once and resized."""

    resize: str = "crop"
    on_bad_image: str = "skip"
    follow_links: bool = field(default=False, metadata=ADDED)  # also those to folders, and out of the folder
    cache_dir: str = field(default="~/.cache/convlab/images", metadata=LOCATION)  # of decoded images

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(("crop", "pad", "stretch"), "dataset.resize", self.resize)
        one_of(("skip", "error", "convert"), "dataset.on_bad_image", self.on_bad_image)

    @property
    def resize_mode(self) -> str:
        return self.resize

    @property
    def converts(self) -> bool:
        return self.on_bad_image == "convert"


@dataclass(kw_only=True)
class ImageFolderConfig(PicturesConfig, kind="image_folder", builds="src.datasets.image_folder:load_image_folder"):
    """Image files in a folder for each class, or in such folders below those of the splits."""

    place_key: ClassVar[str] = "folder"
    unnamed: ClassVar[str] = UNNAMED
    lists: ClassVar[str] = "src.datasets.image_folder:list_classes_of"
    opens: ClassVar[str] = "src.datasets.image_folder:image_files_of"
    suggests: ClassVar[str] = "src.datasets.image_folder:suggest"

    folder: str = field(metadata=LOCATION)

    @classmethod
    def name_after(cls, place: str) -> str:
        return name_after(place)

    def below(self, data_dir: str) -> Self:
        return replace(self, data_dir=data_dir, folder=str(PurePath(data_dir.strip(), PurePath(self.folder).name)))


@dataclass(kw_only=True)
class ColumnsConfig:
    """The names of a manifest's columns; capitals and white space around a name do not matter."""

    path: str = "path"  # of an image file, below the folder of the manifest
    image: str = "image"  # of a Parquet file: the bytes of image files
    label: str = "label"
    split: str | None = "split"  # null, or no such column: the images are divided
    group: str | None = "group"  # null, or no such column: every image is a group of its own


@dataclass(kw_only=True)
class ManifestConfig(PicturesConfig, kind="manifest", builds="src.datasets.manifest:load_manifest"):
    """Images that a table lists with their labels: CSV, TSV or Parquet. A Parquet file may contain the images."""

    place_key: ClassVar[str] = "file"
    unnamed: ClassVar[str] = "manifest"
    lists: ClassVar[str] = "src.datasets.manifest:list_classes_of"
    opens: ClassVar[str] = "src.datasets.manifest:image_files_of"
    suggests: ClassVar[str] = "src.datasets.manifest:suggest"

    file: str = field(metadata=LOCATION)
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)


@dataclass(kw_only=True)
class ArraysConfig(OwnDataConfig, kind="arrays", builds="src.datasets.npz:load_arrays"):
    """Images and labels as arrays in an NPZ file, in splits or all together."""

    place_key: ClassVar[str] = "file"
    unnamed: ClassVar[str] = "arrays"
    lists: ClassVar[str] = "src.datasets.npz:list_classes_of"

    file: str = field(metadata=LOCATION)
    value_range: list[float] | None = None  # the values of black and white; null: unsigned bytes, 0 and 255

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.value_range is not None:
            is_range = len(self.value_range) == 2 and -math.inf < self.value_range[0] < self.value_range[1] < math.inf
            require(is_range, "dataset.value_range", self.value_range, "two numbers, the smaller one first: [0,1]")
