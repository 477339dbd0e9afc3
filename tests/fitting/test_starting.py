"""TensorFlow is started with the threads that suit the trainings."""

import os
import sys

import pytest

from src import fitting
from src.cli.compose import compose_config
from src.fitting import start_tensorflow, starting

SMALL, LARGE = ["model=lenot"], ["model=resnet18", "dataset=synthetic"]


@pytest.mark.parametrize(
    ("trainings", "is_imported", "threads"),
    [
        ([SMALL], False, "1"),
        ([SMALL, SMALL], False, "1"),
        ([LARGE], False, None),
        ([SMALL, LARGE], False, None),
        ([[*SMALL, "training.deterministic=true"]], False, None),
        ([SMALL], True, None),
    ],
)
def test_operations_get_one_thread_if_every_training_divides_its_batches(
    trainings: list[list[str]], is_imported: bool, threads: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "")
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    if is_imported:
        monkeypatch.setitem(sys.modules, "tensorflow", sys)
    imported: list[object] = []
    monkeypatch.setattr(starting, "import_now", imported.append)
    monkeypatch.setattr("src.fitting.dividing.cores", lambda: 2)
    start_tensorflow(*map(compose_config, trainings))
    assert os.environ.get("TF_NUM_INTRAOP_THREADS") == threads
    assert imported == [fitting]
