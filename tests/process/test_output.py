"""A command whose output cannot be written anymore continues."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.workplace import ROOT, Workplace

PRINTS = {"print": "print('line', flush=True)", "rich": "console.say('line')"}
SCRIPT = """
import sys
from src import console
from src.process.output import lasting_output

with lasting_output():
    {prints}
    sys.stdin.readline()  # meanwhile the test stops reading
    for _ in range(3):
        {prints}
    print("a line", file=sys.stderr, flush=True)
print("after the block", file=sys.stderr)
"""
LOST = "the output cannot be written ({reason}); this command continues without it."


def started(prints: str, output: int, *flags: str, errors: int = subprocess.PIPE) -> subprocess.Popen[str]:
    command = [sys.executable, *flags, "-c", SCRIPT.format(prints=PRINTS[prints])]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=output, stderr=errors, text=True, start_new_session=True
    )


def end_of(process: subprocess.Popen[str]) -> list[str]:
    """The lines of the error stream, without its output."""
    with process:
        _, err = process.communicate("\n", timeout=60)
    assert process.returncode == 0, err
    return (err or "").splitlines()


@pytest.mark.parametrize("flags", [(), ("-u",)])
@pytest.mark.parametrize("prints", PRINTS)
def test_a_reader_that_ends_is_named_once_and_the_command_continues(prints: str, flags: tuple[str, ...]) -> None:
    ours, theirs = os.pipe()
    process = started(prints, theirs, *flags)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as reader:
        assert reader.readline() == b"line\n"
    lost, *others = end_of(process)
    assert lost.startswith(LOST.format(reason="Broken pipe"))
    assert others == ["a line", "after the block"]


@pytest.mark.parametrize("prints", PRINTS)
def test_a_reader_of_both_streams_may_end(prints: str) -> None:
    ours, theirs = os.pipe()
    process = started(prints, theirs, errors=theirs)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as reader:
        assert reader.readline() == b"line\n"
    assert end_of(process) == []


@pytest.mark.parametrize("prints", PRINTS)
def test_a_terminal_that_was_closed_does_not_end_the_command(prints: str) -> None:
    ours, theirs = pty.openpty()
    process = started(prints, theirs)
    os.close(theirs)
    assert b"line" in os.read(ours, 100)
    os.close(ours)
    lost, *others = end_of(process)
    assert lost.startswith(LOST.format(reason="Input/output error"))
    assert others == ["a line", "after the block"]


@pytest.mark.parametrize("prints", PRINTS)
def test_a_full_disk_does_not_end_the_command(prints: str) -> None:
    with Path("/dev/full").open("w") as full:
        process = started(prints, full.fileno())
    lost, *others = end_of(process)
    assert lost.startswith(LOST.format(reason="No space left on device"))
    assert others == ["a line", "after the block"]


@pytest.mark.services
@pytest.mark.parametrize("typed", [(), ("-m", "seed=1,2")], ids=["a training", "a sweep"])
def test_a_training_finishes_when_nothing_reads_its_output(typed: tuple[str, ...], workplace: Workplace) -> None:
    small = ("dataset=synthetic", "dataset.train_size=300", "training.epochs=2", "tracking.detail=light")
    with workplace.start("src.train", *typed, *small) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 0, err
    assert err.count("the output cannot be written (Broken pipe)") == 1
    done = workplace.run("src.doctor")
    assert done.stdout.strip().endswith("nothing is wrong in sqlite:///mlflow.db")
    assert "was stopped" not in done.stdout
