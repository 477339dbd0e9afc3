"""The settings of optimizers, `optimizer.*`."""

import math
from dataclasses import dataclass, field
from typing import Any

from src.errors import ConfigError
from src.schema.checks import ADDED, at_least, require
from src.schema.kinds import Group, Kind

CLIPS = ("clipnorm", "global_clipnorm", "clipvalue")


@dataclass(kw_only=True)
class OptimizerConfig(Kind, group=Group("optimizer", key="name", home="src.fitting")):
    """The settings that every optimizer has. What a kind builds is a Keras optimizer with arguments of these names."""

    name: str = ""  # the kind
    learning_rate: float = 1e-3
    clipnorm: float | None = None  # the largest norm of each variable's gradient
    global_clipnorm: float | None = field(default=None, metadata=ADDED)  # the largest norm of all gradients together
    clipvalue: float | None = field(default=None, metadata=ADDED)  # the largest absolute value in a gradient
    # L2 penalty: this times the sum of the squared kernels is added to what is minimized. The optimizer scales the
    # gradient of the penalty like any other. Decoupled weight decay shrinks the weights directly.
    l2: float | None = field(default=None, metadata=ADDED)
    weight_decay: float | None = field(default=None, metadata=ADDED)  # decoupled (Loshchilov and Hutter 2017)
    decay_biases: bool = field(default=True, metadata=ADDED)  # weight decay shrinks biases and normalizations too
    # Moving average of the weights, which is validated and kept; null: the weights themselves
    ema_momentum: float | None = field(default=None, metadata=ADDED)
    gradient_accumulation_steps: int | None = field(default=None, metadata=ADDED)  # batches for each update

    def __post_init__(self) -> None:
        super().__post_init__()
        rate = self.learning_rate
        require(
            math.isfinite(rate) and rate > 0, "optimizer.learning_rate", rate, "a finite number above 0, such as 1e-3"
        )
        clips = {key: getattr(self, key) for key in CLIPS if getattr(self, key) is not None}
        for key, clip in clips.items():
            require(math.isfinite(clip) and clip > 0, f"optimizer.{key}", clip, "a number above 0, or null")
        if len(clips) > 1:
            typed = " and ".join(f"optimizer.{key}={clip:g}" for key, clip in clips.items())
            raise ConfigError(f"{typed}: Keras clips gradients in only one way; remove all but one")
        require(
            self.ema_momentum is None or 0 < self.ema_momentum < 1,
            "optimizer.ema_momentum",
            self.ema_momentum,
            "a fraction, more than 0 and less than 1, such as 0.99, or null",
        )
        at_least(2, "optimizer.gradient_accumulation_steps", self.gradient_accumulation_steps)
        for key in ("rho", "momentum", "beta_1", "beta_2"):
            value = getattr(self, key, 0.0)
            require(0 <= value < 1, f"optimizer.{key}", value, "0 or more and less than 1")
        for key in ("epsilon", "weight_decay", "l2"):
            at_least(0, f"optimizer.{key}", getattr(self, key, 0.0))

    @property
    def needs_whole_batches(self) -> list[str]:
        """The settings that are refused on several devices, which share each batch and could give other results."""
        return [
            key for key in (*CLIPS, "ema_momentum", "gradient_accumulation_steps") if getattr(self, key) is not None
        ]

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of what `builds` names, without those that are null."""
        ours = ("decay_biases", "l2")
        given = {key: value for key, value in self.settings().items() if value is not None and key not in ours}
        return given | ({"use_ema": True} if self.ema_momentum is not None else {})


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

    weight_decay: float | None = 0.004


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
