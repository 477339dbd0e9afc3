"""The folder of checkpoints is found from every folder, and must be writable."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.support.interruptions import LIGHT, STOPPED_AFTER, Interruption, Typed, assert_refused, runs_of, stopping
from tests.support.workplace import Workplace

pytestmark = pytest.mark.services  # they train several times


def test_places_can_be_typed(interrupted: Interruption, whole: Interruption, typed: Typed, tmp_path: Path) -> None:
    shutil.move(interrupted.folder.parent, tmp_path / "moved")
    arguments = [f"training.checkpoint_dir={tmp_path / 'moved'}", "training.checkpoint_minutes=0"]
    answer = typed(interrupted.place, f"resume={interrupted.run_id}", *arguments)
    assert answer.code == 0, answer.err
    assert interrupted.curves() == whole.curves()


def test_the_printed_command_finds_the_checkpoint_from_another_folder(
    workplace: Workplace, whole: Interruption, typed: Typed, tmp_path: Path
) -> None:
    here, elsewhere = Workplace(tmp_path / "here"), Workplace(tmp_path / "elsewhere")
    here.folder.mkdir()
    elsewhere.folder.mkdir()
    with stopping():
        answer = typed(here, *LIGHT, f"tracking.uri='{workplace.uri}'", "training.checkpoint_dir=mine")
    interrupted = Interruption(workplace, runs_of(workplace)[0])
    command = answer.out.splitlines()[-1].removeprefix("resume with: python -m src.train ")
    again = typed(elsewhere, *shlex.split(command))
    assert again.code == 0, again.err
    assert f"resuming after epoch {STOPPED_AFTER}" in again.out
    assert interrupted.curves() == whole.curves()
    assert not (here.folder / "mine").exists()


def test_a_folder_without_checkpoints_is_refused(interrupted: Interruption, typed: Typed, tmp_path: Path) -> None:
    reason = "has written a checkpoint after epoch 2, but there is none in .*missing"
    assert_refused(interrupted, typed, reason, f"training.checkpoint_dir={tmp_path / 'missing'}")


@pytest.mark.parametrize(
    ("dir_", "code", "reason"),
    [("mlflow.db", 2, "training.checkpoint_dir: .*mlflow.db is a file, not a folder"), (None, 0, "no checkpoints are")],
)
def test_a_folder_that_cannot_be_written_is_an_error_if_it_was_typed_and_else_a_warning(
    dir_: str | None, code: int, reason: str, workplace: Workplace, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workplace.folder / "checkpoints").write_text("in the way")
    monkeypatch.setattr("src.datasets.load_dataset", pytest.fail) if dir_ else None
    answer = typed(workplace, *LIGHT, *([f"training.checkpoint_dir={dir_}"] if dir_ else []))
    assert answer.code == code, answer
    assert re.search(reason, answer.err if dir_ else answer.out)
    assert len(MlflowClient(workplace.uri).search_runs(["1"])) == (0 if dir_ else 1), answer
