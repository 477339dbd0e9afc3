"""A study is continued from its definition alone, by any machine that has the addresses of its two stores."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.sweeps import SMALL
from tests.support.workplace import Workplace

NAME = "joined"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A folder with a study of two trials, which a command has made."""
    workplace = Workplace(tmp_path_factory.mktemp("first"))
    space = ["hydra/sweeper=optuna", "model.dropout=interval(0,0.5)", f"hydra.sweeper.study_name={NAME}"]
    done = workplace.run("src.train", "-m", *SMALL, *space, "hydra.sweeper.n_trials=2", "tags.api_token=tok-7003")
    assert done.returncode == 0, done.stderr
    return workplace


@pytest.fixture
def elsewhere(tmp_path: Path, first: Workplace) -> dict[str, Any]:
    """The environment of another folder, which has the addresses of both stores."""
    stores = {
        "OPTUNA_STORAGE": f"sqlite:///{first.folder / 'optuna.db'}",
        "MLFLOW_TRACKING_URI": f"sqlite:///{first.folder / 'mlflow.db'}",
    }
    return {"workplace": Workplace(tmp_path), "env": stores}
