"""The typed configuration: what a user may set, and which combinations make sense."""

from src.schema.art import ArtConfig, DreamConfig, StyleConfig
from src.schema.augmentation import AugmentationConfig, StandardAugmentationConfig
from src.schema.checks import ADDED, FREE, PLACE, REQUEST, nearest, output_size, require
from src.schema.costs import COSTS, Cost, excess, format_cost, violations
from src.schema.dataset import (
    CifarConfig,
    DatasetConfig,
    IdxConfig,
    PublishedConfig,
    Suggestion,
    SyntheticConfig,
)
from src.schema.engines import EngineConfig, LocalEngineConfig, RayEngineConfig, SlurmEngineConfig
from src.schema.exports import EXPORTS, ExportFormat
from src.schema.find_lr import FindLrConfig
from src.schema.groups import PRIMARY, RUN_GROUPS, as_tree, decisive_leaves, flatten, is_place, kind_of
from src.schema.kinds import REGISTRY, Group, Kind, WrongKind, find_kind, load_name
from src.schema.loss import CrossEntropyConfig, LossConfig
from src.schema.methods import METHODS, Method, chosen_methods
from src.schema.metrics import (
    BEST,
    LOSS,
    METRICS,
    TEST,
    TTA,
    VALIDATION,
    Direction,
    Metric,
    best_metrics,
    comparable_metric,
    direction_of,
    find_metric,
    is_better,
    metric_names,
    monitors,
    recorded_metrics,
    sign_of,
)
from src.schema.model import BatchNormedConfig, ConvBlock, ModelConfig, SequentialConfig
from src.schema.naming import with_given_name
from src.schema.networks import AlexNetConfig, GoogLeNetConfig, InceptionV3Config, ResNetConfig
from src.schema.objectives import Objective, front_of, improves, losses_of, objective_of
from src.schema.optimizer import OptimizerConfig
from src.schema.own_data import ArraysConfig, ImageFolderConfig, ManifestConfig, OwnDataConfig, PicturesConfig
from src.schema.pipelines import (
    BestOfSweepConfig,
    ChooseConfig,
    CompareModelsConfig,
    CrossValidateConfig,
    ReproduceConfig,
    for_training,
)
from src.schema.pruners import NoPrunerConfig, PrunerConfig
from src.schema.run import TAG_PREFIX, Config
from src.schema.samplers import RandomConfig, SamplerConfig
from src.schema.schedule import (
    ConstantConfig,
    CosineConfig,
    CosineRestartsConfig,
    ExponentialConfig,
    OneCycleConfig,
    PolynomialConfig,
    ReduceOnPlateauConfig,
    ScheduleConfig,
    StepConfig,
)
from src.schema.space import Choice, Dimension, Interval, Scalar
from src.schema.sweep import SweeperConfig, check_shared
from src.schema.training import MLFLOW, MODEL_FORMATS, TrackingConfig, TrainingConfig, check_classes
from src.schema.transfer import BACKBONES, TransferConfig
from src.schema.verbs import (
    CheckDataConfig,
    ClassifierConfig,
    DoctorConfig,
    EvaluateConfig,
    ExplainConfig,
    ExportConfig,
    PredictConfig,
    RegisterConfig,
    ServeConfig,
    SummaryConfig,
    TrackedModelConfig,
    UiConfig,
    check_registry_names,
)
