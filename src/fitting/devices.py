"""Threads and number formats that the machine computes with."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import tensorflow as tf

from src.errors import ConfigError
from src.process.gpus import too_few_devices
from src.process.machine import cores

PROCESSOR = Path("/proc/cpuinfo")
BFLOAT16 = re.compile(r"^(flags|Features)\s*:.*\b(amx_bf16|avx512_bf16|bf16)\b", re.MULTILINE)


def threads() -> int:
    """Return how many threads compute at once: the process's share of the cores."""
    setting = os.environ.get("TF_NUM_INTEROP_THREADS", "")
    return int(setting) if setting.isdecimal() and int(setting) else cores()


def find_devices(count: int | None) -> list[str]:
    """Return the names of as many devices, or of all: GPUs if there is one, else CPUs.

    Raises:
        ConfigError: there are fewer.
    """
    found = [device.name for device in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")]
    if count is not None and count > len(found):
        raise ConfigError(too_few_devices(count, len(found), found[0].split(":")[-2]))
    return found[:count]


def resolved_precision(policy: str) -> str:
    """Return Keras' name of the dtype policy. `auto` is `mixed_bfloat16` on a processor with instructions for it.

    On other processors bfloat16 is emulated, which is slower than float32. With a GPU, `auto` is float32.
    """
    if policy != "auto":
        return policy
    return "mixed_bfloat16" if not tf.config.list_physical_devices("GPU") and has_bfloat16() else "float32"


def describe_precision(policy: str) -> str:
    """Return the resolved precision, and for `auto` the reason."""
    resolved = resolved_precision(policy)
    if policy != "auto":
        return resolved
    if tf.config.list_physical_devices("GPU"):
        return f"{resolved} (auto: there is a GPU)"
    return f"{resolved} (auto: this processor has {'' if has_bfloat16() else 'no '}bfloat16 instructions)"


def has_bfloat16() -> bool:
    """Return whether the processor has instructions for bfloat16; False where the system does not say."""
    try:
        return BFLOAT16.search(PROCESSOR.read_text()) is not None
    except OSError:
        return False


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Let layers that are built inside the block compute in this precision. Their weights are float32 in any case."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(resolved_precision(policy))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
