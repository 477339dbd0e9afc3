"""The settings of `src.dream` and `src.style`, which make pictures with a trained network."""

import math
from dataclasses import dataclass, field
from pathlib import PurePath

from src.errors import ConfigError
from src.schema.checks import PLACE, REQUEST, at_least, one_of, require
from src.schema.verbs import TrackedModelConfig

MIN_SIDE, MAX_SIDE = 16, 8_192  # pixels
MAX_STEPS = 100_000
OUTPUT_SUFFIXES = (".png", ".jpg", ".jpeg")
STEPS = {"adam": 200, "lbfgs": 20}  # of `style.steps=null`


@dataclass(kw_only=True)
class ArtConfig(TrackedModelConfig):
    """A trained network, and what all pictures that are made with one have in common."""

    size: int = 512  # pixels of the picture's longest side, at most
    seed: int = 1
    checkpoint_minutes: float | None = 1  # 0: after every step; null: none
    output: str = field(default="picture.png", metadata=PLACE)
    resume: str | None = field(default=None, metadata=REQUEST)  # the id of an interrupted run, which is continued

    def __post_init__(self) -> None:
        if self.resume is None:
            super().__post_init__()
            self.check_pictures()
        is_size = MIN_SIDE <= self.size <= MAX_SIDE
        require(is_size, "size", self.size, f"{MIN_SIDE} to {MAX_SIDE:,} pixels, such as 512")
        require(0 <= self.seed < 2**32, "seed", self.seed, "an integer from 0 to 4294967295")
        at_least(0, "checkpoint_minutes", self.checkpoint_minutes)
        is_picture = PurePath(self.output).suffix.lower() in OUTPUT_SUFFIXES
        require(is_picture, "output", self.output, f"a file name that ends with {', '.join(OUTPUT_SUFFIXES)}")

    def check_pictures(self) -> None:
        """Raise ConfigError if a picture is not named that is needed."""

    @property
    def pictures(self) -> dict[str, str]:
        """The files that are read: the setting that names each, and its value."""
        return {}


@dataclass(kw_only=True)
class DreamConfig(ArtConfig):
    """A picture that is changed until the layers of a network are strongly active (DeepDream)."""

    image: str | None = field(default=None, metadata=PLACE)  # null: begin with noise
    layers: dict[str, float] = field(default_factory=dict)  # layer -> weight; empty: later convolutions
    octaves: int = 4  # sizes of the picture, each larger than the one before
    octave_scale: float = 1.4
    steps: int = 20  # in each octave
    step_size: float = 0.01  # the mean change of a step, as a share of the range from black to white
    jitter: int = 32  # pixels by which the picture is shifted at most, at random, in each step
    tile: int | None = None  # pixels: compute gradients in tiles of at most this side, which needs less memory

    def __post_init__(self) -> None:
        super().__post_init__()
        check_weights("layers", self.layers)
        require(1 <= self.octaves <= 20, "octaves", self.octaves, "1 to 20 sizes of the picture, such as 4")
        is_scale = 1 < self.octave_scale <= 10
        require(is_scale, "octave_scale", self.octave_scale, "a number above 1 and up to 10, such as 1.4")
        require(1 <= self.steps <= MAX_STEPS, "steps", self.steps, f"1 to {MAX_STEPS:,}, such as 20")
        require(0 < self.step_size <= 1, "step_size", self.step_size, "a number above 0 and up to 1, such as 0.01")
        at_least(0, "jitter", self.jitter)
        is_tile = self.tile is None or self.tile >= MIN_SIDE
        require(is_tile, "tile", self.tile, f"at least {MIN_SIDE} pixels, or null for the whole picture at once")

    @property
    def pictures(self) -> dict[str, str]:
        """The files that are read."""
        return {} if self.image is None else {"image": self.image}


@dataclass(kw_only=True)
class StyleConfig(ArtConfig):
    """A picture with the content of one picture and the style of another (neural style transfer)."""

    content: str | None = field(default=None, metadata=PLACE)
    style: str | None = field(default=None, metadata=PLACE)
    content_layer: str | None = None  # null: a convolution in the second half of the network
    style_layers: dict[str, float] = field(default_factory=dict)  # layer -> weight; empty: convolutions of all depths
    content_weight: float = 1.0
    style_weight: float = 1.0
    tv_weight: float = 1.0  # of the total variation: a higher one gives a smoother picture
    init: str = "content"  # or noise
    method: str = "adam"  # or lbfgs
    learning_rate: float = 0.02  # of Adam, as a share of the range from black to white
    steps: int | None = None  # null: 200 of Adam; 20 of L-BFGS, each of which computes up to 20 gradients
    picture_steps: int = 20  # steps between two pictures that the run keeps

    def __post_init__(self) -> None:
        super().__post_init__()
        check_weights("style_layers", self.style_layers)
        for key in ("content_weight", "style_weight", "tv_weight"):
            at_least(0, key, getattr(self, key))
        if not self.content_weight and not self.style_weight:
            raise ConfigError(
                "content_weight=0 with style_weight=0: nothing is left to compare with; raise one of them"
            )
        one_of(("content", "noise"), "init", self.init)
        one_of(tuple(STEPS), "method", self.method)
        is_rate = 0 < self.learning_rate <= 1
        require(is_rate, "learning_rate", self.learning_rate, "a number above 0 and up to 1, such as 0.02")
        is_count = self.steps is None or 1 <= self.steps <= MAX_STEPS
        require(is_count, "steps", self.steps, f"1 to {MAX_STEPS:,}, such as {STEPS[self.method]}, or null")
        at_least(1, "picture_steps", self.picture_steps)

    def check_pictures(self) -> None:
        """Raise ConfigError if a picture is not named."""
        for key in ("content", "style"):
            if getattr(self, key) is None:
                raise ConfigError(f"{key}=null: name a picture: {key}=FILE")

    @property
    def num_steps(self) -> int:
        """The number of steps, the default of the optimizer if none is set."""
        return self.steps or STEPS[self.method]

    @property
    def pictures(self) -> dict[str, str]:
        """The files that are read."""
        return {"content": str(self.content), "style": str(self.style)}


def check_weights(key: str, weights: dict[str, float]) -> None:
    """Raise ConfigError unless the weights, the value of a setting, are positive numbers."""
    for name, weight in weights.items():
        require(math.isfinite(weight) and weight > 0, f"{key}.{name}", weight, "a weight above 0, such as 1")
