"""The typed configuration: what a user may set, and which combinations make sense.

Dataclasses only, so that everything past the command line works on plain values. `SCHEMAS` says which class stands
behind a group's YAML; `flatten` gives every leaf its dotted name, the same one from command line to chart.
"""

import dataclasses
from typing import Any

from src.schema.augmentation import AugmentationConfig
from src.schema.dataset import (
    CifarConfig,
    IdxConfig,
    ImageFolderConfig,
    SyntheticConfig,
)
from src.schema.model import SequentialConfig
from src.schema.networks import AlexNetConfig, GoogLeNetConfig, InceptionV3Config, ResNetConfig
from src.schema.optimizer import (
    AdamConfig,
    AdamWConfig,
    CosineConfig,
    NadamConfig,
    ReduceOnPlateauConfig,
    RMSpropConfig,
    ScheduleConfig,
    SGDConfig,
)
from src.schema.pipelines import (
    BestOfSweepConfig,
    CompareModelsConfig,
    ReproduceConfig,
)
from src.schema.run import Config
from src.schema.sweep import (
    PRUNERS,
    SAMPLERS,
    SweeperConfig,
)
from src.schema.training import TrackingConfig, TrainingConfig
from src.schema.transfer import TransferConfig
from src.schema.verbs import (
    EvaluateConfig,
    ExplainConfig,
    PredictConfig,
    RegisterConfig,
    SummaryConfig,
    UiConfig,
)

PRIMARY: dict[str, type] = {
    "train": Config,
    "evaluate": EvaluateConfig,
    "explain": ExplainConfig,
    "predict": PredictConfig,
    "register": RegisterConfig,
    "best_of_sweep": BestOfSweepConfig,
    "compare_models": CompareModelsConfig,
    "reproduce": ReproduceConfig,
    "summary": SummaryConfig,
    "ui": UiConfig,
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
