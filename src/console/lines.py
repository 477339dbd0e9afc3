"""Lines, tables and bars in the terminal, secrets hidden."""

import contextlib
import shlex
from collections.abc import Callable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from src import links
from src.redact import HIDDEN, redact
from src.results import RegistrationResult

console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)


def say(text: str) -> None:
    """One line, secrets hidden."""
    console.print(redact(text), markup=False)


def say_where(run_id: str, experiment_id: str, uri: str) -> None:
    """Print where to find a run of the store at this address."""
    _say_page(f"run {run_id}", links.run_page(experiment_id, run_id), uri)


def _say_page(what: str, page: str, uri: str) -> None:
    """Print the address of a page, and for a store without a server the command that opens the UI over it."""
    if links.is_server(uri):
        say(f"{what}: {links.address(uri, page)}")
        return
    command = links.ui_command(uri)
    shown = [redact(word) for word in command]  # before quoting, which may split a password
    note = "" if shown == command else f" (replace {HIDDEN} with what it hides)"
    say(f"{what}: `{shlex.join(shown)}`{note} shows it at {links.local_address(page)}")


def warn(warnings: Sequence[str]) -> None:
    """A box that cannot be missed, nothing when there is nothing to warn of."""
    if warnings:
        panel = Panel(
            redact("\n".join(warnings)), title="WARNING", border_style="bold yellow", width=min(console.width, 100)
        )
        console.print(panel, soft_wrap=False)


def say_registration(result: RegistrationResult, uri: str) -> None:
    """Print which version a run's model is, whether the alias points to it, and where to look at it."""
    known = "" if result.is_new else ", as before"
    say(f"version {result.version} of {result.name}: the model of run {result.run_id}{known}")
    if result.alias:
        say(f"{result.alias} {'points to it' if result.moved else 'stays where it is'}: {result.reason}")
    page = links.version_page(result.name, result.version)
    _say_page(f"version {result.version} of {result.name}", page, uri)


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal for as long as the block lasts, and a function that moves it by so many."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table, its first column to the left, the others to the right."""
    drawn = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for index, column in enumerate(columns):
        drawn.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    # A file or a pipe has no width to keep to.
    wide = console if console.is_terminal else Console(width=200, markup=False, emoji=False)
    wide.print(drawn)


def duration(seconds: float) -> str:
    """`4.1 s`, `75 s`, `3 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"
