"""A study of ours in the hands of Optuna's own tools."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.support.servers import free_port
from tests.support.sweeps import Swept

pytestmark = pytest.mark.services  # both would make the sweep in a process of their own


def tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def test_optunas_command_lists_the_trials(swept: Swept) -> None:
    study = ["--study-name", swept.study.study.study_name, "--storage", swept.study.storage]
    done = subprocess.run([tool("optuna"), "trials", *study, "-f", "json"], capture_output=True, text=True, check=True)
    assert [trial["state"] for trial in json.loads(done.stdout)] == ["COMPLETE"] * 4 + ["FAIL"] * 2


def test_optunas_dashboard_shows_the_study(swept: Swept, tmp_path: Path) -> None:
    port = free_port()
    arguments = [swept.study.storage, "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen([tool("optuna-dashboard"), *arguments], stdout=log, stderr=log)
    try:
        answer = ask(f"http://127.0.0.1:{port}/api/studies")
        assert [study["study_name"] for study in answer["study_summaries"]] == [swept.study.study.study_name]
    finally:
        server.terminate()
        server.wait()


def ask(url: str) -> dict[str, list[dict[str, str]]]:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                found: dict[str, list[dict[str, str]]] = json.loads(response.read())
                return found
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
