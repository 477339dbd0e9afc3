"""A sweep that was run by the command, and what a study and its runs look like from outside."""

import logging

import optuna
import pytest

from tests.support.sweeps import SMALL, Study, Swept
from tests.support.workplace import Workplace


@pytest.fixture(autouse=True)
def quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    workplace = Workplace(tmp_path_factory.mktemp("swept"))
    space = ["model.conv.0.kernel_size=3,5,40", "seed=1,2", "hydra.sweeper.n_jobs=2", "tags.api_token=tok-5150"]
    space += ["tracking.detail=light"]
    done = workplace.run("src.train", "-m", *SMALL, *space)
    assert done.returncode == 0, done.stderr
    return Swept(workplace, done.stdout, Study(workplace.folder))
