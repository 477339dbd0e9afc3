"""A cluster on which workers run."""

from collections.abc import Iterator

import pytest

from tests.support.slurm import SlurmCluster, slurm_cluster


@pytest.fixture(scope="session")
def slurm() -> Iterator[SlurmCluster]:
    """A Slurm cluster of one node with two processors."""
    with slurm_cluster() as cluster:
        yield cluster
