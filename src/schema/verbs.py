"""The settings of the commands other than training."""

import ipaddress
import math
import re
from dataclasses import dataclass, field

from src.errors import ConfigError
from src.schema.checks import PLACE, at_least, one_of, require
from src.schema.dataset import DatasetConfig
from src.schema.exports import EXPORTS
from src.schema.methods import check_methods
from src.schema.metrics import comparable_metrics
from src.schema.model import ModelConfig
from src.schema.training import TrackingConfig, check_metric, check_metrics


@dataclass(kw_only=True)
class TrackedModelConfig:
    """One tracked model, named by its run or by a model URI."""

    tracking: TrackingConfig
    run_id: str | None = None
    model_uri: str | None = field(default=None, metadata=PLACE)

    def __post_init__(self) -> None:
        if (self.run_id is None) == (self.model_uri is None):
            raise ConfigError("name one model: run_id=RUN, or model_uri=models:/NAME@champion")


@dataclass(kw_only=True)
class TestedModelConfig(TrackedModelConfig):
    """One tracked model and its test images."""

    # Where the data is on this machine; null: where the run found it
    data_dir: str | None = field(default=None, metadata=PLACE)


@dataclass(kw_only=True)
class EvaluateConfig(TestedModelConfig):
    """A model to score."""

    metrics: list[str] | None = None  # to compute besides those that the run records
    tta: bool = False  # also score the mean of the probabilities for several views of each image

    def __post_init__(self) -> None:
        super().__post_init__()
        check_metrics("metrics", self.metrics)


@dataclass(kw_only=True)
class ExplainConfig(TestedModelConfig):
    """A model to explain."""

    image: str | None = field(default=None, metadata=PLACE)  # an image file to explain; null: the test split
    output: str | None = field(default=None, metadata=PLACE)  # a folder that gets copies of the pictures
    methods: list[str] | None = None  # null: all that suit the network and what is explained
    layers: list[str] | None = None  # that are looked into; null: each method chooses convolutions

    def __post_init__(self) -> None:
        super().__post_init__()
        check_methods(self.methods, self.image is not None)
        require(self.layers != [], "layers", self.layers, "names of layers, or null")


@dataclass(kw_only=True)
class ExportConfig(TestedModelConfig):
    """A model to convert to other formats."""

    formats: list[str] = field(default_factory=lambda: ["onnx", "litert"])
    max_drop: float | None = None  # of the test accuracy; null: that of each format
    output: str | None = field(default=None, metadata=PLACE)  # a folder that gets copies of the files

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.formats), "formats", self.formats, f"some of {', '.join(EXPORTS)}")
        for name in self.formats:
            one_of(tuple(EXPORTS), "formats", name)
        is_once = len(set(self.formats)) == len(self.formats)
        require(is_once, "formats", self.formats, "each format once")
        if self.max_drop is not None:
            require(0 <= self.max_drop <= 1, "max_drop", self.max_drop, "a fraction from 0 to 1")


@dataclass(kw_only=True)
class ClassifierConfig(TrackedModelConfig):
    """A model that classifies images: a tracked one, or an exported file."""

    model_file: str | None = field(default=None, metadata=PLACE)  # an exported file, in place of a tracked model
    calibrated: bool = False  # with the temperature of the run, so that the probabilities are as sure as they are right
    tta: bool = False  # the mean of the probabilities for several views of each image

    def __post_init__(self) -> None:
        if self.model_file is None:
            super().__post_init__()
        else:
            self._check_model_file(self.model_file)
        if self.tta and self.calibrated:
            raise ConfigError(
                "tta=true with calibrated=true: the temperature was fitted to predictions without test-time "
                "augmentation; remove one of them"
            )

    def _check_model_file(self, file: str) -> None:
        if self.run_id is not None or self.model_uri is not None:
            raise ConfigError("name one model: run_id=RUN, model_uri=models:/NAME@champion, or model_file=FILE")
        for key in ("tta", "calibrated"):
            if getattr(self, key):
                raise ConfigError(
                    f"{key}=true with model_file={file}: an exported file gives the model's own probabilities; remove "
                    f"`{key}=true`, or name the run: run_id=RUN"
                )


@dataclass(kw_only=True)
class PredictConfig(ClassifierConfig):
    """A model, and images to classify."""

    images: str = field(metadata=PLACE)  # a folder, an image file, or a CSV file of pixels
    output: str = field(default="predictions.csv", metadata=PLACE)
    batch_size: int = 256
    on_bad_image: str = "skip"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, "batch_size", self.batch_size)
        one_of(("skip", "error"), "on_bad_image", self.on_bad_image)


@dataclass(kw_only=True)
class RegisterConfig:
    """A run whose model to register."""

    tracking: TrackingConfig
    run_id: str
    name: str | None = None  # of the registered model; null: the data set's name
    alias: str | None = None  # moved to the new version
    if_better: bool = False  # only if the new version beats the one that has the alias
    metric: str | None = None  # that decides which of the two is better; null: that of the run's training.monitor
    on_other_data: str = "error"  # error or move: the alias, if its model was trained on other data

    def __post_init__(self) -> None:
        one_of(("error", "move"), "on_other_data", self.on_other_data)
        if self.metric is not None:
            check_metric("metric", self.metric, tuple(comparable_metrics()))
        check_registry_names(self.name, self.alias)
        if self.if_better and self.alias is None:
            raise ConfigError("if_better=true: there is no alias to compare with; name one, such as alias=champion")


def check_registry_names(name: str | None, alias: str | None, key: str = "name") -> None:
    """Raises ConfigError for names that MLflow's registry does not accept; `key` is the setting that holds the name."""
    require(name is None or bool(re.fullmatch(r"[^/:'\"]+", name)), key, name, "a name without /, : or quotes")
    is_free = alias is None or bool(re.fullmatch(r"(?!v\d+$|latest$)[\w-]+", alias, re.IGNORECASE))
    require(is_free, "alias", alias, "letters, digits, - and _, and not latest or v1, which MLflow reserves")


@dataclass(kw_only=True)
class UiConfig:
    """A store to show in the MLflow UI."""

    tracking: TrackingConfig
    port: int = 5000  # of this machine
    open: bool = False  # in a browser, once the UI answers

    def __post_init__(self) -> None:
        check_port_number(self.port)
        if not self.tracking.enabled:
            raise ConfigError("tracking=off: there is no store to show; choose tracking=mlflow")


@dataclass(kw_only=True)
class ServeConfig(ClassifierConfig):
    """A model, and where it is served."""

    host: str = "127.0.0.1"  # of the interface that the server listens on; this one is reached from this machine only
    port: int = 5001
    max_mb: float = 16.0  # of a request

    def __post_init__(self) -> None:
        super().__post_init__()
        check_port_number(self.port)
        require(0 < self.max_mb < math.inf, "max_mb", self.max_mb, "a number of megabytes above 0")
        try:
            ipaddress.ip_address(self.host)
        except ValueError as error:
            raise ConfigError(
                f"host: got {self.host!r}, expected the address of an interface, such as 127.0.0.1 for this machine "
                "only, or 0.0.0.0 for all"
            ) from error

    @property
    def is_local(self) -> bool:
        """True if only programs of this machine reach the server."""
        return ipaddress.ip_address(self.host).is_loopback


def check_port_number(port: int) -> None:
    """Raises ConfigError for a number that no port can have."""
    require(1 <= port <= 65535, "port", port, "a number from 1 to 65535")


@dataclass(kw_only=True)
class DoctorConfig:
    """A store to check, and what may be changed in it."""

    tracking: TrackingConfig
    storage: str | None = field(default="sqlite:///optuna.db", metadata=PLACE)  # of the studies; null: check none
    fix: bool = False  # repair what can be repaired
    clean: bool = False  # free the space of older checkpoints and of the cache
    discard: str | None = None  # a run, or trial-ID-NUMBER, whose checkpoints are all removed
    hosts: str = "this"  # all: also end runs of other machines, which may be running
    # A folder of points and files that the store did not get: they are delivered, and nothing is checked
    sync: str | None = field(default=None, metadata=PLACE)
    # Of checkpoints; null: next to the store
    checkpoint_dir: str | None = field(default=None, metadata=PLACE)
    cache_dir: str = field(default="~/.cache/convlab/images", metadata=PLACE)  # of decoded images

    def __post_init__(self) -> None:
        one_of(("this", "all"), "hosts", self.hosts)
        if not self.tracking.enabled:
            raise ConfigError("tracking=off: the doctor examines a store; choose tracking=mlflow")
        is_name = self.discard is None or re.fullmatch(r"[0-9a-f]{32}|trial-[0-9a-f]+-\d+", self.discard)
        require(bool(is_name), "discard", self.discard, "the id of a run, or the folder of a trial, trial-ID-NUMBER")


@dataclass(kw_only=True)
class CheckDataConfig:
    """A data set to look at before training, or a run whose model checks labels."""

    dataset: DatasetConfig
    tracking: TrackingConfig
    output: str = field(default="data_check", metadata=PLACE)  # the folder for the page, its tables and pictures
    strict: bool = False  # fail if an image is in two splits, or has two labels
    run_id: str | None = None  # of a training or a cross-validation: check its labels, and not `dataset`
    # Where the data of the run is on this machine; null: where the run found it
    data_dir: str | None = field(default=None, metadata=PLACE)

    def __post_init__(self) -> None:
        if self.strict and self.run_id is not None:
            raise ConfigError(
                f"strict=true with run_id={self.run_id}: a label that a model contradicts may be right, so the command "
                "does not fail because of it; remove `strict=true`"
            )


@dataclass(kw_only=True)
class SummaryConfig:
    """A network to describe, on a data set's images."""

    dataset: DatasetConfig
    model: ModelConfig

    def __post_init__(self) -> None:
        self.model.check_input(*self.dataset.image_size)
