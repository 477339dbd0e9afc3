"""Where a run comes from."""

import platform
import subprocess
from importlib.metadata import version

from src.compose import compose_config
from src.tracking.provenance import git, packages, standard_tags
from tests.conftest import ROOT


def test_the_tags_name_the_commit_that_is_checked_out():
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert standard_tags(compose_config())["mlflow.source.git.commit"] == head.strip()


def test_git_answers_nothing_rather_than_an_error():
    assert git("no-such-command") == ""


def test_packages_are_listed_with_their_versions():
    lines = packages().splitlines()
    assert lines[0] == f"# Python {platform.python_version()}"
    assert f"keras=={version('keras')}" in lines
    assert len(set(lines)) == len(lines)
