"""A finding: something that is wrong, or that a user may want to know."""

from collections.abc import Callable
from typing import NamedTuple

FIX, CLEAN = "fix=true", "clean=true"  # the settings that repair faults, and that free space


class Repair(NamedTuple):
    """A change that repairs a fault or frees space.

    Attributes:
        action: completes the sentence `fix=true will ...`, such as `mark the run KILLED`.
        outcome: a sentence about the store after the change, such as `the run is KILLED now`.
        apply: makes the change.
        setting: allows the change, as a user types it: `fix=true`.
    """

    action: str
    outcome: str
    apply: Callable[[], object]
    setting: str = FIX


class Finding(NamedTuple):
    """A fault, or a piece of information.

    Attributes:
        subject: what it is about, such as `run 0123abcd`.
        problem: a sentence without its subject, such as `says RUNNING, but its process has ended`.
        advice: what a user can do, and on a line of its own the command to type; empty without advice.
        repair: None if only a user can repair it.
        is_fault: False for information.
        size: bytes on disk that the repair frees, or that only a user can free.
    """

    subject: str
    problem: str
    advice: str = ""
    repair: Repair | None = None
    is_fault: bool = True
    size: int = 0
