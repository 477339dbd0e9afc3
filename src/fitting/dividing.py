"""The decision to divide batches among the cores. It is made before TensorFlow is imported."""

from src.process.machine import cores
from src.schema import Config

MAX_PARTS = 4  # of a batch: with more cores TensorFlow divides operations, as it does by default


def divides_batches(config: Config) -> bool:
    """Return whether this machine trains the network in parts of a batch, one on each core: see `src.fitting.parts`."""
    return config.is_divisible and cores() <= MAX_PARTS
