"""Lines, warnings, tables and addresses in the terminal."""

import io
from collections.abc import Callable

import pytest

from src import console
from src.results import RegistrationResult
from tests.support.terminal import use_terminal
from tests.support.workplace import ROOT

LONG = " ".join(f"word{number}" for number in range(100)) + " " + "/folder" * 40


PAIRS = {"network": "lenot, 61,706 parameters", "data": "mnist [x] " + "word " * 30 + "the end"}


def test_pairs_are_aligned_and_whole_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    console.say_pairs(PAIRS)
    assert capsys.readouterr().out.splitlines() == [f"network  {PAIRS['network']}", f"data     {PAIRS['data']}"]


@pytest.mark.parametrize("columns", [80, 120])
def test_pairs_are_wrapped_below_their_text_in_a_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = use_terminal(monkeypatch, columns)
    console.say_pairs(PAIRS)
    shown = screen.getvalue().splitlines()
    assert max(map(len, shown)) <= columns
    assert [line[:9].strip() for line in shown] == ["network", "data", *[""] * (len(shown) - 2)]
    assert " ".join(line[9:] for line in shown[1:]) == PAIRS["data"]


def text_in_box(shown: str) -> str:
    """Return the text between the sides of a box, without the spaces."""
    return "".join(line.strip("│ ") for line in shown.splitlines()[1:-1]).replace(" ", "")


def test_a_warning_shows_every_word_of_any_length_inside_its_box(capsys: pytest.CaptureFixture[str]) -> None:
    console.warn([LONG, "the end"])
    shown = capsys.readouterr().out
    assert "WARNING" in shown.splitlines()[0]
    assert text_in_box(shown) == (LONG + "the end").replace(" ", "")
    assert len({len(line) for line in shown.splitlines()}) == 1


def test_without_a_warning_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    console.warn([])
    assert capsys.readouterr().out == ""


def test_a_line_is_printed_whole_with_its_brackets_at_any_length(capsys: pytest.CaptureFixture[str]) -> None:
    console.say(f"{LONG} model.dense=[120] [red]")
    assert capsys.readouterr().out == f"{LONG} model.dense=[120] [red]\n"


def test_secrets_are_hidden_in_lines_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("kept in postgresql://ada:hunter2@db/runs")
    console.warn(["cannot reach postgresql://ada:hunter2@db/runs"])
    console.say_pairs({"store": "postgresql://ada:hunter2@db/runs"})
    shown = capsys.readouterr().out
    assert "hunter2" not in shown
    assert shown.count("postgresql://ada:***@db/runs") == 3


HIDDEN = "(replace *** with what it hides)"
PAGE = "#/experiments/7/runs/abc?workflowType=machine_learning"


@pytest.fixture
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(ROOT)


@pytest.mark.usefixtures("in_the_project")
@pytest.mark.parametrize(
    ("uri", "command"),
    [
        ("sqlite:///mlflow.db", "`make ui`"),
        ("sqlite:///.debug/mlflow.db", f"`make ui URI=sqlite:///{ROOT}/.debug/mlflow.db`"),
        ("postgresql://db/runs", "`make ui URI=postgresql://db/runs`"),
        ("postgresql://ada:hunter2@db/runs", f"`make ui 'URI=postgresql://ada:***@db/runs'` {HIDDEN}"),
        ("postgresql://ada:it's$2@db/runs", f"`make ui 'URI=postgresql://ada:***@db/runs'` {HIDDEN}"),
    ],
)
def test_a_run_in_a_database_is_printed_with_the_command_that_shows_it(
    uri: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    console.say_where("abc", "7", uri)
    assert capsys.readouterr().out == f"run abc: {command} shows it at http://127.0.0.1:5000/{PAGE}\n"


def test_a_run_on_a_server_is_printed_with_its_page_there_and_no_password(capsys: pytest.CaptureFixture[str]) -> None:
    console.say_where("abc", "7", "https://ada:hunter2@mlflow.example/team/")
    assert capsys.readouterr().out == f"run abc: https://mlflow.example/team/{PAGE}\n"


def test_the_address_of_a_run_is_on_one_line_in_a_narrow_terminal(terminal: io.StringIO) -> None:
    console.say_where("abc", "7", "https://mlflow.example" + "/team" * 30)
    assert f"/team/{PAGE}\n" in terminal.getvalue()


@pytest.mark.usefixtures("in_the_project")
@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (80, ["run abc: `make ui` shows it at", f"http://127.0.0.1:5000/{PAGE}"]),
        (120, [f"run abc: `make ui` shows it at http://127.0.0.1:5000/{PAGE}"]),
    ],
)
def test_the_address_of_a_run_begins_a_line_where_a_terminal_is_too_narrow_for_both(
    columns: int, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = use_terminal(monkeypatch, columns)
    console.say_where("abc", "7", "sqlite:///mlflow.db")
    assert screen.getvalue().splitlines() == shown


@pytest.mark.usefixtures("in_the_project")
def test_a_registered_version_is_printed_with_its_page(capsys: pytest.CaptureFixture[str]) -> None:
    kept = RegistrationResult(
        name="mnist", version=3, is_new=True, run_id="abc", alias="champion", moved=True, reason="the first"
    )
    console.say_registration(kept, "sqlite:///mlflow.db")
    page = "http://127.0.0.1:5000/#/models/mnist/versions/3?workflowType=machine_learning"
    assert capsys.readouterr().out.splitlines() == [
        "version 3 of mnist: the model of run abc",
        "champion now points to it: the first",
        f"version 3 of mnist: `make ui` shows it at {page}",
    ]


def test_a_table_keeps_every_cell_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console.table("layers of net", ("layer", "parameters"), [("conv_0", "1,560"), ("a" * 150, "9")])
    shown = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in shown if line.strip("─ ")]
    assert rows == [["layers", "of", "net"], ["layer", "parameters"], ["conv_0", "1,560"], ["a" * 150, "9"]]
    assert [line.rstrip()[-1] for line in shown if "conv_0" in line or "aaa" in line] == ["0", "9"]
    assert len({len(line.rstrip()) for line in shown if "conv_0" in line or "aaa" in line}) == 1


LITERAL = "[data/mnist] [/x] [red] 1:100:1"


@pytest.mark.parametrize(
    "show", [console.say, lambda text: console.warn([text]), lambda text: console.table("t", ("a",), [(text,)])]
)
def test_text_is_shown_literally(show: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    show(LITERAL)
    assert LITERAL in capsys.readouterr().out


def test_a_table_cuts_nothing_off_in_a_narrow_terminal(terminal: io.StringIO) -> None:
    console.table("layers", ("layer", "formula"), [("z" * 100, "9")])
    assert terminal.getvalue().count("z") == 100


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (5_300_000, "5.3 MB"),
        (4 * 10**15, "4,000.0 TB"),
    ],
)
def test_a_size_has_a_unit_that_fits(count: int, text: str) -> None:
    assert console.size(count) == text
