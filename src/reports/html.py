"""The frame of the pages about sweeps and data sets. They are one file each and work offline."""

from collections.abc import Iterable, Sequence
from html import escape

from src.redact import redact

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: white; max-width: 1300px; margin: 0 auto;
       padding: 16px 24px; }
h1 { font-size: 24px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 32px 0 0; }
p { margin: 4px 0 8px; overflow-wrap: anywhere; }
.box { overflow: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: 13px; }
th { position: sticky; top: 0; background: #f3f3f3; text-align: left; }
td { border-top: 1px solid #eee; }
"""


def page(title: str, body: Iterable[str], style: str, script: str = "") -> str:
    """Return a whole page as HTML.

    Args:
        title: the title of the page, and its heading; plain text.
        body: what comes below the heading; HTML.
        style: rules in addition to those of every page.
        script: JavaScript that the body needs.
    """
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{as_html(title)}</title><style>{STYLE}{style.lstrip()}</style>",
            *([f"<script>{script}</script>"] if script else []),
            f"</head><body>\n<h1>{as_html(title)}</h1>",
            *body,
            "</body></html>",
            "",
        ]
    )


def html_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of plain text as HTML; its header is left out if no column has a name."""
    head = "".join(f'<th scope="col">{as_html(column)}</th>' for column in columns)
    head = f"<thead><tr>{head}</tr></thead>" if any(columns) else ""
    body = "\n".join("<tr>" + "".join(f"<td>{as_html(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="box"><table>{head}<tbody>\n{body}\n</tbody></table></div>'


def as_html(plain: str) -> str:
    """Return plain text as HTML, without its secrets."""
    return escape(redact(plain))
