"""Lines, boxes, tables and progress bars in the terminal, with secrets hidden."""

import contextlib
import shlex
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from src import links
from src.redact import HIDDEN, redact
from src.results import RegistrationResult

MAX_WIDTH = 1_000  # characters of a table that is not shown on a terminal

console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)


def say(text: str) -> None:
    """Print one line."""
    console.print(redact(text), markup=False)


def say_pairs(pairs: Mapping[str, str]) -> None:
    """Print a line for each name and its text, aligned. On a terminal, long texts are wrapped and indented."""
    indent = max(map(len, pairs)) + 2
    width = max(console.width - indent, 20) if console.is_terminal else None
    for name, text in pairs.items():
        lines = [redact(text)] if width is None else textwrap.wrap(redact(text), width) or [""]
        for label, line in zip([name, *[""] * len(lines)], lines, strict=False):
            console.print(f"{label:<{indent}}{line}".rstrip(), markup=False)


def say_where(run_id: str, experiment_id: str, uri: str) -> None:
    """Print where to see a run of the store at this address."""
    _say_page(f"run {run_id}", links.run_page(experiment_id, run_id), uri)


def _say_page(name: str, page: str, uri: str) -> None:
    """Print the address of a page, and for a store without a server the command that opens the UI over it."""
    if links.is_server(uri):
        _say_address(f"{name}:", links.address(uri, page))
        return
    command = links.ui_command(uri)
    redacted = [redact(word) for word in command]  # before quoting, which may split a password
    note = "" if redacted == command else f" (replace {HIDDEN} with what it hides)"
    _say_address(f"{name}: `{shlex.join(redacted)}`{note} shows it at", links.local_address(page))


def _say_address(text: str, address: str) -> None:
    """Print a text and an address on one line, or on two if the terminal is too narrow for both."""
    is_narrow = console.is_terminal and len(f"{text} {address}") > console.width
    say(f"{text}\n{address}" if is_narrow else f"{text} {address}")


def warn(warnings: Sequence[str]) -> None:
    """Print warnings in a box; print nothing if there are none."""
    if warnings:
        panel = Panel(
            redact("\n".join(warnings)), title="WARNING", border_style="bold yellow", width=min(console.width, 100)
        )
        console.print(panel, soft_wrap=False)


def say_registration(result: RegistrationResult, uri: str) -> None:
    """Print the version of a run's model, what happened to the alias, and where to see the version."""
    known = "" if result.is_new else ", as before"
    say(f"version {result.version} of {result.name}: the model of run {result.run_id}{known}")
    if result.alias:
        say(f"{result.alias} {'now points to it' if result.moved else 'was not moved'}: {result.reason}")
    page = links.version_page(result.name, result.version)
    _say_page(f"version {result.version} of {result.name}", page, uri)


@contextlib.contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal during the block, and yield a function that advances it by a number."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.advance(task, count)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose first column is left-aligned, the others right-aligned."""
    grid = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for index, column in enumerate(columns):
        grid.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        grid.add_row(*row)
    # A file or a pipe has no width that limits a table: a path stays in one piece.
    wide = console if console.is_terminal else Console(width=MAX_WIDTH, markup=False, emoji=False)
    wide.print(grid)


def size(count: int) -> str:
    """Return a number of bytes such as `812 bytes`, `14.2 MB` or `1.1 GB`, in powers of 1,000."""
    if count < 1000:
        return f"{count} byte{'s' * (count != 1)}"
    amount, units = count / 1000, ["kB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount, units = amount / 1000, units[1:]
    return f"{amount:,.1f} {units[0]}"


def duration(seconds: float) -> str:
    """Return a time such as `4.1 s`, `75 s` or `3 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"
