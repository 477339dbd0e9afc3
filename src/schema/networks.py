"""The settings of the published architectures, and the smallest image that each takes."""

from dataclasses import dataclass, field
from typing import ClassVar

from src.schema.checks import at_least, one_of, require
from src.schema.model import BatchNormedConfig, ModelConfig

STEMS = ("auto", "imagenet", "small")


@dataclass(kw_only=True)
class AlexNetConfig(ModelConfig, kind="alexnet", builds="src.models.alexnet:build_alexnet"):
    """Five convolutions and two wide hidden layers."""

    dense: list[int] = field(default_factory=lambda: [4096, 4096])  # hidden units
    dropout: float = 0.5  # before every hidden dense layer

    def __post_init__(self) -> None:
        super().__post_init__()
        for index, units in enumerate(self.dense):
            at_least(1, f"model.dense.{index}", units)
        _check_dropout(self.dropout)

    @property
    def smallest_input(self) -> int:
        return 63  # 63 -> 15 -> 7 -> 3 -> 1 through the first convolution and three poolings


@dataclass(kw_only=True)
class StemmedConfig(BatchNormedConfig):
    """A network made for ImageNet whose first layers, the stem, shrink the image at once; a small image needs others.

    `auto` uses the stem of the paper if it leaves the last block a map of at least 2x2, otherwise a small one of the
    same width that keeps the image's size.
    """

    stem: str = "auto"
    dropout: float = 0.0  # before the classifier
    smallest: ClassVar[dict[str, int]] = {"imagenet": 32, "small": 8}
    imagenet_from: ClassVar[int] = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(STEMS, "model.stem", self.stem)
        _check_dropout(self.dropout)

    @property
    def smallest_input(self) -> int:
        return self.smallest["small" if self.stem == "auto" else self.stem]

    def stem_for(self, height: int, width: int) -> str:
        """`imagenet` or `small`, for images of this many pixels."""
        if self.stem != "auto":
            return self.stem
        return "imagenet" if (self.input_size or min(height, width)) >= self.imagenet_from else "small"


@dataclass(kw_only=True)
class GoogLeNetConfig(StemmedConfig, kind="googlenet", builds="src.models.googlenet:build_googlenet"):
    """Nine inception modules."""

    smallest: ClassVar[dict[str, int]] = {"imagenet": 32, "small": 4}


@dataclass(kw_only=True)
class InceptionV3Config(StemmedConfig, kind="inception_v3", builds="src.models.inception_v3:build_inception_v3"):
    """Eleven inception modules with factorized convolutions."""

    paper_size: ClassVar[int] = 299
    smallest: ClassVar[dict[str, int]] = {"imagenet": 75, "small": 7}
    imagenet_from: ClassVar[int] = 107


@dataclass(kw_only=True)
class ResNetConfig(StemmedConfig, kind="resnet", builds="src.models.resnet:build_resnet"):
    """Stages of residual blocks, with or without squeeze-and-excitation; the width doubles with each stage."""

    blocks: list[int] = field(default_factory=lambda: [2, 2, 2, 2])  # in each stage
    bottleneck: bool = False  # blocks of 1x1, 3x3, 1x1 convolutions instead of two 3x3
    filters: int = 64  # of the first stage
    squeeze_excite_ratio: int | None = None  # channels to squeezed channels; null: without

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= len(self.blocks) <= 5, "model.blocks", self.blocks, "one to five stages")
        for index, count in enumerate(self.blocks):
            at_least(1, f"model.blocks.{index}", count)
        at_least(1, "model.filters", self.filters)
        ratio, channels = self.squeeze_excite_ratio, self.filters * (4 if self.bottleneck else 1)
        require(
            ratio is None or 1 <= ratio <= channels,
            "model.squeeze_excite_ratio",
            ratio,
            f"1 to {channels}, the channels of the first stage, or null",
        )


def _check_dropout(dropout: float) -> None:
    require(0 <= dropout < 1, "model.dropout", dropout, "0 or more and less than 1")
