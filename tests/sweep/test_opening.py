"""Opening a sweep whose study exists: the warning about other code and packages."""

from contextlib import closing

import pytest

from src import study, tracking
from src.space import define
from src.sweep.opening import Sweep, open_sweep
from src.sweep.origin import origin
from src.sweep.setting import find_data
from tests.support.sweeps import Study, plan
from tests.support.workplace import Workplace


def opened_again(workplace: Workplace, **other: str) -> Sweep:
    """A sweep that is opened twice; the first machine had other code or packages."""
    places = [f"tracking.uri='{workplace.uri}'", f"hydra.sweeper.storage='{Study(workplace.folder).storage}'"]
    planned = plan("dataset=synthetic", "dataset.limit=100", "seed=1,2", *places)
    store = tracking.open_store(planned.tracking)
    definition = define(planned)
    with closing(study.open_storage(planned.settings.storage, planned.tracking.uri)) as storage:
        first = open_sweep(planned, definition, 2, storage, store, find_data(planned))
        first.claims.read(lambda opened: study.keep_definition(opened, definition, origin() | other))
        return open_sweep(planned, definition, 2, storage, store, find_data(planned))


def test_a_study_that_was_made_with_other_packages_is_continued_with_a_warning_that_is_recorded(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = opened_again(workplace, keras="0.1")
    (warning,) = [line for line in sweep.warnings if "was made with other code or packages" in line]
    assert f"keras {origin()['keras'][:12]} instead of 0.1. Its trials still count" in warning
    assert "was made with other code or packages" in capsys.readouterr().out


def test_a_study_that_was_made_with_the_same_packages_is_continued_without_a_warning(workplace: Workplace) -> None:
    assert not opened_again(workplace).warnings
