"""The typed configuration: what a user may set, and which combinations make sense."""

from src.schema.augmentation import AugmentationConfig
from src.schema.checks import FREE, PLACE, cores, output_size, require
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
from src.schema.groups import DISCRIMINATORS, PRIMARY, SCHEMAS, SWEEPER_SCHEMAS, as_tree, flatten, is_place
from src.schema.model import ConvBlock, ModelConfig, SequentialConfig
from src.schema.naming import name_after, with_given_name
from src.schema.networks import AlexNetConfig, GoogLeNetConfig, InceptionV3Config, ResNetConfig
from src.schema.optimizer import AdamConfig, CosineConfig, ReduceOnPlateauConfig, RMSpropConfig, ScheduleConfig
from src.schema.pipelines import BestOfSweepConfig, CompareModelsConfig, ReproduceConfig, for_training
from src.schema.run import Config
from src.schema.space import Choice, Dimension, Interval, Scalar
from src.schema.sweep import PRUNERS, SAMPLERS, PrunerConfig, SamplerConfig, SweeperConfig
from src.schema.training import MONITORS, TrackingConfig, TrainingConfig
from src.schema.transfer import BACKBONES, TransferConfig
from src.schema.verbs import (
    EvaluateConfig,
    ExplainConfig,
    PredictConfig,
    RegisterConfig,
    SummaryConfig,
    UiConfig,
    check_registry_names,
)
