"""What docs/clusters.md shows: the Job of Kubernetes, and the table of Slurm's keys."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.redact import is_secret_name, redact
from src.schema import EngineConfig, SlurmEngineConfig
from src.sweep.__main__ import read_arguments
from tests.support.workplace import ROOT

PAGE = (ROOT / "docs/clusters.md").read_text()
MANIFEST = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0]
SCHEMA = ROOT / "tests/support/kubernetes/job.json"
JOB: dict[str, Any] = yaml.safe_load(MANIFEST)
POD: dict[str, Any] = JOB["spec"]["template"]["spec"]
WORKER: dict[str, Any] = POD["containers"][0]


def checked(manifest: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The answer of the schema's program."""
    path = folder / "job.yaml"
    path.write_text(manifest)
    program = Path(sys.executable).parent / "check-jsonschema"
    return subprocess.run([program, f"--schemafile={SCHEMA}", path], capture_output=True, text=True)


def test_the_job_is_one_by_the_schema_of_kubernetes(tmp_path: Path) -> None:
    done = checked(MANIFEST, tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("podFailurePolicy:", "podFailPolicy:"),
        ("operator: In, ", ""),
        ("backoffLimit: 8", "backoffLimit: eight"),
        ("secretKeyRef: {name: convlab, key: mlflow-user}", "secretKeyRef: {name: convlab}"),
    ],
)
def test_the_schema_finds_a_mistake(right: str, wrong: str, tmp_path: Path) -> None:
    assert right in MANIFEST
    assert checked(MANIFEST.replace(right, wrong), tmp_path).returncode == 1


def test_a_job_with_rules_for_failures_starts_a_new_pod_each_time() -> None:
    assert POD["restartPolicy"] == "Never"  # the schema allows others, the server refuses them
    rules = JOB["spec"]["podFailurePolicy"]["rules"]
    assert {rule["onExitCodes"]["containerName"] for rule in rules if "onExitCodes" in rule} == {WORKER["name"]}


def test_the_job_runs_a_worker() -> None:
    interpreter, flag, module, *arguments = WORKER["command"]
    assert (interpreter, flag, module) == ("python", "-m", "src.sweep")
    assert read_arguments(arguments).action == "work"


def test_the_job_contains_no_password() -> None:
    given = {entry["name"]: entry.get("value") for entry in WORKER["env"]}
    secrets = [name for name in given if is_secret_name(name)]
    assert len(secrets) == 2
    assert all(given[name] is None for name in secrets)
    assert not [value for value in given.values() if value and redact(value) != value]


def test_each_key_of_the_slurm_engine_is_in_the_table() -> None:
    table = PAGE.partition("## Slurm")[2].partition("###")[0]
    named = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    common = {field.name for field in dataclasses.fields(EngineConfig)}
    assert named == [field.name for field in dataclasses.fields(SlurmEngineConfig) if field.name not in common]
