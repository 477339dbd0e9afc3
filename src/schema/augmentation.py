"""What the YAML of an augmentation may say."""

from dataclasses import dataclass

from src.schema.checks import one_of, require


@dataclass(kw_only=True)
class AugmentationConfig:
    """How far the images of a training batch may be changed at random; the defaults change nothing."""

    name: str = "none"
    shift: float = 0.0  # up to this fraction of the side, both ways
    rotation: float = 0.0  # up to this many degrees, both ways
    zoom: float = 0.0  # in or out, up to this fraction of the size
    flip: str | None = None  # `horizontal`: every other image is mirrored
    contrast: float = 0.0  # more or less, up to this fraction
    fill: str = "constant"  # what moves in at the edges: black, the nearest pixel, or the image mirrored

    def __post_init__(self) -> None:
        for key in ("shift", "zoom", "contrast"):
            value = getattr(self, key)
            require(0 <= value < 1, f"augmentation.{key}", value, "a fraction, 0 or more and less than 1")
        require(0 <= self.rotation <= 180, "augmentation.rotation", self.rotation, "0 to 180 degrees")
        require(self.flip in (None, "horizontal"), "augmentation.flip", self.flip, "horizontal or null")
        one_of(("constant", "nearest", "reflect"), "augmentation.fill", self.fill)

    @property
    def changes_images(self) -> bool:
        return bool(self.shift or self.rotation or self.zoom or self.flip or self.contrast)
