"""All checks together: nothing is found where nothing is wrong, and every file of the package is used."""

from pathlib import Path

import pytest

from src import diagnosis
from src.diagnosis import CHECKS, Check
from tests.support.patients import Patient

MODULES = {path.stem for path in Path(str(diagnosis.__file__)).parent.glob("*.py")}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.title)
def test_a_healthy_store_has_no_findings(healthy: Patient, check: Check) -> None:
    assert list(check.find(healthy.case())) == []


def test_every_file_of_the_package_is_a_check_or_supports_them() -> None:
    used = {check.find.__module__.rpartition(".")[2] for check in CHECKS}
    assert used | {"__init__", "case", "checks", "finding"} == MODULES
