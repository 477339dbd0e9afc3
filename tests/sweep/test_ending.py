"""How a sweep ends: its status, its last lines and its error, for each thing that may end it."""

import signal
from functools import cache
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from src.errors import StoreError, UserError
from src.process.interrupt import Interrupted
from src.results import Counts, SweepResult
from src.space import SweepPlan
from src.sweep.ending import Ending, StoppedElsewhere
from src.sweep.opening import Sweep
from src.sweep.worker import Job
from src.tracking import NullRun, Store, StudyId
from tests.support.sweeps import plan

CTRL_C = Interrupted(signal.SIGINT)
ELSEWHERE = StoppedElsewhere("stopped elsewhere")
FAILED = UserError("too many failures")
UNREACHABLE = StoreError("no store")
OUTAGE = OperationalError("select 1", {}, Exception("no route to host"))
RESUME, ONCE = "resume with: python -m", "once that works again, resume with: python -m"


@cache
def planned() -> SweepPlan:
    return plan("seed=1,2")


def ending_after(*errors: BaseException | None, complete: int = 1, running: int = 0) -> Ending:
    """The ending of a sweep of two trials without tracking, after blocks that raised these errors."""
    claims: Any = None  # asked for nothing here
    job = Job(planned(), StudyId("grid", "0123"), None, n_trials=2, queue=[], first=0, starter="me", deadline=None)
    ending = Ending(Sweep(job, claims, Store(None, ""), NullRun(), [], []))
    for error in errors:
        with ending:
            if error is not None:
                raise error
    counts = Counts(complete=complete, pruned=0, failed=0, running=running, retried=0)
    ending.result = SweepResult(study_name="grid", run_id=None, counts=counts)
    ending.close_run()
    return ending


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (None, "FINISHED", RESUME),
        (CTRL_C, "KILLED", RESUME),
        (ELSEWHERE, "KILLED", RESUME),
        (UNREACHABLE, "FAILED", ONCE),
        (OUTAGE, "FAILED", ONCE),
        (FAILED, "FAILED", None),
    ],
)
def test_with_trials_left_the_status_and_the_way_to_resume_follow_from_what_ended_the_sweep(
    error: BaseException | None, status: str, line: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    ending = ending_after(error)
    assert ending.status == status
    if error is None:
        assert ending.conclude() == ending.result
    else:
        with pytest.raises(type(error) if error is not OUTAGE else StoreError):
            ending.conclude()
    counts, *more = capsys.readouterr().out.splitlines()
    assert counts == "1 trial: 1 complete"
    assert [printed.startswith(str(line)) for printed in more] == [True] * (line is not None)


def test_an_outage_of_the_study_is_an_error_that_names_its_storage() -> None:
    with pytest.raises(StoreError, match=r"^sqlite:///optuna\.db failed during the sweep: .*no route to host"):
        ending_after(OUTAGE).conclude()


@pytest.mark.parametrize("error", [CTRL_C, ELSEWHERE])
def test_a_request_to_stop_that_comes_after_the_last_trial_is_ignored(
    error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    ending = ending_after(error, complete=2)
    assert (ending.status, ending.conclude()) == ("FINISHED", ending.result)
    assert capsys.readouterr().out == "2 trials: 2 complete\n"


def test_of_two_errors_the_first_is_raised_and_the_second_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    ending = ending_after(FAILED, UNREACHABLE)
    assert "the results could not be written: no store" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"^too many failures$"):
        ending.conclude()
