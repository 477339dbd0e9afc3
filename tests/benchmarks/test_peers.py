"""The comparison with other tools: which trials count as lost, and what is killed."""

import importlib.util
import json
import sys
import time
from pathlib import Path

import pytest

from benchmarks.measuring import ROOT
from benchmarks.peers import lenot
from benchmarks.peers.__main__ import (
    LOCK,
    TOOLS,
    Command,
    Processes,
    Tool,
    Trial,
    count_lost,
    installed,
    noted_trials,
    search,
)
from benchmarks.report import PEERS

TRIAL = """
import sys
import time
from benchmarks.peers.lenot import noted
for number in range(int(sys.argv[1])):
    with noted({"number": number, "owner": sys.argv[2]}):
        time.sleep(float(sys.argv[3]))
"""


def toy(*durations: float, trials: int = 2) -> Tool:
    """A tool whose processes note trials that only wait."""
    commands = [Command(["-c", TRIAL, str(trials), f"p{at}", str(each)]) for at, each in enumerate(durations)]
    return Tool(lambda trials, epochs: commands, noted_trials)


def test_a_trial_is_lost_unless_its_values_were_trained_to_the_end() -> None:
    trials = [Trial("a", 1, 0.0, 1.0), Trial("b", 1, 1.0, None), Trial("c", 2, 1.0, None), Trial("b", 2, 2.0, 3.0)]
    assert count_lost(trials) == 1


def test_what_a_trial_notes_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lenot, "FOLDER", tmp_path)
    assert noted_trials(tmp_path) == []
    with lenot.noted({"x": 2, "a": 1}):
        (running,) = noted_trials(tmp_path)
        assert running.ended is None
    with pytest.raises(ValueError, match="disk"), lenot.noted({"x": 3}):
        raise ValueError("disk")
    first, second = noted_trials(tmp_path)
    assert (first.values, second.ended) == (json.dumps({"a": 1, "x": 2}), None)
    assert first.ended is not None
    assert first.ended >= first.began == running.began


@pytest.mark.fault
def test_a_search_is_measured_and_its_training_process_killed_in_the_middle_of_a_trial(tmp_path: Path) -> None:
    found = search(toy(2.0, 0.1), tmp_path, 0, 0, kill_after=2, limit=60)
    assert found.ended  # the process that was not killed
    assert [trial.ended is None for trial in found.trials].count(True) == count_lost(found.trials) == 1
    assert 5 < found.peak_mb < 500
    assert found.seconds < 30


@pytest.mark.fault
def test_a_search_that_does_not_end_is_ended(tmp_path: Path) -> None:
    began = time.monotonic()
    found = search(toy(300.0), tmp_path, 0, 0, kill_after=None, limit=2)
    assert not found.ended
    assert time.monotonic() - began < 60


@pytest.mark.fault
def test_processes_whose_parent_has_ended_are_ended_too(tmp_path: Path) -> None:
    program = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)']);"
    processes = Processes([Command(["-c", f"{program} time.sleep(3)"])], tmp_path)
    while processes.are_running:
        processes.memory_mb()
        time.sleep(0.1)
    assert len(processes.living()) == 1
    processes.end()
    assert processes.living() == []


def test_a_tool_that_is_not_installed_is_skipped_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert installed(["ours", "keras tuner"]) == ["ours"]
    said = capsys.readouterr().err
    assert "keras tuner is skipped: keras_tuner, tensorboard is missing; to install it: " in said
    assert f"{sys.executable} -m pip install --require-hashes -r " in said
    with pytest.raises(SystemExit, match="nothing was measured"):
        installed(["ray tune"])


def test_every_tool_has_a_row_in_the_table() -> None:
    assert list(PEERS) == list(TOOLS)
    assert all((ROOT / LOCK).with_name(f"with_{name}.py").is_file() for name in ("optuna", "ray_tune"))
