"""The settings of each kind of augmentation, `augmentation.*`."""

from dataclasses import dataclass, field

from src.errors import ConfigError
from src.schema.checks import ADDED, one_of, require
from src.schema.kinds import Group, Kind

MAX_OPS = 10  # of RandAugment: more leave nothing of an image, and each is as slow as the first


@dataclass(kw_only=True)
class AugmentationConfig(Kind, group=Group("augmentation", key="method", default="standard", home="src.fitting")):
    """The settings that every augmentation has.

    What a kind builds is a function `(config, seed)`. It returns a function of TensorFlow operations that changes each
    image of a training batch at random: from uint8, (batch, height, width, channels), 0-255, to the same. Two of them
    with the same seed return the same images, call by call.
    """

    name: str = "none"  # of the option
    method: str = ""  # the kind

    @property
    def changes_images(self) -> bool:
        """True unless the settings leave every image as it is."""
        return True

    @property
    def mirrored_by(self) -> str | None:
        """The dotted name of the setting that mirrors images and can be null; None if no image is mirrored."""
        return None

    @property
    def mixed_by(self) -> str | None:
        """The dotted name of the setting that mixes images and their labels; None if each image has one label."""
        return None


@dataclass(kw_only=True)
class StandardAugmentationConfig(
    AugmentationConfig, kind="standard", builds="src.fitting.augmentation:standard_augmentation"
):
    """Limits of a shift, a rotation, a zoom, mirroring and a change of contrast; RandAugment, erasing and mixing.

    The defaults change nothing. RandAugment (Cubuk et al. 2020) draws `rand_augment_ops` of 14 operations for each
    image. Erasing (Zhong et al. 2020, "Random Erasing") fills a rectangle of 2 to 33 % of the image with noise. What is
    mixed gets the labels of both images, as shares (Zhang et al. 2017, "mixup"; Yun et al. 2019, "CutMix"). The share
    is drawn from a beta distribution: the larger its parameter, the more even.
    """

    shift: float = 0.0  # up to this fraction of the side, in both directions
    rotation: float = 0.0  # up to this many degrees, in both directions
    zoom: float = 0.0  # in or out, up to this fraction of the size
    flip: str | None = None  # horizontal: half of the images are mirrored
    contrast: float = 0.0  # more or less, up to this fraction
    mixup: float = field(default=0.0, metadata=ADDED)  # parameter of the distribution; images are blended
    cutmix: float = field(default=0.0, metadata=ADDED)  # the same; a rectangle of another image is pasted
    rand_augment: float = field(default=0.0, metadata=ADDED)  # the strength, as a share of the largest changes; 0: none
    rand_augment_ops: int = field(default=2, metadata=ADDED)  # operations for each image, if there is a strength
    erasing: float = field(default=0.0, metadata=ADDED)  # in this share of the images, a rectangle becomes noise
    fill: str = "constant"  # of the empty edges: constant (black), nearest (pixel), or reflect (the image mirrored)

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("shift", "zoom", "contrast"):
            value = getattr(self, key)
            require(0 <= value < 1, f"augmentation.{key}", value, "a fraction, 0 or more and less than 1")
        require(0 <= self.rotation <= 180, "augmentation.rotation", self.rotation, "0 to 180 degrees")
        require(self.flip in (None, "horizontal"), "augmentation.flip", self.flip, "horizontal or null")
        one_of(("constant", "nearest", "reflect"), "augmentation.fill", self.fill)
        for key, meaning in (("rand_augment", "such as 0.3; 0 changes nothing"), ("erasing", "such as 0.25")):
            value = getattr(self, key)
            require(0 <= value <= 1, f"augmentation.{key}", value, f"a fraction from 0 to 1, {meaning}")
        operations = self.rand_augment_ops
        require(1 <= operations <= MAX_OPS, "augmentation.rand_augment_ops", operations, f"1 to {MAX_OPS} operations")
        for key in ("mixup", "cutmix"):
            value = getattr(self, key)
            require(0 <= value <= 1, f"augmentation.{key}", value, "0 to 1, such as 0.2; 0 mixes nothing")
        if self.mixup and self.cutmix:
            raise ConfigError(
                f"augmentation.mixup={self.mixup:g} and augmentation.cutmix={self.cutmix:g}: images are mixed in one "
                "way; set one of them to 0"
            )

    @property
    def changes_images(self) -> bool:
        changes = (self.shift, self.rotation, self.zoom, self.flip, self.contrast, self.rand_augment, self.erasing)
        return any(changes) or self.mixed_by is not None

    @property
    def mirrored_by(self) -> str | None:
        return "augmentation.flip" if self.flip else None

    @property
    def mixed_by(self) -> str | None:
        return next((f"augmentation.{key}" for key in ("mixup", "cutmix") if getattr(self, key)), None)
