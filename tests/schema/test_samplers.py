"""The settings `hydra.sweeper.sampler.*`."""

import pytest

from src.schema.kinds import REGISTRY
from src.schema.samplers import SamplerConfig
from tests.support.configs import Make, Ranges, range_tests

sampler: dict[str, Make] = dict(REGISTRY["sampler"].kinds)

RANGES: Ranges = [
    *[(make, "hydra.sweeper.sampler.seed", [0, 2**32 - 1], [-1, 2**32]) for make in sampler.values()],
    *[(sampler[name], "hydra.sweeper.sampler.n_startup_trials", [1], [0, -1]) for name in ("tpe", "cmaes", "gp")],
    (sampler["tpe"], "hydra.sweeper.sampler.n_ei_candidates", [1], [0]),
    (sampler["nsgaii"], "hydra.sweeper.sampler.population_size", [2], [1, 0]),
    (sampler["qmc"], "hydra.sweeper.sampler.qmc_type", ["sobol", "halton"], ["Sobol", ""]),
]
test_the_edge_is_taken, test_what_lies_beyond_is_refused_by_its_dotted_name = range_tests(RANGES)


@pytest.mark.parametrize("make", sampler.values())
def test_every_sampler_needs_no_setting_beyond_its_name(make: Make) -> None:
    assert isinstance(make(), SamplerConfig)
