"""Where a run comes from."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from src.cli.compose import compose_config
from src.tracking import provenance
from src.tracking.provenance import difference, git, packages, standard_tags
from tests.support.workplace import ROOT


def test_the_tags_name_the_commit_that_is_checked_out():
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert standard_tags(compose_config())["mlflow.source.git.commit"] == head.strip()


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


def test_packages_are_listed_with_their_versions():
    lines = packages().splitlines()
    assert lines[0] == f"# Python {platform.python_version()}"
    assert f"keras=={version('keras')}" in lines
    assert len(set(lines)) == len(lines)
