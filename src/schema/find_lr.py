"""The settings of `src.find_lr`: those of a training, and a few of its own."""

from dataclasses import dataclass, field, replace
from typing import Self

from src.errors import ConfigError
from src.schema.checks import PLACE, require
from src.schema.run import Config
from src.schema.schedule import ConstantConfig

MIN_STEPS = 50  # fewer batches with growing rates say little: each loss is noisy
MAX_STEPS = 10_000  # the averages of all losses are computed after each batch
MIN_SPAN = 10  # ratio of the largest to the smallest rate
SMALLEST, LARGEST = 1e-30, 1e30  # what a float32 holds, with room for computing with it


@dataclass(kw_only=True)
class FindLrConfig(Config):
    """A training, and a range of learning rates to test on it."""

    min_lr: float = 1e-5
    max_lr: float = 10.0
    steps: int = 300  # batches, each with a larger rate than the one before
    output: str = field(default="learning_rate", metadata=PLACE)  # the folder for the picture and the table

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resume is not None:
            raise ConfigError(f"resume={self.resume}: find_lr begins a training of its own; remove `resume`")
        limits = f"from {SMALLEST:g} to {LARGEST:g}"
        require(SMALLEST <= self.min_lr <= LARGEST, "min_lr", self.min_lr, f"a number {limits}, such as 1e-5")
        require(
            MIN_SPAN * self.min_lr <= self.max_lr <= LARGEST,
            "max_lr",
            self.max_lr,
            f"at least {MIN_SPAN} times min_lr={self.min_lr:g}, and at most {LARGEST:g}",
        )
        require(
            MIN_STEPS <= self.steps <= MAX_STEPS,
            "steps",
            self.steps,
            f"{MIN_STEPS} to {MAX_STEPS:,} batches, such as 300",
        )

    @property
    def rates(self) -> list[float]:
        """The learning rate of each batch. Each is the one before times the same factor."""
        factor = (self.max_lr / self.min_lr) ** (1 / (self.steps - 1))
        return [self.min_lr * factor**step for step in range(self.steps)]

    def without_schedule(self) -> Self:
        """Return the config of the test, which sets the rate of each batch: no schedule, and one batch in each call."""
        return replace(self, schedule=ConstantConfig(), training=replace(self.training, steps_per_execution=1))
