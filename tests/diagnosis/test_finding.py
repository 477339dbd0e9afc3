"""A finding and its repair."""

from src.cli.compose import compose_config
from src.diagnosis import CLEAN, FIX, Finding, Repair


def test_a_finding_is_a_fault_that_only_a_user_can_repair_unless_it_says_otherwise() -> None:
    finding = Finding("run 0123", "is FINISHED, but its model is missing")
    assert (finding.is_fault, finding.repair, finding.advice, finding.size) == (True, None, "", 0)


def test_a_repair_is_made_by_fix_unless_it_names_another_setting() -> None:
    assert Repair("remove the file", "the file was removed", list).setting == FIX


def test_the_settings_of_repairs_can_be_typed() -> None:
    config = compose_config([FIX, CLEAN], "doctor")
    assert (config.fix, config.clean) == (True, True)
