"""The settings of losses, `loss.*`."""

from dataclasses import dataclass

from src.schema.kinds import Group, Kind


@dataclass(kw_only=True)
class LossConfig(Kind, group=Group("loss", key="name", default="cross_entropy", home="src.fitting")):
    """The settings that every loss has.

    What a kind builds is a Keras loss with arguments of these names. Keras calls it with labels, (batch,), integers as
    float32, and probabilities, float32, (batch, classes).
    """

    name: str = ""  # the kind


@dataclass(kw_only=True)
class CrossEntropyConfig(LossConfig, kind="cross_entropy", builds="keras.losses:SparseCategoricalCrossentropy"):
    """The mean negative logarithm of the right class's probability."""
