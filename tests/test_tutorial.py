"""The tutorial, typed from top to bottom in a fresh checkout: it says what it promises, and ends with a champion."""

import contextlib
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.support.servers import free_port
from tests.support.workplace import ROOT

pytestmark = pytest.mark.slow  # each command that it types has tests of its own
FENCE = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WAITING = "for _ in $(seq 300); do curl -sf {url}/health > /dev/null && break; sleep 0.5; done"
OLDEST = "mlflow.MlflowClient('sqlite:///mlflow.db').search_runs(['1'], order_by=['attributes.start_time ASC'])[0]"
FIRST_RUN = f'RUN=$(python -c "import mlflow; print({OLDEST}.info.run_id)")'


@dataclass(frozen=True)
class Typed:
    """The folder that the tutorial was typed in, and what each of its commands said, by how the command begins."""

    folder: Path
    said: dict[str, str]

    def answer(self, command: str) -> str:
        return next(said for typed, said in self.said.items() if command in typed)


def script(port: int) -> list[str]:
    """The tutorial's commands as lines for one shell; a server stays in the background."""
    lines = "".join(FENCE.findall((ROOT / "docs/tutorial.md").read_text())).splitlines()
    made = []
    for line in lines:
        here = line.replace("5001", str(port)).replace("run_id=RUN", 'run_id="$RUN"')
        if line.startswith("make serve"):
            made += [f"{here} PORT={port} > serve.log 2>&1 &", WAITING.format(url=f"http://127.0.0.1:{port}")]
        elif line == "make ui":  # tests/browser looks at it
            continue
        else:
            made.append(here)
    return made


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Typed:
    folder = tmp_path_factory.mktemp("tutorial") / "convlab"
    if shutil.which("make") is None or not (ROOT / ".venv/.installed").exists():
        pytest.skip("make and an installed .venv are needed")
    subprocess.run(["git", "clone", "-q", ROOT, folder], check=True)
    (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
    commands = script(free_port())
    lines = ["set -e"]
    for number, command in enumerate(commands):
        lines.append(f"{{ {command}\n}} > said-{number}.txt" if " > " not in command else command)
        if number == 0:
            lines.append(f"PATH={Path(sys.executable).parent}:$PATH\n{FIRST_RUN}")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "HYDRA_", "MAKE"))}
    for name in ("DATA_DIR", "PYTHONPATH"):
        kept.pop(name, None)
    environment = kept | {"HOME": str(folder.parent), "COLUMNS": "200"}
    log = folder / "log.txt"
    with log.open("w") as output:
        shell = subprocess.Popen(
            ["bash", "-c", "\n".join(lines)],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        shell.wait(timeout=1200)
    finally:
        with contextlib.suppress(ProcessLookupError):  # a shell that failed early leaves nothing behind
            os.killpg(shell.pid, signal.SIGKILL)  # the shell if it is late, and the model server, which stays behind it
    assert shell.returncode == 0, log.read_text()
    files = ((command, folder / f"said-{number}.txt") for number, command in enumerate(commands))
    return Typed(folder, {command: file.read_text() for command, file in files if file.exists()})


def test_the_convolutions_win_the_comparison(typed: Typed):
    table = typed.answer("pipelines.compare_models")
    assert table.index("\n  lenot ") < table.index("\n  dense ")


def test_the_search_ends_with_a_champion(typed: Typed):
    assert "version 1 of mnist" in typed.answer("hparams_search=lenot")
    assert "champion now points to it: the first champion of mnist" in typed.answer("hparams_search=lenot")


def test_the_champion_scores_as_it_did_when_it_was_crowned(typed: Typed):
    client = MlflowClient(f"sqlite:///{typed.folder}/mlflow.db")
    run = client.get_run(client.get_model_version("mnist", "1").run_id)
    assert f"test_accuracy {run.data.metrics['test_accuracy']:.4f}" in typed.answer("src.evaluate")
    assert len(client.get_metric_history(run.info.run_id, "test_accuracy")) == 1


def test_the_look_inside_is_a_folder_of_pictures(typed: Typed):
    assert {"filters.png", "grad_cam.png"} <= {path.name for path in (typed.folder / "inside").iterdir()}


def test_the_five_digits_are_read(typed: Typed):
    with (typed.folder / "predictions.csv").open() as file:
        predicted = "".join(row["predicted"] for row in csv.DictReader(file))
    assert sum(one == other for one, other in zip(predicted, "31415", strict=True)) >= 4


def test_the_served_champion_sees_a_four(typed: Typed):
    (prediction,) = json.loads(typed.answer("curl"))["predictions"]
    assert prediction["class"] == "4"
    assert len(prediction["probabilities"]) == 10


def test_the_handicapped_challenger_is_not_crowned_and_that_is_explained(typed: Typed):
    said = typed.answer("optimizer.learning_rate=1e-6")
    assert "version 2 of mnist" in said
    assert "champion was not moved: it is not better than the champion (version 1); only the candidate is right" in said


def test_the_first_run_trained_again_is_the_same_run(typed: Typed):
    said = typed.answer("pipelines.reproduce")
    assert "CHANGED" not in said
    assert "test_accuracy" in said
