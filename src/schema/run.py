"""The configuration of one training run, and which combinations of settings make sense."""

from dataclasses import dataclass, field

from src.errors import ConfigError
from src.schema.augmentation import AugmentationConfig, StandardAugmentationConfig
from src.schema.checks import ADDED, FREE, REQUEST, one_of, require
from src.schema.dataset import DatasetConfig
from src.schema.loss import CrossEntropyConfig, LossConfig
from src.schema.model import ModelConfig
from src.schema.optimizer import OptimizerConfig
from src.schema.schedule import ScheduleConfig
from src.schema.training import TrackingConfig, TrainingConfig, check_classes

TAG_PREFIX = "convlab."  # of tags that only this program sets, see `src.tracking.tags`


@dataclass(kw_only=True)
class Config:
    """One training run."""

    dataset: DatasetConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    training: TrainingConfig
    tracking: TrackingConfig
    loss: LossConfig = field(default_factory=CrossEntropyConfig, metadata=ADDED)
    augmentation: AugmentationConfig = field(default_factory=StandardAugmentationConfig)  # old stored configs have none
    seed: int = 1
    evaluate_test: bool = True
    tags: dict[str, str] = field(default_factory=dict, metadata=FREE)
    resume: str | None = field(default=None, metadata=REQUEST)  # the id of an interrupted run, which is continued
    on_change: str = field(default="error", metadata=REQUEST)  # or continue: with other code or packages than before

    def __post_init__(self) -> None:
        one_of(("error", "continue"), "on_change", self.on_change)
        if self.on_change != "error" and self.resume is None:
            raise ConfigError(
                f"on_change={self.on_change}: it belongs to resume=RUN; add the id of a run, or remove `on_change`"
            )
        require(0 <= self.seed < 2**32, "seed", self.seed, "an integer from 0 to 4294967295")
        for name, value in self.tags.items():
            require(isinstance(value, str), f"tags.{name}", value, "a string")
            if name.startswith(TAG_PREFIX):
                raise ConfigError(
                    f"tags.{name}: tags that begin with {TAG_PREFIX} are set by convlab; use another name"
                )
        if self.training.num_devices is not None:
            self.check_devices(self.training.num_devices)
        self.model.check_input(*self.dataset.image_size)
        self.schedule.check_epochs(self.training.epochs)
        phases = self.model.phases(self.training.epochs)
        if len(phases) > 1:
            self.schedule.check_epochs(min(phases), is_phase=True)
        if (key := self.augmentation.mirrored_by) and not self.dataset.flips:
            raise self.dataset.refuse_mirroring(key)
        if (key := self.augmentation.mixed_by) is not None:
            self._check_mixing(key)
        check_classes("training.metrics", self.training.metrics, self.dataset)
        check_classes("training.monitor", self.training.recorded, self.dataset)
        if not self.has_monitor:
            self._check_without_validation()

    def _check_mixing(self, key: str) -> None:
        """Raise ConfigError if the settings need an image with one label, but images are mixed."""
        if self.training.class_weights is not None:
            raise ConfigError(
                f"{key} with training.class_weights={self.training.class_weights}: a mixed image has no class whose "
                f"weight it could have; remove `training.class_weights`, or set {key}=0"
            )
        if not self.loss.takes_shares:
            raise ConfigError(
                f"{key} with loss={self.loss.name}: a mixed image has shares of two classes, and this loss takes one "
                f"class; set {key}=0, or use loss=cross_entropy"
            )

    def check_devices(self, count: int) -> None:
        """Raise ConfigError if the settings do not allow a training on several devices."""
        key, size = f"training.devices={count}", self.training.batch_size
        if size % count:
            fewer = size - size % count
            raise ConfigError(
                f"{key}: training.batch_size={size} cannot be divided evenly among {count} devices; use "
                f"training.batch_size={fewer or count}{f' or {fewer + count}' if fewer else ''}, or fewer devices"
            )
        if count > 1 and (names := self.optimizer.needs_whole_batches):
            raise ConfigError(
                f"{key}: optimizer.{names[0]} needs whole batches, which the devices divide, so the result could "
                f"differ from that of one device; remove `optimizer.{names[0]}`, or use training.devices=1"
            )

    @property
    def has_monitor(self) -> bool:
        """True if there is a validation split whose metrics can select the best epoch."""
        return self.dataset.validation_size != 0

    @property
    def is_divisible(self) -> bool:
        """True if batches may be divided among the cores; those of a deterministic run are not."""
        return not self.training.deterministic and self.model.is_divisible(*self.dataset.input_shape)

    def _check_without_validation(self) -> None:
        for is_set, name in (
            (self.training.monitor != TrainingConfig.monitor, f"training.monitor={self.training.monitor}"),
            (self.training.early_stopping_patience is not None, "training.early_stopping_patience"),
            (self.schedule.needs_validation, f"schedule={self.schedule.name}"),
        ):
            if is_set:
                raise ConfigError(
                    f"{name} with dataset.validation_size=0: without a validation split nothing is monitored and the "
                    f"last weights are kept; remove `{name}`, or keep a validation split"
                )
