"""The settings of optimizers, `optimizer.*`, and of learning-rate schedules, `schedule.*`."""

import math
from dataclasses import dataclass
from typing import ClassVar

from src.errors import ConfigError
from src.schema.checks import at_least, require
from src.schema.kinds import Group, Kind


@dataclass(kw_only=True)
class OptimizerConfig(Kind, group=Group("optimizer", key="name", home="src.fitting")):
    """The settings that every optimizer has. What a kind builds is a Keras optimizer with arguments of these names."""

    name: str = ""  # the kind
    learning_rate: float = 1e-3
    clipnorm: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
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
            at_least(0, f"optimizer.{key}", getattr(self, key, 0.0))


@dataclass(kw_only=True)
class RMSpropConfig(OptimizerConfig, kind="rmsprop", builds="keras.optimizers:RMSprop"):
    """RMSprop (Hinton 2012, lecture 6e of "Neural Networks for Machine Learning")."""

    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    centered: bool = False


@dataclass(kw_only=True)
class AdamConfig(OptimizerConfig, kind="adam", builds="keras.optimizers:Adam"):
    """Adam (Kingma and Ba 2014); with `amsgrad` AMSGrad (Reddi et al. 2018)."""

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    amsgrad: bool = False


@dataclass(kw_only=True)
class AdamWConfig(AdamConfig, kind="adamw", builds="keras.optimizers:AdamW"):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2017)."""

    weight_decay: float = 0.004


@dataclass(kw_only=True)
class NadamConfig(OptimizerConfig, kind="nadam", builds="keras.optimizers:Nadam"):
    """Adam with Nesterov's momentum (Dozat 2016)."""

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7


@dataclass(kw_only=True)
class SGDConfig(OptimizerConfig, kind="sgd", builds="keras.optimizers:SGD"):
    """Stochastic gradient descent, with momentum or Nesterov's momentum if it is set."""

    momentum: float = 0.0
    nesterov: bool = False


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
        if self.warmup_epochs < epochs:
            return
        whole = f"a phase of {epochs} epochs" if is_phase else f"training.epochs={epochs}"
        remedy = "use less, or schedule=none" if is_phase else "use less"
        raise ConfigError(f"schedule.warmup_epochs: {self.warmup_epochs:g} leaves nothing of {whole}; {remedy}")
