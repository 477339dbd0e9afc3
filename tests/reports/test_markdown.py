"""Names in the descriptions of runs are shown as they are, with all their characters."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from src.reports.markdown import Markdown, escape, link, table

render = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render


@pytest.mark.parametrize("name", ["lenot", "cnn_mnist_v1", "trial-007", "Müller's data, 2nd", "0.9912", "-", "a: b"])
def test_a_name_without_markdown_stays_as_it_is(name: str) -> None:
    assert escape(name) == name


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("a|b", "a&#124;b"),
        ("[x](http://a.b)", "&#91;x&#93;(http&#58;//a.b)"),
        ("![x](y)", "!&#91;x&#93;(y)"),
        ("<img src=x>", "&#60;img src=x&#62;"),
        ("*a* _b_ `c`", "&#42;a&#42; &#95;b&#95; &#96;c&#96;"),
        ("@ada :smile: www.a.b", "&#64;ada &#58;smile: www&#46;a.b"),
        ("a &amp; b\\", "a &#38;amp; b&#92;"),
        ("- a", "&#45; a"),
        ("1. a", "1&#46; a"),
        ("# a\nb", "&#35; a b"),
    ],
)
def test_a_name_with_markdown_is_escaped(name: str, escaped: str) -> None:
    assert escape(name) == escaped


@given(st.text(st.sampled_from("ab1 .-_*|[]()!<>&#`~\\:/@=+\n"), min_size=1))
def test_an_escaped_name_is_rendered_literally(name: str) -> None:
    shown = " ".join(name.split())
    for markdown in (escape(name), escape(escape(name))):
        assert render(f"name: {markdown}") == f"<p>name: {html.escape(shown)}</p>\n".replace(" </p>", "</p>")


@given(st.text(st.sampled_from("ab|[]()<>\\`_*"), min_size=1))
def test_a_cell_is_rendered_literally_and_in_its_column(name: str) -> None:
    shown = render(table(("a", "b"), [(name, link(name, "#/runs/1"))]))
    assert f'<td>{html.escape(name)}</td>\n<td><a href="#/runs/1">{html.escape(name)}</a></td>\n</tr>' in shown


def test_a_table_has_its_columns_and_rows() -> None:
    assert table(("trial", "loss"), [(link(3, "#/x"), 0.5), ("-", None)]) == (
        "| trial | loss |\n|---|---|\n| [3](#/x) | 0.5 |\n| - | None |"
    )


def test_a_secret_is_hidden_before_it_is_escaped() -> None:
    assert escape("postgresql://ada:hunter2@db/runs") == "postgresql&#58;//ada:&#42;&#42;&#42;&#64;db/runs"


def test_without_a_page_there_is_no_link() -> None:
    assert link("a|b", None) == "a&#124;b"
    assert isinstance(link("a", "#/x"), Markdown)
