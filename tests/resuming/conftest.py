"""Interrupted trainings, each trained once."""

import re
from pathlib import Path

import pytest

from src import train
from src.cli.compose import compose_config
from tests.support.interruptions import LIGHT, Answer, Interruption, Typed, interrupt, runs_of
from tests.support.workplace import Workplace, copy_of


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], signals_are_ours: None) -> Typed:
    """Runs `python -m src.train` in this process, on the store in the working folder of a workplace."""

    def run(place: Workplace, *arguments: str) -> Answer:
        monkeypatch.chdir(place.folder)
        monkeypatch.setenv("COLUMNS", "300")
        # MLflow identifies a store by its address, so a relative one would lead to the store of an earlier test.
        given = (
            []
            if any(re.match(r"tracking(=|.uri|.enabled)", word) for word in arguments)
            else [f"tracking.uri='{place.uri}'"]
        )
        monkeypatch.setattr("sys.argv", ["src.train", *arguments, *given])
        capsys.readouterr()
        code = 0
        try:
            train.main()
        except SystemExit as error:
            code = int(error.code or 0)
        return Answer(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def interrupted_once(tmp_path_factory: pytest.TempPathFactory) -> Interruption:
    place = Workplace(tmp_path_factory.mktemp("interrupted"))
    return Interruption(place, interrupt(place, *LIGHT))


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Interruption:
    """The same training without an interruption."""
    place = Workplace(tmp_path_factory.mktemp("whole"))
    train.train(compose_config([f"tracking.uri='{place.uri}'", *LIGHT]))
    return Interruption(place, runs_of(place)[0])


@pytest.fixture
def interrupted(interrupted_once: Interruption, tmp_path: Path) -> Interruption:
    """A copy of the interrupted run and its store, to do harm to."""
    return Interruption(copy_of(interrupted_once.place, tmp_path / "copy"), interrupted_once.run_id)
