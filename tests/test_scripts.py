"""`python src/train.py`, the habit from other projects, works like `python -m src.train`."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.workplace import ROOT

SCRIPTS = sorted(
    file.relative_to(ROOT)
    for folder in ("src", "pipelines")
    for file in (ROOT / folder).rglob("*.py")
    if '\nif __name__ == "__main__":\n    main()' in file.read_text() and "figures" not in file.parts
)


def run(*words: str | Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_every_command_can_be_started_as_a_script(script: Path, tmp_path: Path) -> None:
    done = run(ROOT / script, "--help", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--help" in done.stdout


@pytest.mark.parametrize("words", [["train.py"], ["-m", "train"]])
def test_the_working_folder_may_be_that_of_the_script(words: list[str]) -> None:
    done = run(*words, "model=lennot", folder=ROOT / "src")
    assert (done.returncode, done.stderr.partition(";")[0]) == (2, "error: no model 'lennot'")


def test_a_script_is_resumed_by_the_name_of_its_module(tmp_path: Path) -> None:
    script = ROOT / "pipelines" / "best_of_sweep.py"
    probe = f"""
import sys
sys.path.insert(0, {str(script.parent)!r})
sys.modules["__main__"].__file__ = {str(script)!r}
sys.argv = ["best_of_sweep.py", "seed=1"]
from src import links
print(links.same_command())
"""
    done = run("-c", probe, folder=tmp_path)
    assert done.stdout == "python -m pipelines.best_of_sweep seed=1\n", done.stderr
