"""Plain English: phrases that have no correct use in this project, in whatever file they are."""

import re
import subprocess
import sys

import pytest

from tests.support.workplace import ROOT

# A phrase as a regular expression -> what to write instead. In names, an underscore counts as a space.
PHRASES = {
    r"beside\b": "besides, other than, next to",
    r"(?<!there )\b(is|are|was) no (?!longer\b|more\b|less\b|better\b|faster\b|larger\b)\w+": "is not a, has no",
    r"\bstands\b(?! for\b| in for\b)": "is, is stored, is listed",
    r"\b(go|goes|going|went) on\b": "resume, continue",
    r"\btaken? up again\b": "resumed",
    r"\b(tells|told)\b": "reports, says, the message",
    r"\bleav\w+ it out\b": "remove `key=value`, unset the variable",
    r"\bpass\w* (it |them )?over\b": "skipped",
    r"\b(whoever|whatever|whichever)\b": "anyone, any process, every",
    r"\bfor ever\b": "forever",
    r"\bmend(s|ed|ing)?\b": "fix, repair",
    r"\b[Ss]o (many|much)\b": "N, up to N",
    r"\b(whole number|memory is full)\b": "integer; out of memory",
    r"\bis being kept\b": "keeps",
    r"\b(MOST|LEAST) [A-Z]": "MAX_, MIN_",
}
BINARY = (".png", ".xz", ".ipynb", ".lock")
ELSEWHERE = ("LICENSE", "tests/test_language.py")


def tracked_texts() -> dict[str, str]:
    """The tracked text files by path."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return {
        name: (ROOT / name).read_text(encoding="utf-8")
        for name in names
        if not name.endswith(BINARY) and name not in ELSEWHERE and (ROOT / name).is_file()
    }


TEXTS = tracked_texts()


def places(phrase: str, text: str) -> list[str]:
    """Each line that contains the phrase, with its number."""
    lines = enumerate(text.splitlines(), start=1)
    return [f"{number}: {line.strip()}" for number, line in lines if re.search(phrase, line.replace("_", " "))]


@pytest.mark.parametrize("phrase", PHRASES)
def test_no_file_contains_a_phrase_that_has_a_plainer_form(phrase: str) -> None:
    found = [f"{name}:{place}" for name, text in TEXTS.items() for place in places(phrase, text)]
    assert not found, f"write {PHRASES[phrase]} instead:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("sentence", "is_plain"),
    [
        ("3 trials are stored beside it", False),
        ("besides, it is stored next to it", True),
        ("'x' is no address of a database", False),
        ("there is no address, and it is no longer used", True),
        ("def test_the_file_stands_in_the_folder():", False),
        ("the same command goes on", False),
        ("MOST_TRIALS = 10", False),
        ("most trials are pruned", True),
    ],
)
def test_the_phrases_are_found_in_text_and_in_names_and_their_plain_forms_are_not(
    sentence: str, is_plain: bool
) -> None:
    assert is_plain == (not any(places(phrase, sentence) for phrase in PHRASES))


@pytest.mark.parametrize("folder", ["src", "pipelines", "hydra_plugins", "benchmarks", "docs/drawings"])
def test_a_docstring_begins_with_what_something_does_or_is(folder: str) -> None:
    riddle = re.compile(r'^\s*r?"""(What|Whether|How|Who|Where|Why|Which)\b')
    lines = {name: text.splitlines() for name, text in TEXTS.items() if name.startswith(f"{folder}/")}
    found = [
        f"{name}:{n}: {line.strip()}"
        for name, text in lines.items()
        for n, line in enumerate(text, 1)
        if riddle.match(line)
    ]
    assert not found, "\n".join(found)


def test_the_spelling_is_american_and_without_typing_errors() -> None:
    done = subprocess.run([sys.executable, "-m", "codespell_lib", *TEXTS], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
