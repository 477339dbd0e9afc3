"""Synthetic images: each class is a smooth random pattern, each image is that pattern with a small shift and noise."""

import numpy as np

from src.datasets.arrays import Arrays, Images, Labels
from src.schema import SyntheticConfig

COARSE = 7  # the patterns are random values on a 7x7 grid, enlarged


def load_synthetic(config: SyntheticConfig) -> Arrays:
    """Return the same images for the same config, on any machine."""
    random = np.random.default_rng(config.seed)
    height, width, channels = config.input_shape
    coarse = random.uniform(0, 255, (config.num_classes, COARSE, COARSE, channels))
    rows, columns = (np.arange(side) * COARSE // side for side in (height, width))
    patterns = coarse[:, rows][:, :, columns]
    train_images, train_labels = _draw_images(random, patterns, config.train_size)
    test_images, test_labels = _draw_images(random, patterns, config.test_size)
    return Arrays(
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        validation_size=max(1, config.train_size // 8),
        source="synthetic",
    )


def _draw_images(random: np.random.Generator, patterns: np.ndarray, count: int) -> tuple[Images, Labels]:
    labels = (np.arange(count) % len(patterns)).astype(np.uint8)
    shifts = random.integers(-2, 3, (count, 2))
    noise = random.normal(0, 32, (count, *patterns.shape[1:]))
    shifted = np.stack([np.roll(patterns[label], shift, (0, 1)) for label, shift in zip(labels, shifts, strict=True)])
    return np.clip(shifted + noise, 0, 255).astype(np.uint8), labels
