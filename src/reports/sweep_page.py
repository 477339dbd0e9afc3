"""The page `sweep.html`: the result of a sweep, a table of its trials, and interactive plots. It works offline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from src import console
from src.reports.html import as_html, page
from src.results import Counts, Parameter, TrialRow
from src.schema import COSTS, Objective, format_cost

PLOTS = {  # name -> its heading, and what it shows
    "pareto": (
        "Front",
        "The objectives of each complete trial. The front has the trials that no other dominates: none is at least as "
        "good in every objective and better in one.",
    ),
    "hypervolume": (
        "Hypervolume",
        "The volume that the trials so far dominate, up to the worst value of each objective.",
    ),
    "intermediate_values": (
        "Intermediate values",
        "The value of each trial after each epoch. Trials that are not complete are gray and end with a cross.",
    ),
    "history": ("History", "The value of each complete trial, and the best value so far."),
    "importances": ("Importances", "How much each parameter matters for the value."),
    "parallel_coordinates": ("Parallel coordinates", "A line for each complete trial through its parameters."),
    "slices": ("Slices", "The value of each complete trial against one parameter at a time; later trials are darker."),
    "contour": ("Contour", "The value by the two most important parameters."),
    "timeline": ("Timeline", "When each trial ran."),
}
STYLE = """
.trials { max-height: 480px; border: 1px solid #ddd; }
table { width: 100%; }
th { vertical-align: bottom; }
th button { font: inherit; font-weight: bold; text-align: left; border: 0; background: none; padding: 6px 8px;
            cursor: pointer; min-width: 100%; }
th.number button { text-align: right; }
th[aria-sort=ascending] button::after { content: " \\25B2"; }
th[aria-sort=descending] button::after { content: " \\25BC"; }
td { padding: 3px 8px; max-width: 320px; white-space: nowrap; overflow: hidden;
     text-overflow: ellipsis; } /* its title has the whole text */
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.best td { background: #e3f1fa; font-weight: bold; }
"""
SORT = """
for (const button of document.querySelectorAll("th button")) button.onclick = () => {
  const header = button.parentElement, body = document.querySelector("tbody"), rising = header.ariaSort !== "ascending";
  const key = row => row.cells[header.cellIndex].dataset.sort ?? row.cells[header.cellIndex].textContent;
  const compare = (a, b) => key(a) === "" || key(b) === "" ? (key(a) === "") - (key(b) === "")
    : (rising ? 1 : -1) * (isNaN(key(a)) || isNaN(key(b)) ? key(a).localeCompare(key(b)) : key(a) - key(b));
  for (const other of document.querySelectorAll("th")) other.removeAttribute("aria-sort");
  header.ariaSort = rising ? "ascending" : "descending";
  body.append(...[...body.rows].sort(compare));
};
"""


class Cell(NamedTuple):
    """A cell of the table: its text, and the number that it is sorted by, None for a text."""

    text: str
    number: float | None = None


def sweep_page(
    name: str,
    rows: Sequence[TrialRow],
    front: Sequence[TrialRow],
    counts: Counts,
    parameters: Sequence[Parameter],
    objectives: Sequence[Objective],
    plots: Iterable[tuple[str, str]],
    script: str,
) -> str:
    """Return the page as HTML.

    Args:
        name: of the study.
        rows: its trials.
        front: the best of them, or those that no other dominates; empty when none is complete.
        counts: how many trials ended in which way.
        parameters: columns of the table, the most important first.
        objectives: what compares the trials.
        plots: the name and the HTML of each plot.
        script: the JavaScript that the plots need.
    """
    found, has_front = dict(plots), len(objectives) > 1
    sections = [
        f'<section id="{key}"><h2>{heading}</h2><p>{caption}</p><div class="box">{found[key]}</div></section>'
        for key, (heading, caption) in PLOTS.items()
        if key in found
    ]
    body = [
        f"<p><b>{as_html(result_line(front, counts, objectives))}</b></p>",
        f"<p><code>{as_html(console.params_line(front[0].params))}</code></p>" if front and not has_front else "",
        f"<p>{as_html(console.count_words(counts))}</p>",
        "<h2>Trials</h2><p>Click a heading to sort by it.</p>",
        _table(rows, front, parameters, [objective.name for objective in objectives]),
        *sections,
        f"<script>{SORT}</script>",
    ]
    return page(name, body, STYLE, script)


def result_line(front: Sequence[TrialRow], counts: Counts, objectives: Sequence[Objective]) -> str:
    """Return the best trial with its value and epoch in one line, or the number of trials on the front."""
    if not front:
        return "no complete trial is within the limits" if counts.complete else "no trial is complete"
    if len(objectives) > 1:
        named = " and ".join(f"{name} ({direction})" for name, direction in objectives)
        return f"{len(front)} of {counts.complete} complete trials are on the front of {named}"
    (best,), (metric, _) = front, objectives[0]
    epoch = "" if best.best_epoch is None else f" after epoch {best.best_epoch}"
    return f"best: trial {best.number}, {metric} {console.format_value(metric, best.value)}{epoch}"


def trial_table(
    rows: Sequence[TrialRow], parameters: Sequence[Parameter], objectives: Sequence[str]
) -> tuple[list[str], list[list[Cell]]]:
    """Return the headings, and a row of cells for each trial. `objectives` are the names of the trials' values."""
    names = [parameter.name for parameter in parameters]
    costs = [name for name in COSTS if name not in objectives and any(name in row.costs for row in rows)]
    has_reasons = any(row.reason for row in rows)
    headings = ["trial", "state", *objectives, "best epoch", "epochs", "seconds"]
    headings += [*(COSTS[name].label for name in costs), *names, *["reason"] * has_reasons]
    return headings, [
        [
            _number(row.number),
            Cell({"FAIL": "failed"}.get(row.outcome, row.outcome.lower())),
            *_values(row, objectives),
            _number(row.best_epoch),
            _number(row.epochs),
            Cell("" if row.seconds is None else f"{row.seconds:.1f}", row.seconds),
            *(_cost(row, name) for name in costs),
            *(_parameter(row, name) for name in names),
            *[Cell(row.reason.split("\n")[0])] * has_reasons,
        ]
        for row in rows
    ]


def _values(row: TrialRow, objectives: Sequence[str]) -> list[Cell]:
    """Return the cell of each objective. A pruned trial has the first value only."""
    pairs = zip(objectives, row.values, strict=False)
    found = [Cell(console.format_value(name, value), value) for name, value in pairs]
    return found + [Cell("")] * (len(objectives) - len(found))


def _number(value: int | None) -> Cell:
    return Cell("" if value is None else str(value), value)


def _cost(row: TrialRow, name: str) -> Cell:
    cost = row.costs.get(name)
    return Cell("") if cost is None else Cell(format_cost(cost), cost)


def _parameter(row: TrialRow, name: str) -> Cell:
    if name not in row.params:
        return Cell("")
    value = row.params[name]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Cell(console.short(value), value)
    return Cell(console.short(value))


def _table(
    rows: Sequence[TrialRow], front: Sequence[TrialRow], parameters: Sequence[Parameter], objectives: Sequence[str]
) -> str:
    headings, cells = trial_table(rows, parameters, objectives)
    best = {row.number for row in front}
    head = "".join(map(_heading, headings, zip(*cells, strict=True)))
    lines = [
        ('<tr class="best">' if row.number in best else "<tr>") + "".join(map(_cell, line)) + "</tr>"
        for row, line in zip(rows, cells, strict=True)
    ]
    body = "\n".join(lines)
    return f'<div class="box trials"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _heading(text: str, cells: Sequence[Cell]) -> str:
    """Return the heading of a column. A long dotted name may be broken, but not into very short parts."""
    kind = ' class="number"' if any(cell.number is not None for cell in cells) else ""
    breakable = as_html(text).replace(".", ".<wbr>").replace("_", "_<wbr>")
    width = min(len(text) // 2 + 3, 28)
    return f'<th scope="col"{kind} style="min-width: {width}ch"><button type="button">{breakable}</button></th>'


def _cell(cell: Cell) -> str:
    if cell.number is None:
        return f'<td title="{as_html(cell.text)}">{as_html(cell.text)}</td>'
    return f'<td class="number" data-sort="{cell.number!r}">{as_html(cell.text)}</td>'
