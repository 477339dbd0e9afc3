"""What the YAML of an optimizer or of a learning-rate schedule may say."""

import math
from dataclasses import dataclass

from src.schema.checks import at_least, require


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
            at_least(0, f"optimizer.{key}", getattr(self, key, 0.0))


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
        at_least(1, "schedule.patience", self.patience)
        at_least(0, "schedule.min_learning_rate", self.min_learning_rate)


@dataclass(kw_only=True)
class CosineConfig(ScheduleConfig):
    """Linear warm-up from 0, then half a cosine down to `alpha` times the optimizer's learning rate, step by step.

    Reference: Loshchilov and Hutter 2016, "SGDR", equation 5, without restarts.
    """

    warmup_epochs: float = 1.0
    alpha: float = 0.0

    def __post_init__(self) -> None:
        at_least(0, "schedule.warmup_epochs", self.warmup_epochs)
        require(0 <= self.alpha <= 1, "schedule.alpha", self.alpha, "a fraction from 0 to 1")
