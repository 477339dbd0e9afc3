"""The settings of a network with a pretrained backbone."""

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from src.errors import ConfigError
from src.schema.checks import PLACE, at_least, one_of, require
from src.schema.model import ModelConfig


class Backbone(NamedTuple):
    """Facts that Keras documents about a network of `keras.applications`.

    Attributes:
        scaling: how its weights expect the pixels: `tf` from -1 to 1; `torch` minus the mean of ImageNet and divided by
            its deviation; `caffe` blue first, minus the mean; `none` unchanged, from 0 to 255.
        smallest: pixels a side of the smallest image that it takes.
    """

    scaling: str
    smallest: int = 32


def _family(scaling: str, names: str, smallest: int = 32) -> dict[str, Backbone]:
    return dict.fromkeys(names.split(), Backbone(scaling, smallest))


BACKBONES = (
    _family("none", "ConvNeXtTiny ConvNeXtSmall ConvNeXtBase ConvNeXtLarge ConvNeXtXLarge")
    | _family("torch", "DenseNet121 DenseNet169 DenseNet201")
    | _family("none", " ".join(f"EfficientNetB{size}" for size in range(8)))
    | _family("none", " ".join(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")))
    | _family("tf", "InceptionV3 InceptionResNetV2", smallest=75)
    | _family("tf", "MobileNet MobileNetV2 NASNetMobile NASNetLarge ResNet50V2 ResNet101V2 ResNet152V2")
    | _family("none", "MobileNetV3Small MobileNetV3Large")
    | _family("caffe", "ResNet50 ResNet101 ResNet152 VGG16 VGG19")
    | _family("tf", "Xception", smallest=71)
)


@dataclass(kw_only=True)
class TransferConfig(ModelConfig, kind="transfer", builds="src.models.transfer:build_transfer"):
    """A backbone of `keras.applications` with a new classifier on top.

    `feature_extraction` trains the classifier alone. `fine_tuning` does that for `head_epochs` of `training.epochs`,
    then also trains the last blocks of the backbone, at a lower learning rate.
    """

    backbone: str
    # imagenet, or a weights file of the backbone without its top; null: random ones
    weights: str | None = field(default="imagenet", metadata=PLACE)
    mode: str = "feature_extraction"
    head_epochs: int = 3
    unfrozen_blocks: int = 1
    learning_rate_factor: float = 0.1  # of optimizer.learning_rate, for the epochs after `head_epochs`
    dropout: float = 0.2  # before the classifier
    paper_size: ClassVar[int] = 96

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.backbone not in BACKBONES:
            raise ConfigError(f"model.backbone: no backbone {self.backbone!r}; known: {', '.join(BACKBONES)}")
        one_of(("feature_extraction", "fine_tuning"), "model.mode", self.mode)
        at_least(1, "model.head_epochs", self.head_epochs)
        at_least(1, "model.unfrozen_blocks", self.unfrozen_blocks)
        factor = self.learning_rate_factor
        require(0 < factor <= 1, "model.learning_rate_factor", factor, "more than 0 and at most 1")
        require(0 <= self.dropout < 1, "model.dropout", self.dropout, "0 or more and less than 1")
        if self.mode == "fine_tuning" and self.weights is None:
            raise ConfigError("model.weights=null: random weights cannot be fine-tuned; use imagenet, or a file")

    @property
    def smallest_input(self) -> int:
        return BACKBONES[self.backbone].smallest

    def phases(self, epochs: int) -> tuple[int, ...]:
        if self.mode == "feature_extraction":
            return (epochs,)
        if self.head_epochs >= epochs:
            raise ConfigError(
                f"model.head_epochs: {self.head_epochs} leaves nothing of training.epochs={epochs} for fine-tuning; "
                "use less, or model.mode=feature_extraction"
            )
        return (self.head_epochs, epochs - self.head_epochs)
