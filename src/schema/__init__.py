"""The typed configuration: what a user may set, and which combinations make sense.

Dataclasses only, so that everything past the command line works on plain values. `SCHEMAS` says which class stands
behind a group's YAML; `flatten` gives every leaf its dotted name, the same one from command line to chart.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from src.errors import ConfigError
from src.schema.augmentation import AugmentationConfig
from src.schema.checks import cores, output_size, require
from src.schema.dataset import (
    CifarConfig,
    DatasetConfig,
    IdxConfig,
    IdxFile,
    IdxFiles,
    ImageFolderConfig,
    PublishedConfig,
    SyntheticConfig,
)
from src.schema.model import ConvBlock, ModelConfig, SequentialConfig
from src.schema.networks import AlexNetConfig, GoogLeNetConfig, InceptionV3Config, ResNetConfig, StemmedConfig
from src.schema.optimizer import (
    AdamConfig,
    AdamWConfig,
    CosineConfig,
    NadamConfig,
    OptimizerConfig,
    ReduceOnPlateauConfig,
    RMSpropConfig,
    ScheduleConfig,
    SGDConfig,
)
from src.schema.space import Choice, Dimension, Interval, Scalar
from src.schema.sweep import (
    PRUNERS,
    SAMPLERS,
    PrunerConfig,
    SamplerConfig,
    SweeperConfig,
)
from src.schema.training import MONITORS, TrackingConfig, TrainingConfig
from src.schema.transfer import BACKBONES, TransferConfig

__all__ = [
    "BACKBONES",
    "DISCRIMINATORS",
    "MONITORS",
    "PRIMARY",
    "PRUNERS",
    "SAMPLERS",
    "SCHEMAS",
    "SWEEPER_SCHEMAS",
    "AdamConfig",
    "AdamWConfig",
    "AlexNetConfig",
    "AugmentationConfig",
    "Choice",
    "CifarConfig",
    "Config",
    "ConvBlock",
    "CosineConfig",
    "DatasetConfig",
    "Dimension",
    "EvaluateConfig",
    "ExplainConfig",
    "GoogLeNetConfig",
    "IdxConfig",
    "IdxFile",
    "IdxFiles",
    "ImageFolderConfig",
    "InceptionV3Config",
    "Interval",
    "ModelConfig",
    "NadamConfig",
    "OptimizerConfig",
    "PrunerConfig",
    "PublishedConfig",
    "RMSpropConfig",
    "ReduceOnPlateauConfig",
    "ResNetConfig",
    "SGDConfig",
    "SamplerConfig",
    "Scalar",
    "ScheduleConfig",
    "SequentialConfig",
    "StemmedConfig",
    "SummaryConfig",
    "SweeperConfig",
    "SyntheticConfig",
    "TrackingConfig",
    "TrainingConfig",
    "TransferConfig",
    "as_tree",
    "cores",
    "flatten",
    "is_place",
    "output_size",
    "require",
]


@dataclass(kw_only=True)
class Config:
    """One training run."""

    dataset: DatasetConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    training: TrainingConfig
    tracking: TrackingConfig
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)  # runs of before have none
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
        if self.augmentation.flip and not self.dataset.flips:
            raise ConfigError(
                f"augmentation.flip: the classes of {self.dataset.name} are not the same mirrored; leave it out with "
                "augmentation.flip=null, or choose augmentation=digits (dataset.flips=true says that they are)"
            )
        if isinstance(self.model, TransferConfig) and self.model.mode == "fine_tuning":
            self._check_phases(self.model.head_epochs)
        if not self.has_monitor:
            self._check_without_validation()

    @property
    def has_monitor(self) -> bool:
        """Whether there is a validation split whose metrics can choose the best epoch."""
        return self.dataset.validation_size != 0

    def _check_phases(self, head_epochs: int) -> None:
        epochs = self.training.epochs
        if head_epochs >= epochs:
            raise ConfigError(
                f"model.head_epochs: {head_epochs} leaves nothing of training.epochs={epochs} for fine-tuning; use "
                "less, or model.mode=feature_extraction"
            )
        shortest = min(head_epochs, epochs - head_epochs)
        if isinstance(self.schedule, CosineConfig) and self.schedule.warmup_epochs >= shortest:
            raise ConfigError(
                f"schedule.warmup_epochs: {self.schedule.warmup_epochs:g} leaves nothing of a phase of {shortest} "
                "epochs; use less, or schedule=none"
            )

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
class ExplainConfig(EvaluateConfig):
    """A model to look into."""

    image: str | None = None  # a file to look at; null: the test split
    output: str | None = None  # a folder that gets the pictures as well


@dataclass(kw_only=True)
class SummaryConfig:
    """A network to describe, on a data set's images."""

    dataset: DatasetConfig
    model: ModelConfig

    def __post_init__(self) -> None:
        self.model.check_input(*self.dataset.image_size)


PRIMARY: dict[str, type] = {
    "train": Config,
    "evaluate": EvaluateConfig,
    "explain": ExplainConfig,
    "summary": SummaryConfig,
}
SCHEMAS: dict[str, dict[str, type]] = {
    "dataset": {
        "idx": IdxConfig,
        "cifar": CifarConfig,
        "image_folder": ImageFolderConfig,
        "synthetic": SyntheticConfig,
    },
    "model": {
        "sequential": SequentialConfig,
        "alexnet": AlexNetConfig,
        "googlenet": GoogLeNetConfig,
        "inception_v3": InceptionV3Config,
        "resnet": ResNetConfig,
        "transfer": TransferConfig,
    },
    "optimizer": {
        "rmsprop": RMSpropConfig,
        "adam": AdamConfig,
        "adamw": AdamWConfig,
        "nadam": NadamConfig,
        "sgd": SGDConfig,
    },
    "schedule": {"none": ScheduleConfig, "reduce_on_plateau": ReduceOnPlateauConfig, "cosine": CosineConfig},
    "training": {"training": TrainingConfig},
    "augmentation": {"augmentation": AugmentationConfig},
    "tracking": {"tracking": TrackingConfig},
}
SWEEPER_SCHEMAS: dict[str, dict[str, type]] = {
    "sweeper": {"sweeper": SweeperConfig},
    "sampler": dict(SAMPLERS),
    "pruner": dict(PRUNERS),
}
PLACES = (
    "tracking.",
    "tags.",
    "dataset.data_dir",
    "dataset.folder",
    "dataset.mirrors",
    "dataset.npz",
    "dataset.cache_dir",
)
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


def is_place(name: str) -> bool:
    """Whether a leaf only says where things are or what they are called, which changes no result."""
    return name.startswith(PLACES)
