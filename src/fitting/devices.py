"""The devices, threads and number formats that the machine computes with."""

import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import keras
import psutil
import tensorflow as tf

from src.errors import ConfigError
from src.process.gpus import explain_too_few_devices, explain_unused_gpus, gpu_memories, installed_gpus, visible_gpus
from src.process.machine import cores

PROCESSOR = Path("/proc/cpuinfo")
BFLOAT16 = re.compile(r"^(flags|Features)\s*:.*\b(amx_bf16|avx512_bf16|bf16)\b", re.MULTILINE)


def threads() -> int:
    """Return how many threads compute at once: the process's share of the cores."""
    setting = os.environ.get("TF_NUM_INTEROP_THREADS", "")
    return int(setting) if setting.isdecimal() and int(setting) else cores()


class Device(NamedTuple):
    """A device that a training uses.

    Attributes:
        kind: GPU or CPU.
        number: the GPU's name in CUDA_VISIBLE_DEVICES, None for the CPU.
        model: such as `NVIDIA A100-SXM4-40GB`.
        memory: MiB, None if it is not known.
    """

    kind: str
    number: str | None
    model: str
    memory: int | None

    def __str__(self) -> str:
        name = self.kind if self.number is None else f"{self.kind} {self.number}"
        memory = "" if self.memory is None else f", {self.memory / 1024:.1f} GB"
        return f"{name}: {self.model}{memory}"


def used_devices(count: int | None) -> list[Device]:
    """Return the devices of a training, see `find_devices`."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return [Device("CPU", None, processor_model(), psutil.virtual_memory().total // 2**20)]
    names, memories = visible_gpus(os.environ, installed_gpus()), gpu_memories()
    devices = []
    for index, gpu in enumerate(gpus[:count]):
        model = _details(gpu).get("device_name", gpu.name)
        number = names[index] if len(names) == len(gpus) else str(index)
        devices.append(Device("GPU", number, model, memories.get(model)))
    return devices


def processor_model() -> str:
    """Return the name of the processor, its architecture if the system does not say."""
    with suppress(OSError):
        if found := re.search(r"^model name\s*: (.+)$", PROCESSOR.read_text(), re.MULTILINE):
            return found[1]
    return platform.machine()


def unused_gpus() -> list[str]:
    """Return a warning if TensorFlow uses none of the GPUs that this machine has, else an empty list."""
    if tf.config.list_physical_devices("GPU"):
        return []
    sentence = explain_unused_gpus(os.environ)
    return [sentence] if sentence else []


def _details(gpu: Any) -> dict[str, Any]:
    """Return the driver's details of a GPU; any of them may be missing."""
    details: dict[str, Any] = tf.config.experimental.get_device_details(gpu)
    return details


def find_devices(count: int | None) -> list[str]:
    """Return the names of this many devices, or of all if the count is None: GPUs if there are any, else CPUs.

    Raises:
        ConfigError: there are fewer.
    """
    found = [device.name for device in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")]
    if count is not None and count > len(found):
        raise ConfigError(explain_too_few_devices(count, len(found), found[0].split(":")[-2]))
    return found[:count]


def resolved_precision(policy: str) -> str:
    """Return Keras' name of the dtype policy. `auto` is the fastest one that suits the GPUs, or else the processor.

    It is `mixed_bfloat16` on a processor with instructions for it. On other processors bfloat16 is emulated, which is
    slower than float32.
    """
    if policy != "auto":
        return policy
    if gpus := tf.config.list_physical_devices("GPU"):
        return gpu_precision(lowest_capability([_details(gpu) for gpu in gpus]))
    return "mixed_bfloat16" if has_bfloat16() else "float32"


def gpu_precision(capability: tuple[int, int] | None) -> str:
    """Return the fastest precision that suits a GPU.

    Tensor cores compute float16 from compute capability 7.0 on, and bfloat16 from 8.0 on, which is as fast and has the
    range of float32, so that no loss needs scaling. Sources: https://keras.io/api/mixed_precision/ and NVIDIA's
    "Training with Mixed Precision".

    Args:
        capability: NVIDIA's compute capability, such as (8, 0); None if it is not known.
    """
    if capability is None or capability < (7, 0):
        return "float32"
    return "mixed_bfloat16" if capability >= (8, 0) else "mixed_float16"


def lowest_capability(details: Sequence[Mapping[str, Any]]) -> tuple[int, int] | None:
    """Return the lowest compute capability of some GPUs, None if one of them does not say."""
    known = [found["compute_capability"] for found in details if "compute_capability" in found]
    return min(known) if len(known) == len(details) else None


def describe_precision(policy: str) -> str:
    """Return the resolved precision, and for `auto` the reason."""
    resolved = resolved_precision(policy)
    if policy != "auto":
        return resolved
    if gpus := tf.config.list_physical_devices("GPU"):
        return f"{resolved} (auto: {describe_capability(lowest_capability([_details(gpu) for gpu in gpus]))})"
    return f"{resolved} (auto: this processor has {'' if has_bfloat16() else 'no '}bfloat16 instructions)"


def describe_capability(capability: tuple[int, int] | None) -> str:
    """Return the reason for the precision on a GPU."""
    if capability is None:
        return "the GPU does not say what it supports"
    return f"the GPU has compute capability {capability[0]}.{capability[1]}"


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
