"""Checkpoints of a small training, and what a folder of them contains."""

from pathlib import Path
from typing import Any

import numpy as np

from src.checkpointing import Array, Arrays, Checkpoint, newest

ORIGIN = {"settings": {"optimizer.name": "adam", "training.monitor": None}, "data": "5e1f"}


def checkpoint(epoch: int, best: int = 1, size: int = 6) -> Checkpoint:
    generator = np.random.default_rng(epoch)
    values: list[Array] = [
        generator.normal(size=(size, 4)).astype(np.float32),
        np.array(epoch, np.int64),
        np.zeros((0, 3), np.uint32),
    ]
    state = {
        "history": {"loss": [1 / (3 + number) for number in range(epoch)], "a/b ü": [float("inf")] * epoch},
        "callbacks": [{"best": 0.1 + 0.2, "wait": 1, "best_weights": None, "is_on": True}],
    }
    arrays = {"variables": Arrays(epoch, values), "best": Arrays(best, [np.full((2, 2), best, np.float16)])}
    return Checkpoint(epoch, state, arrays)


def content_of(found: Checkpoint) -> Any:
    arrays = {
        name: (epoch, [(value.dtype, value.shape, value.tobytes()) for value in values])
        for name, (epoch, values) in found.arrays.items()
    }
    return found.epoch, found.state, arrays


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def found_in(folder: Path, warnings: list[str] | None = None) -> Checkpoint:
    found = newest(folder, ([] if warnings is None else warnings).append)
    assert found is not None
    return found[0]


def flip(path: Path, position: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)
