"""The folder of all checkpoints."""

from pathlib import Path

import pytest

from src import checkpointing


@pytest.mark.parametrize(
    ("checkpoint_dir", "expected"),
    [(None, "store/checkpoints"), ("own", "here/own"), ("../own", "own"), ("a/../../own/b", "own/b")],
)
def test_the_folder_of_all_checkpoints_is_absolute_and_has_a_plain_path(
    checkpoint_dir: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert checkpointing.root_of(checkpoint_dir, tmp_path / "store") == tmp_path / expected
