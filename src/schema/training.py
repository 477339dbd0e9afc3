"""The settings of training, `training.*`, and of tracking, `tracking.*`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from src.errors import ConfigError
from src.schema.checks import ADDED, LOCATION, NEUTRAL, PLACE, Chosen, at_least, nearest, one_of, require
from src.schema.dataset import DatasetConfig
from src.schema.kinds import Group, Kind
from src.schema.metrics import METRICS, TEST, monitors, recorded_metrics

ALL = "all"


@dataclass(kw_only=True)
class TrainingConfig(Kind, group=Group("training"), kind="training"):
    """The length of a training, its batches, its monitor and its precision."""

    name: str = "default"
    epochs: int = 10
    batch_size: Chosen[int] = 128
    monitor: str = "val_accuracy"
    metrics: list[str] = field(default_factory=lambda: ["accuracy"], metadata=ADDED)  # recorded besides the monitor's
    last_epoch: int | None = None  # training ends after this epoch; schedules still count on `epochs`
    early_stopping_patience: int | None = None  # epochs without a better one before training stops
    precision: str = "float32"  # of the layers' arithmetic; auto: the fastest one of the GPU or the processor
    deterministic: bool = False  # the same results bit for bit on the same machine, somewhat slower
    class_weights: str | None = None  # balanced: every class has the same weight, no matter how many images it has
    initial_weights: str | None = field(default=None, metadata=PLACE)  # a run's id, or a model file
    devices: str = field(default="1", metadata=ADDED)  # GPUs that share each batch, or all
    steps_per_execution: int = 32  # batches per call of the compiled train function, at most
    max_batches: int | None = None  # at most this many batches of each split, for a quick check
    checkpoint_minutes: float | None = field(default=5, metadata=NEUTRAL | ADDED)  # 0: every epoch; null: none
    checkpoint_dir: str | None = field(default=None, metadata=LOCATION | ADDED)  # null: next to the store
    checkpoint_upload: bool = field(default=False, metadata=NEUTRAL | ADDED)  # one, when the process is asked to stop

    def __post_init__(self) -> None:
        super().__post_init__()
        counted = (
            "epochs",
            "last_epoch",
            "batch_size",
            "early_stopping_patience",
            "steps_per_execution",
            "max_batches",
        )
        for key in counted:
            at_least(1, f"training.{key}", getattr(self, key))
        at_least(0, "training.checkpoint_minutes", self.checkpoint_minutes)
        is_count = re.fullmatch("[1-9][0-9]*", self.devices)
        require(bool(is_count) or self.devices == ALL, "training.devices", self.devices, "an integer above 0, or all")
        if self.last_epoch is not None and self.last_epoch > self.epochs:
            raise ConfigError(
                f"training.last_epoch: {self.last_epoch} is after the last of training.epochs={self.epochs}; "
                f"use at most {self.epochs}, or remove `training.last_epoch`"
            )
        one_of(("float32", "auto", "mixed_bfloat16", "mixed_float16"), "training.precision", self.precision)
        if self.monitor.startswith(TEST):
            raise ConfigError(
                f"training.monitor: {self.monitor!r} would choose by the test split, which is scored once, at the end; "
                f"use one of {', '.join(monitors())}"
            )
        check_metric("training.monitor", self.monitor, monitors())
        check_metrics("training.metrics", self.metrics)
        weights = self.class_weights
        require(weights in (None, "balanced"), "training.class_weights", weights, "balanced or null")

    @property
    def recorded(self) -> list[str]:
        """The metrics that are recorded, without a prefix: loss, accuracy, `metrics` and the monitor's."""
        return recorded_metrics(self.metrics, self.monitor)

    @property
    def num_devices(self) -> int | None:
        """The number of devices that share each batch, None for all that there are."""
        return None if self.devices == ALL else int(self.devices)

    @property
    def max_epochs(self) -> int:
        """The number of epochs that are trained if nothing else ends the training."""
        return self.last_epoch or self.epochs


def check_metrics(key: str, names: Sequence[str] | None) -> None:
    """Raise ConfigError unless the names, the value of a setting, are those of one or more metrics."""
    require(names != [], key, names, f"at least one of {', '.join(METRICS)}; or remove `{key}`")
    for name in names or ():
        check_metric(key, name, tuple(METRICS))


def check_classes(key: str, names: Sequence[str], dataset: DatasetConfig) -> None:
    """Raise ConfigError for a metric that needs more classes. Those of a folder are not known before it is read."""
    count = dataset.num_classes
    for name in names:
        if 0 < count < (least := METRICS[name].min_classes):
            raise ConfigError(
                f"{key}: {name} needs at least {least} classes, and {dataset.name} has {count}; use another metric"
            )


def check_metric(key: str, name: str, known: tuple[str, ...]) -> None:
    """Raise ConfigError with the nearest name unless the metric, the value of a setting, is one of the known ones."""
    near = nearest(name, known)
    require(name in known, key, name, f"one of {', '.join(known)}" + (f"; did you mean {near!r}?" if near else ""))


KERAS, MLFLOW = "keras", "mlflow"
MODEL_FORMATS = (KERAS, "h5", "saved_model", MLFLOW)  # the last one is MLflow's own, with a `.keras` file


@dataclass(kw_only=True)
class TrackingConfig(Kind, group=Group("tracking"), kind="tracking"):
    """The store of a run, and how much is recorded in it."""

    name: str
    enabled: bool = True
    uri: str = field(default="sqlite:///mlflow.db", metadata=PLACE)
    experiment: str = "convlab"
    run_name: str | None = None
    system_metrics: bool = False  # processor and memory use, sampled by MLflow
    save_model: bool = True
    on_duplicate: str = "train"  # reuse: return a finished run of the same configuration, code and data instead
    detail: str = "full"  # light: no pictures, tables, environment or logged model, as in the trials of a sweep
    # In which a run keeps its model; with detail=light it has the first one alone
    formats: list[str] = field(default_factory=lambda: [*MODEL_FORMATS], metadata=ADDED)

    def __post_init__(self) -> None:
        super().__post_init__()
        known = f"some of {', '.join(MODEL_FORMATS)}, each once"
        is_usable = set(self.formats) <= set(MODEL_FORMATS) and len(set(self.formats)) == len(self.formats)
        require(is_usable, "tracking.formats", self.formats, known)
        if KERAS not in self.formats:
            raise ConfigError(
                f"tracking.formats: {self.formats} lacks {KERAS}, from which commands read a model; add it, or save "
                "no model: tracking.save_model=false"
            )
        one_of(("train", "reuse"), "tracking.on_duplicate", self.on_duplicate)
        one_of(("full", "light"), "tracking.detail", self.detail)
