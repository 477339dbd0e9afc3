"""Markdown for the descriptions of runs, in which names are never read as Markdown."""

import re
from collections.abc import Iterable, Sequence

from src.redact import redact

# Characters that mean something in Markdown or HTML. The UI's renderer (Showdown) also knows mentions such as @name,
# emojis such as :name:, and links without brackets. An underscore inside a word is only that.
SPECIAL = re.compile(
    r"[\\`*\[\]|~@<>&]|(?<![^\W_])_|_(?![^\W_])"
    r"|:(?=//|\w+:)|(?<=www)\."
    r"|^[-+#=](?=[-+#=\s])|^\d+[.)](?=\s)"  # at the start of a line: lists, headings, rules
)


class Markdown(str):
    """Text that is Markdown already, which `escape` leaves as it is."""

    __slots__ = ()


def escape(text: object) -> Markdown:
    """Return Markdown that shows the text literally, on one line, in sentences, tables and links.

    Secrets are hidden first, because an escaped address no longer looks like one.
    """
    if isinstance(text, Markdown):
        return text
    return Markdown(SPECIAL.sub(_entities, " ".join(redact(str(text)).split())))


def link(text: object, page: str | None) -> Markdown:
    """Return a link to a page of the UI, and the text alone when there is no page."""
    return escape(text) if page is None else Markdown(f"[{escape(text)}]({page})")


def table(columns: Sequence[object], rows: Iterable[Sequence[object]]) -> Markdown:
    """Return a table. Cells are shown literally unless they are `Markdown`, such as those from `link`."""
    lines = [f"| {' | '.join(map(escape, cells))} |" for cells in (columns, *rows)]
    return Markdown("\n".join([lines[0], "|---" * len(columns) + "|", *lines[1:]]))


def _entities(found: re.Match[str]) -> str:
    return "".join(character if character.isalnum() else f"&#{ord(character)};" for character in found[0])
