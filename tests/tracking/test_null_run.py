"""The run of an untracked training."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from src.cli.compose import compose_config
from src.errors import NotKept
from src.tracking import NullRun, Run
from tests.support.runs import new_run


def test_without_tracking_every_recording_call_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    config = compose_config(["tracking=off"])
    with new_run(config) as run:
        assert isinstance(run, NullRun)
        assert (run.run_id, run.folder) == (None, None)
        calls: dict[str, tuple[Any, ...]] = {
            "log_config": (config, ["seed=1"]),
            "log_settings": (config, ["seed=1"]),
            "log_overrides": (["seed=1"],),
            "log_environment": (),
            "log_params": ({"a": 1},),
            "log_epoch": (1, {"loss": 1.0}),
            "log_metrics": ({"loss": 1.0}, 1),
            "log_new_metrics": ({"loss": 1.0}, 1),
            "log_history": ({"loss": [1.0]},),
            "log_text": ("a.txt", "text"),
            "log_page": ("a.html", "page"),
            "log_table": ("a.csv", ("a",), [(1,)]),
            "log_array": ("a.npy", np.zeros(1)),
            "log_bytes": ("a.png", b"content"),
            "log_figure": ("a.png", Figure()),
            "log_image": ("mistakes", 1, np.zeros((1, 1, 3), np.uint8)),
            "log_dataset": ("mnist", "d", "full", {}),
            "log_dataset_of": ("0" * 32,),
            "log_model": (None, "net", np.zeros(1), np.zeros(1), 1),
            "set_tags": ({"a": "b"},),
            "describe": ("text",),
        }
        assert calls.keys() >= {name for name in dir(Run) if name.startswith("log_")}
        for name, arguments in calls.items():
            getattr(run, name)(*arguments)
        with run.new_folder("model") as folder:
            folder.mkdir()
        with pytest.raises(NotKept, match="tracking is off"), run.model_folder():
            pass
    assert not list(tmp_path.iterdir())


def test_the_run_of_an_untracked_training_has_no_method_that_needs_a_store():
    """Whatever uses the client or the artifacts of a run is replaced."""
    source = {name: inspect.getsource(member) for name, member in vars(Run).items() if inspect.isfunction(member)}
    needing = {name for name, text in source.items() if "self._client" in text or "self._artifacts" in text}
    assert needing - vars(NullRun).keys() == set()
