"""What people see in the terminal: warnings, one line an epoch, how a sweep stands, tables, where to look next."""

from src.console.epochs import EpochLines
from src.console.lines import (
    console,
    progress,
    say,
    say_registration,
    say_where,
    table,
    warn,
)
from src.console.trials import TRIAL_COLUMNS, SweepView, count_words, params_line, short, trial_cells

__all__ = [
    "TRIAL_COLUMNS",
    "EpochLines",
    "SweepView",
    "console",
    "count_words",
    "params_line",
    "progress",
    "say",
    "say_registration",
    "say_where",
    "short",
    "table",
    "trial_cells",
    "warn",
]
