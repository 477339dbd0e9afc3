"""Output in the terminal: warnings, lines for epochs and trials, tables, where to look next."""

from typing import TYPE_CHECKING

from src.process.lazy import lazy_package

if TYPE_CHECKING:
    from src.console.classes import say_classes
    from src.console.epochs import EpochLines
    from src.console.lines import (
        console,
        duration,
        progress,
        say,
        say_pairs,
        say_registration,
        say_where,
        size,
        table,
        warn,
    )
    from src.console.trials import (
        SweepView,
        count_words,
        format_value,
        given_up_words,
        params_line,
        say_front,
        say_with_params,
        short,
        trial_cells,
        trial_columns,
    )
else:
    __getattr__ = lazy_package(__name__)
