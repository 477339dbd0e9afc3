"""A finding: something that is wrong, or that a user may want to know."""

from collections.abc import Callable
from typing import NamedTuple


class Repair(NamedTuple):
    """A change that repairs a fault or frees space.

    Attributes:
        action: an imperative sentence, such as `mark it KILLED`.
        apply: makes the change.
        is_cleaning: True if `clean=true` makes it, and not `fix=true`.
    """

    action: str
    apply: Callable[[], object]
    is_cleaning: bool = False


class Finding(NamedTuple):
    """A fault, or a piece of information.

    Attributes:
        subject: what it is about, such as `run 0123abcd`.
        problem: a sentence without its subject, such as `says RUNNING, but its process has ended`.
        advice: what a user can do, with the command to type; empty without advice.
        repair: None if only a user can repair it.
        is_fault: False for information.
        size: bytes on disk that the repair frees.
    """

    subject: str
    problem: str
    advice: str = ""
    repair: Repair | None = None
    is_fault: bool = True
    size: int = 0
