"""The GPUs that processes may use, found without TensorFlow, and how the workers of a sweep divide them.

A GPU has the name that CUDA_VISIBLE_DEVICES has for it: its index, its UUID, or the UUID of one of its MIG devices, the
parts into which a large GPU can be divided. Source: https://docs.nvidia.com/deploy/topics/topic_5_2_1.html
"""

import functools
import json
import math
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from src.errors import ConfigError
from src.redact import redact

VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"
NO_GPU = "-1"
HIDING_VALUES = ("", NO_GPU, "none", "NoDevFiles")  # each hides all GPUs; Slurm sets NoDevFiles
DRIVER = Path("/proc/driver/nvidia")  # exists where NVIDIA's driver is loaded, in a container too
MAX_SHOWN = 60  # characters of a wrong value in a message
NVIDIA_SMI_SECONDS = 60  # the driver is slow to start on machines with many GPUs

_GPU = re.compile(r"^GPU \d+: (?P<model>.+) \(UUID: (?P<uuid>\S+)\)")
_MIG = re.compile(r"^\s+MIG .+\(UUID: (?P<uuid>\S+)\)")
_NAME = re.compile(r"\d+|GPU-[\da-fA-F-]+|MIG-[\da-zA-Z/-]+")


class Gpu(NamedTuple):
    """A GPU of this machine.

    Attributes:
        model: such as `NVIDIA A100-SXM4-40GB`.
        uuid: such as `GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77`.
        parts: the UUIDs of its MIG devices, empty for an undivided GPU.
    """

    model: str
    uuid: str
    parts: tuple[str, ...] = ()


def installed_gpus() -> list[Gpu]:
    """Return the GPUs that NVIDIA's driver lists; none without its program `nvidia-smi` in the PATH."""
    return read_listing(run_nvidia_smi("-L"))


def gpu_memories() -> dict[str, int]:
    """Return the memory of each model of GPU in this machine, in MiB."""
    lines = run_nvidia_smi("--query-gpu=name,memory.total", "--format=csv,noheader,nounits").splitlines()
    rows = [line.rsplit(", ", 1) for line in lines]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdecimal()}


def read_listing(text: str) -> list[Gpu]:
    """Return the GPUs in the output of `nvidia-smi -L`."""
    gpus: list[Gpu] = []
    for line in text.splitlines():
        if found := _GPU.match(line):
            gpus.append(Gpu(found["model"], found["uuid"]))
        elif gpus and (found := _MIG.match(line)):
            gpus[-1] = gpus[-1]._replace(parts=(*gpus[-1].parts, found["uuid"]))
    return gpus


def run_nvidia_smi(*arguments: str) -> str:
    """Return what NVIDIA's program prints, an empty string if it is missing or fails."""
    program = shutil.which("nvidia-smi")
    return "" if program is None else _output(program, arguments)


@functools.cache  # it takes up to seconds, and a process asks it for each training
def _output(program: str, arguments: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=NVIDIA_SMI_SECONDS, check=True
        )
    except (OSError, ValueError, subprocess.SubprocessError):  # the driver is not loaded, for example
        return ""
    return done.stdout


def visible_gpus(environment: Mapping[str, str], installed: Sequence[Gpu]) -> list[str]:
    """Return the names of the GPUs that a process with this environment may use.

    Args:
        environment: CUDA_VISIBLE_DEVICES is read. Its names are kept as they are.
        installed: the GPUs of the machine. If there are none, the names are trusted: some containers have GPUs but not
            the program that lists them.

    Raises:
        ConfigError: CUDA_VISIBLE_DEVICES contains a name that is not that of a GPU, or a GPU that does not exist. CUDA
            would hide it and all GPUs after it.
    """
    value = environment.get(VISIBLE_DEVICES)
    if value is not None:
        return _read_names(value, installed)
    if not any(gpu.parts for gpu in installed):
        return [str(index) for index in range(len(installed))]
    return [name for gpu in installed for name in gpu.parts or (gpu.uuid,)]


def _read_names(value: str, installed: Sequence[Gpu]) -> list[str]:
    names = [name.strip() for name in value.split(",")]
    if value.strip() in HIDING_VALUES:
        return []
    names = names[: names.index(NO_GPU)] if NO_GPU in names else names  # CUDA ignores what follows
    for name in names:
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{VISIBLE_DEVICES}={value}: got {name!r}, expected numbers such as 0,1 or UUIDs such as GPU-8932f937; "
                f"use -1 for no GPU, or unset {VISIBLE_DEVICES} for all of them"
            )
        if names.count(name) > 1:
            raise ConfigError(f"{VISIBLE_DEVICES}={value}: {name} is listed twice; list each GPU once")
        if installed and not _exists(name, installed):
            numbers = ", ".join(str(index) for index in range(len(installed)))
            raise ConfigError(
                f"{VISIBLE_DEVICES}={value}: this machine has no GPU {name}, only {numbers} (nvidia-smi -L lists "
                f"them); use these, or unset {VISIBLE_DEVICES} for all of them"
            )
    return names


def _exists(name: str, installed: Sequence[Gpu]) -> bool:
    """Return True if a GPU has this name; the beginning of a UUID is enough."""
    if name.isdecimal():
        return int(name) < len(installed)
    uuids = [uuid for gpu in installed for uuid in (gpu.uuid, *gpu.parts)]
    return any(uuid.lower().startswith(name.lower()) for uuid in uuids)


def explain_unused_gpus(environment: Mapping[str, str]) -> str | None:
    """Return why a training uses no GPU although there is one to use; TensorFlow has found none. None without a GPU.

    Raises:
        ConfigError: CUDA_VISIBLE_DEVICES is not a list of GPUs.
    """
    installed = installed_gpus()
    if not installed or not visible_gpus(environment, installed):
        return None
    return (
        f"this machine has a GPU ({installed[0].model}), but TensorFlow cannot use it and trains on the CPU; install "
        f"NVIDIA's libraries with `make setup GPU=1`, or set {VISIBLE_DEVICES}={NO_GPU} to use the CPU without this "
        "message"
    )


def divide_gpus(gpus: Sequence[str], workers: int, per_worker: float | None) -> list[str | None]:
    """Return the CUDA_VISIBLE_DEVICES of each worker, None without a GPU, where it stays as it is.

    Args:
        gpus: the names of the GPUs that the workers may use.
        workers: how many there are.
        per_worker: GPUs of a worker: an integer, or a fraction if several workers share one. None gives each worker
            one, which they share if there are fewer GPUs than workers.

    Raises:
        ConfigError: the workers need more GPUs than there are.
    """
    if per_worker == 0:
        return [NO_GPU] * workers
    if per_worker is None and not gpus:
        return [None] * workers
    count = max(1, int(per_worker or 1))
    needed = _needed_gpus(workers, per_worker)
    if needed > len(gpus):
        raise ConfigError(
            f"hydra.sweeper.gpus_per_worker={per_worker:g}: hydra.sweeper.n_jobs={workers} needs {needed} "
            f"GPU{'s' * (needed != 1)}, but this command can use {len(gpus) or 'none'}; use a smaller "
            "hydra.sweeper.n_jobs, or remove `hydra.sweeper.gpus_per_worker`, so that workers share GPUs"
        )
    if count > 1:
        return [",".join(gpus[worker * count : (worker + 1) * count]) for worker in range(workers)]
    return [gpus[worker % len(gpus)] for worker in range(workers)]


def _needed_gpus(workers: int, per_worker: float | None) -> int:
    if per_worker is None:
        return 1
    if per_worker >= 1:
        return workers * int(per_worker)
    sharing = math.floor(1 / per_worker + 1e-9)  # 1 / 0.1 may be 9.999...
    return math.ceil(workers / sharing)


def describe_sharing(divided: Sequence[str | None]) -> str | None:
    """Return a line if several workers use the same GPU, else None."""
    gpus = {names for names in divided if names not in (None, NO_GPU)}
    if not gpus or len(gpus) == len(divided):
        return None
    return f"{len(divided)} workers share {len(gpus)} GPU{'s' * (len(gpus) > 1)}"


def check_count(count: int | None, environment: Mapping[str, str]) -> None:
    """Raise ConfigError if `training.devices` is larger than the number of GPUs, as far as that is known.

    It is not known where the driver is loaded, but not the program that lists GPUs.
    """
    gpus = visible_gpus(environment, installed_gpus())
    if count is None or count <= max(1, len(gpus)) or (not gpus and DRIVER.exists()):
        return
    raise ConfigError(explain_too_few_devices(count, max(1, len(gpus)), "GPU" if gpus else "CPU"))


def check_gpus_of_worker(count: int | None, divided: Sequence[str | None]) -> None:
    """Raise ConfigError if `training.devices` is larger than the number of GPUs that each worker has.

    Args:
        count: the number of devices, None for all.
        divided: the CUDA_VISIBLE_DEVICES of each worker, None without a GPU.
    """
    if None in divided and DRIVER.exists():  # how many there are is not known
        return
    found = min(0 if gpus in (None, NO_GPU) else len(str(gpus).split(",")) for gpus in divided)
    if count is None or count <= max(1, found):
        return
    if not found:
        raise ConfigError(explain_too_few_devices(count, 1, "CPU"))
    raise ConfigError(
        f"training.devices={count}: each worker has {found} GPU{'s' * (found > 1)}; set "
        f"hydra.sweeper.gpus_per_worker={count}, or use training.devices=all"
    )


def explain_too_few_devices(wanted: int, found: int, kind: str) -> str:
    """Return the message for `training.devices` with more devices than there are: GPUs, or else the CPU."""
    if kind == "GPU":
        gpus = "is 1 GPU" if found == 1 else f"are {found} GPUs"
        return f"training.devices={wanted}: there {gpus} to use; use training.devices={found} or all"
    return (
        f"training.devices={wanted}: no GPU can be used, and the CPU counts as {found} device; use "
        f"training.devices={found} or all, or install the GPU's libraries: make setup GPU=1"
    )


def check_cluster(environment: Mapping[str, str]) -> None:
    """Raise ConfigError if TF_CONFIG asks TensorFlow to train on several machines.

    MultiWorkerMirroredStrategy does not work with Keras 3: https://github.com/keras-team/keras/issues/20585
    """
    value = environment.get("TF_CONFIG", "").strip()
    if not value:
        return
    try:
        cluster = json.loads(value).get("cluster", {})
        count = sum(len(addresses) for addresses in cluster.values())
    except (AttributeError, TypeError, ValueError):
        shown = redact(value)
        shown = shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}..."
        raise ConfigError(
            f"TF_CONFIG: got {shown!r}, expected JSON with the addresses of a cluster; unset it"
        ) from None
    if count > 1:
        raise ConfigError(
            f"TF_CONFIG names {count} processes: one training on several machines (MultiWorkerMirroredStrategy) does "
            "not work with Keras 3; unset TF_CONFIG. training.devices=all uses every GPU of one machine, and a sweep "
            "uses several machines"
        )
