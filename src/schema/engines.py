"""The engines of a sweep: where its workers run, `hydra/sweeper/engine=NAME`.

The keys of `slurm` have the names that Hydra's launcher for Slurm gives them.
"""

import math
from dataclasses import dataclass, field
from typing import ClassVar

from src.schema.checks import FREE, at_least, require
from src.schema.kinds import Group, Kind

EARLY = 60  # seconds that Slurm may send a signal early


@dataclass(kw_only=True)
class EngineConfig(Kind, group=Group("engine", key="name", home="src.sweep.engines", parent="hydra.sweeper.")):
    """The settings that every engine has: it starts workers and stops them, and decides nothing about trials."""

    name: str = ""  # the kind
    is_remote: ClassVar[bool] = True  # the workers may run on other machines, and outlive the command that started them

    @property
    def can_detach(self) -> bool:
        """True if the workers outlive the command that started them."""
        return self.is_remote


@dataclass(kw_only=True)
class LocalEngineConfig(EngineConfig, kind="local", builds="src.sweep.local:LocalWorkers"):
    """Processes on this machine, which end with the command that started them."""

    is_remote: ClassVar[bool] = False


@dataclass(kw_only=True)
class SlurmEngineConfig(EngineConfig, kind="slurm", builds="src.sweep.engines.slurm:SlurmEngine"):
    """One Slurm job array, each of whose tasks is a worker. Null means the cluster's own default."""

    partition: str | None = None
    qos: str | None = None
    account: str | None = None
    timeout_min: int | None = None  # minutes after which Slurm ends a task, whose worker is queued again
    mem_gb: float | None = None  # of a worker
    cpus_per_task: int = 1
    gres: str | None = None  # such as gpu:1
    constraint: str | None = None
    signal_delay_s: int = 90  # seconds before the time limit, to end the epoch
    array_parallelism: int | None = None  # workers that run at a time
    setup: list[str] = field(default_factory=list, metadata=FREE)  # shell commands before the worker is started

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("timeout_min", "cpus_per_task", "signal_delay_s", "array_parallelism"):
            at_least(1, f"hydra.sweeper.engine.{key}", getattr(self, key))
        require(
            self.mem_gb is None or 0 < self.mem_gb < math.inf,
            "hydra.sweeper.engine.mem_gb",
            self.mem_gb,
            "gigabytes above 0, or null",
        )
        if self.timeout_min is not None:
            require(
                self.signal_delay_s + EARLY <= 60 * self.timeout_min,
                "hydra.sweeper.engine.signal_delay_s",
                self.signal_delay_s,
                f"at least a minute less than timeout_min={self.timeout_min}, because Slurm may send the signal early",
            )
        for key in ("partition", "qos", "account", "gres", "constraint"):
            value = getattr(self, key)
            require(value is None or bool(value.strip()), f"hydra.sweeper.engine.{key}", value, "a name, or null")


@dataclass(kw_only=True)
class RayEngineConfig(EngineConfig, kind="ray", builds="src.sweep.engines.ray:RayEngine"):
    """Detached actors of a Ray cluster, each of which runs a worker."""

    address: str = "auto"  # of the cluster; auto: the one of this machine; local: a new one on this machine
    cpus_per_worker: float = 1.0
    gpus_per_worker: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.address.strip()), "hydra.sweeper.engine.address", self.address, "auto, local or HOST:PORT")
        for key in ("cpus_per_worker", "gpus_per_worker"):
            at_least(0, f"hydra.sweeper.engine.{key}", getattr(self, key))

    @property
    def can_detach(self) -> bool:
        return self.address != "local"
