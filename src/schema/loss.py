"""The settings of losses, `loss.*`."""

import math
from dataclasses import dataclass, field
from typing import ClassVar

from src.schema.checks import ADDED, require
from src.schema.kinds import Group, Kind


@dataclass(kw_only=True)
class LossConfig(Kind, group=Group("loss", key="name", default="cross_entropy", home="src.fitting")):
    """The settings that every loss has.

    What a kind builds is a Keras loss with arguments of these names. Keras calls it with labels, (batch,), integers as
    float32, and probabilities, float32, (batch, classes).
    """

    name: str = ""  # the kind
    takes_shares: ClassVar[bool] = False  # also labels as shares of all classes, (batch, classes)


@dataclass(kw_only=True)
class CrossEntropyConfig(LossConfig, kind="cross_entropy", builds="src.fitting.losses:cross_entropy"):
    """The mean negative logarithm of the right class's probability.

    With `label_smoothing` this share of each label is spread evenly over all classes (Szegedy et al. 2015).
    """

    label_smoothing: float = field(default=0.0, metadata=ADDED)
    takes_shares: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_smoothing(self.label_smoothing)


@dataclass(kw_only=True)
class FocalConfig(LossConfig, kind="focal", builds="src.fitting.losses:focal"):
    """Cross-entropy in which an image counts less, the more certain the network is of its class (Lin et al. 2017).

    Each image counts `alpha` (1 - p)^`gamma`, where p is the probability of its class.
    """

    gamma: float = 2.0
    alpha: float = 0.25
    label_smoothing: float = 0.0
    takes_shares: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.gamma < math.inf, "loss.gamma", self.gamma, "a finite number of at least 0")
        require(0 < self.alpha <= 1, "loss.alpha", self.alpha, "a fraction, more than 0 and at most 1")
        check_smoothing(self.label_smoothing)


def check_smoothing(share: float) -> None:
    """Raise ConfigError unless a label can be smoothed by this share."""
    require(0 <= share < 1, "loss.label_smoothing", share, "a fraction, 0 or more and less than 1")
