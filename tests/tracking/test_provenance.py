"""Where a run comes from."""

import ast
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from src.cli.compose import compose_config
from src.tracking import provenance
from src.tracking.provenance import RESULT_CODE, difference, git, packages, standard_tags
from tests.support.workplace import ROOT


def test_the_tags_name_the_commit_that_is_checked_out():
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert standard_tags(compose_config())["mlflow.source.git.commit"] == head.strip()


PRINT_COMMAND = "from src.tracking.provenance import command_name\ndef work(): print(command_name(), flush=True)\n"
SPAWNED = """
import multiprocessing
if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    process.join()
"""


@pytest.mark.parametrize(
    ("arguments", "last_lines", "name"),
    [
        (["-m", "tools.count"], "work()", "python -m tools.count"),
        (["-m", "tools.count"], SPAWNED, "python -m tools.count"),
        (["-m", "tools"], "work()", "python -m tools"),
        (["tools/count.py"], "work()", "python count.py"),
        (["-c", f"{PRINT_COMMAND}work()"], "", "python -c"),
    ],
)
def test_a_run_says_which_command_was_started(tmp_path: Path, arguments: list[str], last_lines: str, name: str):
    (tmp_path / "tools").mkdir()
    for file in ("count.py", "__main__.py"):
        (tmp_path / "tools" / file).write_text(PRINT_COMMAND + last_lines)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{name}\n"


def test_git_answers_nothing_rather_than_an_error():
    assert git("no-such-command") == ""


def test_the_difference_is_a_patch_that_makes_the_same_files_of_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def typed(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=ada", "-c", "user.email=a@b", *arguments], cwd=tmp_path, check=True)

    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    old, new = tmp_path / "old.py", tmp_path / "src/new.py"
    old.write_bytes(b"one\r\ntwo\n\n\n")
    (tmp_path / "notes.txt").write_text("nothing that runs")
    typed("init", "-q")
    typed("add", "old.py")
    typed("commit", "-qm", "first")
    assert difference() == ""
    old.write_bytes(b"zero\r\ntwo\n\n\n")
    new.parent.mkdir()
    new.write_text("three = 3\n\n")
    patch = tmp_path / "git.diff"
    patch.write_bytes(difference().encode())
    new.unlink()
    typed("checkout", "-q", "old.py")
    typed("apply", "git.diff")
    assert (old.read_bytes(), new.read_text()) == (b"zero\r\ntwo\n\n\n", "three = 3\n\n")


def imported_by(file: Path) -> set[str]:
    """Return the modules and packages of `src` that the file imports, as paths below `src/`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("src.")}


@pytest.mark.parametrize("name", [name for name in RESULT_CODE if name != "train.py"])
def test_what_the_code_of_a_result_imports_can_change_the_result_too(name: str):
    part = ROOT / "src" / name
    files = [part] if part.is_file() else list(part.rglob("*.py"))
    assert files
    covered = {name.removesuffix(".py") for name in RESULT_CODE}
    assert {(file.name, other) for file in files for other in imported_by(file) - covered} == set()


def test_networks_data_training_and_settings_are_code_of_a_result():
    assert {"datasets", "fitting", "models", "schema", "train.py"} <= set(RESULT_CODE)


def test_packages_are_listed_with_their_versions():
    lines = packages().splitlines()
    assert lines[0] == f"# Python {platform.python_version()}"
    assert f"keras=={version('keras')}" in lines
    assert len(set(lines)) == len(lines)
