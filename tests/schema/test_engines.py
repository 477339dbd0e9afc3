"""The settings `hydra.sweeper.engine.*`."""

import pytest

from src.errors import ConfigError
from src.schema import SlurmEngineConfig
from tests.support.configs import INF, NAN, Make, Ranges, range_tests

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
