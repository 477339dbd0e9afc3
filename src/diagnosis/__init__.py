"""The faults of a store: a file for each kind, and the list of them in `checks`.

A new check is a new file with a function from a `Case` to findings, and an entry of `CHECKS`.
"""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.diagnosis.case import Case
    from src.diagnosis.checks import CHECKS, Check
    from src.diagnosis.finding import CLEAN, FIX, Finding, Repair
else:
    __getattr__ = lazy_package(__name__)
