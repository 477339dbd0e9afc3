"""The settings of a network, `model.*`, and which images can pass through it."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from src.errors import ConfigError
from src.schema.checks import ADDED, at_least, one_of, output_size, require
from src.schema.kinds import Group, Kind

MAX_DIVISIBLE_WEIGHTS = 2_000_000  # each part of a batch has a gradient of every one, to be added to the others


@dataclass(kw_only=True)
class ModelConfig(Kind, group=Group("model", key="family", home="src.models")):
    """The settings that every network has.

    What a kind builds is a function `(config, input_shape, num_classes)` that returns the Keras model.
    """

    name: str
    family: str = ""  # the kind
    input_size: int | None = None  # resize to this many pixels a side, inside the model
    paper_size: ClassVar[int] = 224  # pixels a side that the network was published for

    def __post_init__(self) -> None:
        super().__post_init__()
        # MLflow names the logged model after it, and would merge one named `model` with the run's folder of that name.
        allowed = re.fullmatch(r"[\w-]+", self.name) and self.name != "model"
        require(bool(allowed), "model.name", self.name, "letters, digits, _ and -, and not `model`")
        at_least(1, "model.input_size", self.input_size)

    @property
    def smallest_input(self) -> int:
        """Pixels a side of the smallest image that passes through the network."""
        return 1

    def is_divisible(self, height: int, width: int, channels: int) -> bool:
        """Return whether a batch of such images is trained faster in parts, side by side: see `src.fitting.parts`."""
        return False

    def phases(self, epochs: int) -> tuple[int, ...]:
        """Return the number of epochs of each phase that a training of this many epochs consists of."""
        return (epochs,)

    def check_input(self, height: int, width: int) -> None:
        """Raises ConfigError when images of this many pixels cannot pass through the network."""
        side, smallest = self.input_size or min(height, width), self.smallest_input
        if side >= smallest:
            return
        came = f"model.input_size: {side}" if self.input_size else f"dataset.image_size: {height}x{width}"
        raise ConfigError(
            f"{came} is too small for {self.name}, which needs at least {smallest}x{smallest}; set "
            f"model.input_size={self.paper_size} (images are resized inside the model) or choose a smaller network, "
            "such as model=lenet5"
        )


@dataclass(kw_only=True)
class BatchNormedConfig(ModelConfig):
    """A network that has batch normalization, or can have it."""

    # Of its moving averages; 0.9 forgets an older batch in about 20 steps, 0.99 in 200
    batch_norm_momentum: float = field(default=0.99, metadata=ADDED)

    def __post_init__(self) -> None:
        super().__post_init__()
        momentum = self.batch_norm_momentum
        require(0 <= momentum < 1, "model.batch_norm_momentum", momentum, "0 or more and less than 1, such as 0.9")


@dataclass(kw_only=True)
class ConvBlock:
    """A convolution with ReLU or another activation, and the pooling after it."""

    filters: int
    kernel_size: int = 3
    strides: int = 1
    padding: str = "valid"
    pool: str | None = None
    pool_size: int = 2
    batch_norm: bool = False

    def check(self, name: str) -> None:
        """Raises ConfigError for a value out of range; `name` is the block's dotted name."""
        for key in ("filters", "kernel_size", "strides", "pool_size"):
            at_least(1, f"{name}.{key}", getattr(self, key))
        one_of(("valid", "same"), f"{name}.padding", self.padding)
        require(self.pool in (None, "max", "average"), f"{name}.pool", self.pool, "one of max, average, null")


@dataclass(kw_only=True)
class SequentialConfig(BatchNormedConfig, kind="sequential", builds="src.models.sequential:build_sequential"):
    """A plain convnet: convolutions, hidden dense layers, softmax."""

    input_padding: int = 0
    conv: list[ConvBlock] = field(default_factory=list)
    dense: list[int] = field(default_factory=list)  # hidden units
    dropout: float = 0.0  # after every hidden dense layer
    activation: str = "relu"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(0, "model.input_padding", self.input_padding)
        for index, block in enumerate(self.conv):
            block.check(f"model.conv.{index}")
        for index, units in enumerate(self.dense):
            at_least(1, f"model.dense.{index}", units)
        require(0 <= self.dropout < 1, "model.dropout", self.dropout, "0 or more and less than 1")
        one_of(
            ("relu", "tanh", "sigmoid", "elu", "selu", "gelu", "silu", "leaky_relu"),
            "model.activation",
            self.activation,
        )

    @classmethod
    def without_effect(cls, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """The momentum, unless a block has batch normalization."""
        blocks = settings.get("conv", [])
        is_plain = isinstance(blocks, list) and not any(
            isinstance(block, str) or block.get("batch_norm", False) for block in blocks
        )
        return ("batch_norm_momentum",) if is_plain else ()

    @property
    def smallest_input(self) -> int:
        return next(side for side in itertools.count(1) if self._fits(side))

    def is_divisible(self, height: int, width: int, channels: int) -> bool:
        """Not with batch normalization, which looks at the whole batch; nor with gradients of many weights to add."""
        if any(block.batch_norm for block in self.conv):
            return False
        count = 0
        for block in self.conv:
            count += block.kernel_size**2 * channels * block.filters
            channels = block.filters
        side = self.input_size
        last_height, last_width = self._walk(side or height, side or width)
        inputs = last_height * last_width * channels
        for units in self.dense:
            count += inputs * units
            inputs = units
        return count <= MAX_DIVISIBLE_WEIGHTS

    def _fits(self, side: int) -> bool:
        try:
            self._walk(side, side)
        except ConfigError:
            return False
        return True

    def check_input(self, height: int, width: int) -> None:
        if self.input_size is not None:
            height = width = self.input_size
        self._walk(height, width)

    def _walk(self, height: int, width: int) -> tuple[int, int]:
        """Follows an image through the convolutions to its last map; raises ConfigError where it does not fit."""
        height, width = height + 2 * self.input_padding, width + 2 * self.input_padding
        for index, block in enumerate(self.conv):
            height, width = self._after_block(index, block, height, width)
        return height, width

    def _after_block(self, index: int, block: ConvBlock, height: int, width: int) -> tuple[int, int]:
        """Height and width after the block, or ConfigError when its kernel or its pooling is larger than its map."""
        name, smaller = f"model.conv.{index}", min(height, width)
        reaches = f"the {height}x{width} map that reaches block {index} of {self.name}"
        if block.padding == "valid" and block.kernel_size > smaller:
            raise ConfigError(
                f"{name}.kernel_size: {block.kernel_size} is larger than {reaches}; use at most {smaller}, "
                f"{name}.padding=same, less pooling before it, or a larger model.input_size"
            )
        height = output_size(height, block.kernel_size, block.strides, block.padding)
        width = output_size(width, block.kernel_size, block.strides, block.padding)
        if block.pool is None:
            return height, width
        if block.pool_size > min(height, width):
            raise ConfigError(
                f"{name}.pool_size: {block.pool_size} would pool the {height}x{width} map inside block {index} of "
                f"{self.name} to nothing; use at most {min(height, width)}, {name}.pool=null, "
                "or a larger model.input_size"
            )
        pooled = (output_size(side, block.pool_size, block.pool_size, "valid") for side in (height, width))
        return next(pooled), next(pooled)
