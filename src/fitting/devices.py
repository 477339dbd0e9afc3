"""What the machine computes with: its devices, threads, and number formats."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import tensorflow as tf

from src.process.machine import cores

PROCESSOR = Path("/proc/cpuinfo")
BFLOAT16 = re.compile(r"^(flags|Features)\s*:.*\b(amx_bf16|avx512_bf16|bf16)\b", re.MULTILINE)


def threads() -> int:
    """How many threads compute at once: the process's share of the cores."""
    asked = os.environ.get("TF_NUM_INTEROP_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else cores()


def resolved_precision(policy: str) -> str:
    """Keras' name of the dtype policy; `auto` is `mixed_bfloat16` on a processor with instructions for it.

    Elsewhere bfloat16 would be emulated, which is slower than float32. GPUs are not asked: `auto` is float32 with one.
    """
    if policy != "auto":
        return policy
    return "mixed_bfloat16" if not tf.config.list_physical_devices("GPU") and has_bfloat16() else "float32"


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 numbers by itself; False where the system does not tell."""
    try:
        return BFLOAT16.search(PROCESSOR.read_text()) is not None
    except OSError:
        return False


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Layers built inside compute in `mixed_bfloat16` or `mixed_float16`; their weights stay float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(resolved_precision(policy))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
