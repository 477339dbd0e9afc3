"""What one training run is made of, and which combinations make sense."""

from dataclasses import dataclass, field

from src.errors import ConfigError
from src.schema.augmentation import AugmentationConfig
from src.schema.checks import FREE, cores, require
from src.schema.dataset import DatasetConfig
from src.schema.model import ModelConfig
from src.schema.optimizer import CosineConfig, OptimizerConfig, ReduceOnPlateauConfig, ScheduleConfig
from src.schema.training import TrackingConfig, TrainingConfig
from src.schema.transfer import TransferConfig

MOST_PARTS = 4  # of a batch; with more cores TensorFlow divides operations, as it does by itself


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
    tags: dict[str, str] = field(default_factory=dict, metadata=FREE)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 4294967295")
        for name, value in self.tags.items():
            require(isinstance(value, str), f"tags.{name}", value, "a text")
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

    @property
    def trains_in_parts(self) -> bool:
        """Whether batches are divided among the cores, see `src.fitting.parts`; a deterministic run's are not."""
        if self.training.deterministic or cores() > MOST_PARTS:
            return False
        return self.model.is_divisible(*self.dataset.input_shape)

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
