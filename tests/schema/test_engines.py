"""The settings `hydra.sweeper.engine.*`."""

import re

import pytest
from hydra.errors import MissingConfigException

from src.cli.mistakes import explain
from src.errors import ConfigError
from src.schema import SlurmEngineConfig
from tests.support.configs import INF, NAN, Make, Ranges, range_tests
from tests.support.sweeps import SPACE, plan

slurm: Make = SlurmEngineConfig

RANGES: Ranges = [
    (slurm, "hydra.sweeper.engine.array_parallelism", [None, 1], [0, -1]),
    (slurm, "hydra.sweeper.engine.cpus_per_task hydra.sweeper.engine.signal_delay_s", [1], [0, -1]),
    (slurm, "hydra.sweeper.engine.timeout_min", [None, 3], [0, -1]),
    (slurm, "hydra.sweeper.engine.mem_gb", [None, 0.5], [0.0, -1.0, INF, NAN]),
    *[
        (slurm, f"hydra.sweeper.engine.{key}", [None, "a"], ["", " "])
        for key in ("partition", "qos", "account", "gres", "constraint")
    ],
]
test_the_edge_is_taken, test_what_lies_beyond_is_refused_by_its_dotted_name = range_tests(RANGES)


@pytest.mark.parametrize(("minutes", "seconds"), [(2, 60), (3, 120), (None, 3600)])
def test_a_signal_may_come_early_by_a_minute(minutes: int | None, seconds: int) -> None:
    slurm(timeout_min=minutes, signal_delay_s=seconds)


@pytest.mark.parametrize(("minutes", "seconds"), [(1, 1), (2, 61), (2, 3600)])
def test_a_time_limit_that_leaves_no_time_for_work_is_refused(minutes: int, seconds: int) -> None:
    with pytest.raises(
        ConfigError, match=rf"signal_delay_s: got {seconds}, expected at least a minute less than timeout"
    ):
        slurm(timeout_min=minutes, signal_delay_s=seconds)


@pytest.mark.parametrize("engine", ["slurm", "ray"])
@pytest.mark.parametrize(
    ("typed", "refused"),
    [
        ([], "hydra.sweeper.storage=sqlite:///optuna.db"),
        (["hydra.sweeper.storage=postgresql://ada@db.example/optuna"], "tracking.uri=sqlite:///mlflow.db"),
    ],
)
def test_an_engine_with_other_machines_refuses_a_sqlite_file(engine: str, typed: list[str], refused: str) -> None:
    with pytest.raises(
        ConfigError, match=f"^{re.escape(refused)}: the workers of hydra/sweeper/engine={engine} run on"
    ):
        plan(*SPACE, f"hydra/sweeper/engine={engine}", *typed)


def test_a_sweep_of_this_machine_cannot_be_detached() -> None:
    with pytest.raises(ConfigError, match=r"^hydra.sweeper.detach=true: .* remove `hydra.sweeper.detach=true`"):
        plan(*SPACE, "hydra.sweeper.detach=true")


@pytest.mark.parametrize(
    ("launcher", "engine"), [("submitit_slurm", "slurm"), ("submitit_local", None), ("ray", "ray"), ("ray_aws", "ray")]
)
def test_a_launcher_of_hydra_is_answered_with_the_key_of_the_engine(launcher: str, engine: str | None) -> None:
    with pytest.raises(MissingConfigException) as error:
        plan(*SPACE, f"hydra/launcher={launcher}")
    message = explain(error.value)
    assert message.startswith(f"hydra/launcher={launcher}: ")
    assert (f"use hydra/sweeper/engine={engine}, " in message) if engine else ("hydra.sweeper.n_jobs=2" in message)
