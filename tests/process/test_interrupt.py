"""Ctrl-C and SIGTERM end a command with their own exit code, and wait while something is being written."""

import contextlib
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from src.process.interrupt import Interrupted, deferred, release, released_if
from tests.support.workplace import Workplace

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("signals_are_ours")
SIGNALS = pytest.mark.parametrize(("signum", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])


# --- one signal, one exception -------------------------------------------------------------------------------------


@SIGNALS
def test_a_signal_is_raised_with_the_exit_code_that_a_shell_reports(signum: signal.Signals, exit_code: int) -> None:
    with pytest.raises(Interrupted, match=f"^stopped by {signum.name}$") as stop:
        signal.raise_signal(signum)
    assert stop.value.exit_code == exit_code


def test_a_loop_over_errors_does_not_swallow_an_interruption() -> None:
    assert not issubclass(Interrupted, Exception)
    assert issubclass(Interrupted, KeyboardInterrupt)  # so that Keras and notebooks treat it as Ctrl-C


# --- deferred ------------------------------------------------------------------------------------------------------

Step = str | signal.Signals | Exception | tuple["Step", ...]


def save(written: list[str], *steps: Step) -> None:
    """A deferred block that writes each text, raises each signal and error, and runs each tuple as a block inside."""
    with deferred():
        for step in steps:
            match step:
                case str():
                    written.append(step)
                case signal.Signals():
                    signal.raise_signal(step)
                case Exception():
                    raise step
                case _:
                    save(written, *step)


def test_a_block_in_another_thread_holds_no_signal_back() -> None:
    entered, left = threading.Event(), threading.Event()

    def work() -> None:
        with deferred():
            entered.set()
            left.wait(60)

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait(60)
    with pytest.raises(Interrupted):
        signal.raise_signal(signal.SIGTERM)
    left.set()
    thread.join()


@SIGNALS
def test_a_signal_waits_until_the_block_is_done(signum: signal.Signals, exit_code: int) -> None:
    written: list[str] = []
    with pytest.raises(Interrupted) as stop:
        save(written, "half", signum, "the rest")
    assert written == ["half", "the rest"]
    assert stop.value.exit_code == exit_code


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_goes_through_at_once(second: signal.Signals) -> None:
    written: list[str] = []
    with pytest.raises(Interrupted):
        save(written, signal.SIGINT, "half", second, "the rest")
    assert written == ["half"]


def test_a_long_block_is_left_where_it_lets_a_signal_through() -> None:
    reached: list[str] = []

    def work() -> None:
        with deferred():
            release()
            reached.append("first part")
            signal.raise_signal(signal.SIGTERM)
            reached.append("second part")
            release()
            reached.append("third part")

    with pytest.raises(Interrupted):
        work()
    assert reached == ["first part", "second part"]


def test_nested_blocks_hold_a_signal_until_the_outermost_is_done() -> None:
    written: list[str] = []
    with pytest.raises(Interrupted):
        save(written, (signal.SIGINT, "inner"), "outer")
    assert written == ["inner", "outer"]


def test_a_block_without_a_signal_ends_quietly() -> None:
    written: list[str] = []
    save(written, "all of it")
    assert written == ["all of it"]


def test_an_error_in_a_block_is_not_swallowed() -> None:
    with pytest.raises(OSError, match="disk full"):
        save([], OSError("disk full"))


def test_a_signal_that_was_held_during_an_error_still_stops_the_process() -> None:
    with pytest.raises(Interrupted) as stop:
        save([], signal.SIGTERM, OSError("disk full"))
    assert isinstance(stop.value.__context__, OSError)


@pytest.mark.parametrize("signals", [0, 1, 2])
def test_a_block_leaves_nothing_behind_for_the_next(signals: int) -> None:
    with contextlib.suppress(Interrupted):
        save([], *[signal.SIGINT] * signals)
    with pytest.raises(Interrupted):
        signal.raise_signal(signal.SIGINT)
    save([], "no signal is left over")


@SIGNALS
def test_a_signal_that_is_held_back_is_raised_once_its_block_is_stuck(signum: signal.Signals, exit_code: int) -> None:
    answers = iter([False, False, True])

    def wait_in_vain() -> None:
        with deferred(), released_if(lambda frame: next(answers)):
            signal.raise_signal(signum)
            threading.Event().wait(60)
            raise AssertionError("not interrupted")

    with pytest.raises(Interrupted) as stop:
        wait_in_vain()
    assert stop.value.exit_code == exit_code
    assert next(answers, None) is None


def test_a_signal_that_came_before_the_block_is_raised_too() -> None:
    def wait_in_vain() -> None:
        with deferred():
            signal.raise_signal(signal.SIGINT)
            with released_if(lambda frame: True):
                threading.Event().wait(60)
            raise AssertionError("not interrupted")

    with pytest.raises(Interrupted):
        wait_in_vain()


def test_a_block_that_is_not_stuck_is_completed() -> None:
    steps: list[str] = []
    asked = threading.Event()

    def is_stuck(frame: object) -> bool:
        asked.set()
        return False

    def work() -> None:
        with deferred():
            with released_if(is_stuck):
                signal.raise_signal(signal.SIGINT)
                asked.wait(60)
                steps.append("inside")
            steps.append("after")

    with pytest.raises(Interrupted):
        work()
    assert steps == ["inside", "after"]
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)  # an alarm would kill a process that has nearly ended


@pytest.mark.parametrize("module", ["src.train", "pipelines.best_of_sweep", "src.sweep"])
def test_ctrl_c_ends_a_command_that_is_still_importing_with_one_sentence(workplace: Workplace, module: str) -> None:
    for library in ("hydra", "optuna", "rich"):  # found here before the installed ones
        (workplace.folder / f"{library}.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    done = workplace.run(module, "status")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped by SIGINT\n")


def test_a_program_of_somebody_else_handles_ctrl_c_itself() -> None:
    code = "import signal; before = signal.getsignal(signal.SIGINT); import src; assert signal.getsignal(2) == before"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
