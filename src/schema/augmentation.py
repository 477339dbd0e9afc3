"""The settings of an augmentation, `augmentation.*`."""

from dataclasses import dataclass

from src.schema.checks import one_of, require
from src.schema.kinds import Group, Kind


@dataclass(kw_only=True)
class AugmentationConfig(Kind, group=Group("augmentation"), kind="augmentation"):
    """Limits of the random changes to the images of a training batch. The defaults change nothing."""

    name: str = "none"
    shift: float = 0.0  # up to this fraction of the side, in both directions
    rotation: float = 0.0  # up to this many degrees, in both directions
    zoom: float = 0.0  # in or out, up to this fraction of the size
    flip: str | None = None  # horizontal: half of the images are mirrored
    contrast: float = 0.0  # more or less, up to this fraction
    fill: str = "constant"  # of the empty edges: constant (black), nearest (pixel), or reflect (the image mirrored)

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("shift", "zoom", "contrast"):
            value = getattr(self, key)
            require(0 <= value < 1, f"augmentation.{key}", value, "a fraction, 0 or more and less than 1")
        require(0 <= self.rotation <= 180, "augmentation.rotation", self.rotation, "0 to 180 degrees")
        require(self.flip in (None, "horizontal"), "augmentation.flip", self.flip, "horizontal or null")
        one_of(("constant", "nearest", "reflect"), "augmentation.fill", self.fill)

    @property
    def changes_images(self) -> bool:
        return bool(self.shift or self.rotation or self.zoom or self.flip or self.contrast)
