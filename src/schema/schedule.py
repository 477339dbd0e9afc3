"""The settings of learning-rate schedules, `schedule.*`."""

import math
from dataclasses import dataclass
from typing import ClassVar

from src.errors import ConfigError
from src.schema.checks import at_least, require
from src.schema.kinds import Group, Kind


@dataclass(kw_only=True)
class ScheduleConfig(Kind, group=Group("schedule", key="name", home="src.fitting")):
    """A change of the learning rate during training.

    What a kind builds is a function `(schedule, config, steps_per_epoch)` that returns a `Schedule` of
    `src.fitting.schedules`.
    """

    name: str = ""  # the kind
    needs_validation: ClassVar[bool] = False  # the schedule follows `training.monitor`
    reads_epochs: ClassVar[bool] = True  # the rate depends on `training.epochs`, which must not change then

    def check_epochs(self, epochs: int, is_phase: bool = False) -> None:
        """Raises ConfigError when a training of this many epochs, or a phase of it, is too short for the schedule."""


@dataclass(kw_only=True)
class ConstantConfig(ScheduleConfig, kind="none", builds="src.fitting.schedules:constant"):
    """The optimizer's learning rate, from the first step to the last."""

    reads_epochs = False


@dataclass(kw_only=True)
class ReduceOnPlateauConfig(ScheduleConfig, kind="reduce_on_plateau", builds="src.fitting.schedules:reduce_on_plateau"):
    """Multiplies the learning rate by `factor` after `patience` epochs without a better `training.monitor`."""

    factor: float = 0.5
    patience: int = 2
    min_learning_rate: float = 1e-6
    needs_validation: ClassVar[bool] = True
    reads_epochs = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.factor < 1, "schedule.factor", self.factor, "more than 0 and less than 1")
        at_least(1, "schedule.patience", self.patience)
        at_least(0, "schedule.min_learning_rate", self.min_learning_rate)


@dataclass(kw_only=True)
class CosineConfig(ScheduleConfig, kind="cosine", builds="src.fitting.schedules:cosine"):
    """Linear warm-up from 0, then half a cosine down to `alpha` times the optimizer's learning rate, step by step.

    Reference: Loshchilov and Hutter 2016, "SGDR", equation 5, without restarts.
    """

    warmup_epochs: float = 1.0
    alpha: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(0, "schedule.warmup_epochs", self.warmup_epochs)
        require(0 <= self.alpha <= 1, "schedule.alpha", self.alpha, "a fraction from 0 to 1")

    def check_epochs(self, epochs: int, is_phase: bool = False) -> None:
        _check_shorter("schedule.warmup_epochs", self.warmup_epochs, "leaves nothing of", epochs, is_phase)


@dataclass(kw_only=True)
class StepConfig(ScheduleConfig, kind="step", builds="src.fitting.schedules:step"):
    """Multiplies the learning rate by `factor` after every `step_epochs` epochs."""

    factor: float = 0.1
    step_epochs: int | None = None  # null: a third of the epochs

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.factor < 1, "schedule.factor", self.factor, "more than 0 and less than 1")
        at_least(1, "schedule.step_epochs", self.step_epochs)

    def check_epochs(self, epochs: int, is_phase: bool = False) -> None:
        _check_shorter("schedule.step_epochs", self.step_epochs or 0, "is not less than", epochs, is_phase)


@dataclass(kw_only=True)
class ExponentialConfig(ScheduleConfig, kind="exponential", builds="src.fitting.schedules:exponential"):
    """Multiplies the learning rate by `factor` in the course of each epoch, step by step."""

    factor: float = 0.9
    reads_epochs = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.factor < 1, "schedule.factor", self.factor, "more than 0 and less than 1")


@dataclass(kw_only=True)
class PolynomialConfig(ScheduleConfig, kind="polynomial", builds="src.fitting.schedules:polynomial"):
    """Falls to `alpha` times the optimizer's learning rate with a power of the remaining steps; 1: a straight line."""

    power: float = 1.0
    alpha: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.power < math.inf, "schedule.power", self.power, "a finite number above 0")
        require(0 <= self.alpha <= 1, "schedule.alpha", self.alpha, "a fraction from 0 to 1")


@dataclass(kw_only=True)
class OneCycleConfig(ScheduleConfig, kind="one_cycle", builds="src.fitting.schedules:one_cycle"):
    """Rises to the optimizer's learning rate in a straight line, then falls to nearly nothing in half a cosine.

    Reference: Smith and Topin 2018, "Super-Convergence".
    """

    warmup_fraction: float = 0.3  # of all steps
    initial_fraction: float = 0.04  # of the optimizer's learning rate, at the first step
    alpha: float = 1e-4  # of the optimizer's learning rate, at the last step

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("warmup_fraction", "initial_fraction"):
            value = getattr(self, key)
            require(0 < value < 1, f"schedule.{key}", value, "a fraction, more than 0 and less than 1")
        require(0 <= self.alpha <= 1, "schedule.alpha", self.alpha, "a fraction from 0 to 1")


@dataclass(kw_only=True)
class CosineRestartsConfig(ScheduleConfig, kind="cosine_restarts", builds="src.fitting.schedules:cosine_restarts"):
    """Several cosines down to `alpha` times the optimizer's learning rate; the last one ends with the training.

    Reference: Loshchilov and Hutter 2016, "SGDR".
    """

    cycles: int = 3
    factor: float = 2.0  # by which each cycle is longer than the one before
    height: float = 1.0  # each cycle begins with this fraction of the rate with which the one before began
    alpha: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(2, "schedule.cycles", self.cycles)
        require(1 <= self.factor <= 100, "schedule.factor", self.factor, "from 1 to 100")
        require(0 < self.height <= 1, "schedule.height", self.height, "a fraction, more than 0 and at most 1")
        require(0 <= self.alpha <= 1, "schedule.alpha", self.alpha, "a fraction from 0 to 1")


def _check_shorter(key: str, value: float, problem: str, epochs: int, is_phase: bool) -> None:
    """Raise ConfigError unless this number of epochs is less than that of the training or of the phase."""
    if value < epochs:
        return
    whole = f"a phase of {epochs} epochs" if is_phase else f"training.epochs={epochs}"
    remedy = "use fewer epochs, or schedule=none" if is_phase else "use fewer epochs"
    raise ConfigError(f"{key}: {value:g} {problem} {whole}; {remedy}")
