"""Claims: a study has exactly as many trials as its settings say, even if processes are stopped or killed."""

import contextlib
import itertools
import random
import time
import uuid
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from src.schema import Interval
from src.study import Claims, NoTrial, Patience, Storage, open_storage, picker, trial_rows
from src.study.attempts import EXTRA_LOSSES, LOST
from tests.support.studies import (
    SPAWN,
    claimed,
    claims_on,
    closing_storage,
    draw,
    exit_codes,
    opened,
    run_all,
    started,
)

End = Callable[[Claims, optuna.Trial, str], bool]
ENDS: dict[str, End] = {
    "complete": lambda claims, trial, owner: claims.complete(trial, owner, 0.5, {}),
    "prune": lambda claims, trial, owner: claims.prune(trial, owner, {}),
    "fail": lambda claims, trial, owner: claims.fail(trial, owner, "it raised", {}),
    "interrupt": lambda claims, trial, owner: claims.interrupt(trial, owner, "it was stopped"),
}
EACH_END = pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())


class Crash(BaseException):
    """Nothing catches it, as nothing catches a SIGKILL."""


def crash(trial: optuna.Trial | None) -> None:
    raise Crash


def states(claims: Claims) -> str:
    """A letter for each trial, small for one that was interrupted."""
    trials = claims.trials()
    return "".join(
        trial.state.name[0].lower() if trial.user_attrs.get("interrupted") else trial.state.name[0] for trial in trials
    )


# --- which trial comes next ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_trials", [1, 5])
def test_one_worker_runs_exactly_as_many_trials_as_were_asked_for(memory: Storage, n_trials: int):
    claims = claims_on(memory, n_trials=n_trials)
    assert run_all(claims) == NoTrial.DONE
    assert [trial.number for trial in claims.trials()] == list(range(n_trials))
    assert states(claims) == "C" * n_trials


def test_a_larger_number_of_trials_resumes_the_study(memory: Storage):
    run_all(claims_on(memory, "larger", n_trials=2))
    claims = claims_on(memory, "larger", n_trials=5)
    run_all(claims)
    assert states(claims) == "CCCCC"
    assert len({trial.params["x"] for trial in claims.trials()}) == 5


def test_what_is_queued_comes_first_and_in_order_then_the_sampler_proposes(memory: Storage):
    claims = claims_on(memory, n_trials=5, queue=[{"x": 0.75}, {"x": 0.25}, {"x": 0.5}])
    run_all(claims)
    assert [trial.params["x"] for trial in claims.trials()][:3] == [0.75, 0.25, 0.5]
    assert len({trial.params["x"] for trial in claims.trials()}) == 5


def test_what_was_queued_and_tried_before_is_not_tried_again(memory: Storage):
    queue = [{"x": 0.75}, {"x": 0.25}]
    run_all(claims_on(memory, "queued", n_trials=1, queue=queue))
    claims = claims_on(memory, "queued", n_trials=2, queue=queue)
    run_all(claims)
    assert [trial.params for trial in claims.trials()] == queue


def test_a_trial_left_waiting_by_a_crash_is_the_next_one(memory: Storage):
    claims = claims_on(memory, n_trials=2, queue=[{"x": 0.75}, {"x": 0.25}])
    # as earlier versions did it, which created a trial before they claimed it
    claims.study.enqueue_trial({"x": 0.75}, user_attrs={"queued": '{"x": 0.75}'})
    assert states(claims) == "W"
    run_all(claims)
    assert [trial.params["x"] for trial in claims.trials()] == [0.75, 0.25]
    assert states(claims) == "CC"


def test_while_others_run_the_last_trials_one_waits_and_after_them_all_is_done(memory: Storage):
    claims = claims_on(memory, n_trials=1)
    with claims.alive("me"):
        trial = claimed(claims)
        assert claims.claim("other", draw) == NoTrial.WAIT
        claims.complete(trial, "me", 0.5, {})
    assert claims.claim("other", draw) == NoTrial.DONE


def test_a_trial_that_cannot_be_drawn_is_the_callers_all_the_same(memory: Storage):
    claims = claims_on(memory, n_trials=1)
    found = claims.claim("me", lambda trial: [draw(trial), 1 / 0])
    assert not isinstance(found, NoTrial)
    trial, error = found
    assert isinstance(error, ZeroDivisionError)
    assert claims.fail(trial, "me", "it cannot be drawn", {}) is True
    assert claims.is_done()


def test_a_trial_whose_owner_lives_is_left_alone(memory: Storage):
    claims = claims_on(memory, n_trials=2)
    with claims.alive("me"):
        claimed(claims)
        assert claims.give_up_dead() == []
        assert claimed(claims, "other").number == 1
        assert claims.trials()[0].state == TrialState.RUNNING


# --- the dead ------------------------------------------------------------------------------------------------------


def dies_while_it_runs(claims: Claims) -> None:
    claimed(claims, "somebody who is not alive")


def dies_before_it_has_its_name_on_the_trial(claims: Claims) -> None:
    draw(claims.study.ask())


@pytest.mark.parametrize("die", [dies_while_it_runs, dies_before_it_has_its_name_on_the_trial])
def test_a_dead_ones_trial_becomes_interrupted_and_is_tried_again(memory: Storage, die: Callable[[Claims], None]):
    claims = claims_on(memory, n_trials=1)
    die(claims)
    assert claimed(claims).number == 1
    dead, retry = claims.trials()
    assert (dead.state, dead.user_attrs["interrupted"]) == (TrialState.FAIL, True)
    assert dead.user_attrs["reason"] == "its worker was killed"
    assert retry.params == dead.params
    assert (retry.user_attrs["retries"], retry.user_attrs["retry_of"]) == (1, 0)


def test_what_was_queued_is_tried_again_when_its_owner_dies_before_it_has_drawn(memory: Storage):
    queue = [{"x": 0}, {"x": 1}, {"x": 2}]
    claims = claims_on(memory, n_trials=3, queue=queue, sampler="grid")
    with claims.alive("me"):
        for _ in range(2):
            found = claims.claim("me", lambda trial: picker(trial)(Interval("x", 0, 2)))
            assert not isinstance(found, NoTrial)
            claims.complete(found[0], "me", 0.5, {})
        with pytest.raises(Crash):
            claims.claim("the dying", crash)
        while not isinstance(found := claims.claim("me", lambda trial: picker(trial)(Interval("x", 0, 2))), NoTrial):
            claims.complete(found[0], "me", 0.5, {})
    assert [trial.params for trial in claims.trials() if trial.state == TrialState.COMPLETE] == queue


def test_a_retry_that_dies_before_its_parameters_are_drawn_is_tried_again(memory: Storage):
    claims = claims_on(memory, n_trials=1)
    claims.interrupt(claimed(claims), "me", "Ctrl-C")
    with pytest.raises(Crash):
        claims.claim("the dying", crash)
    run_all(claims)
    first, _, third = claims.trials()
    assert third.params == first.params


@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_a_trial_that_dies_too_often_counts_as_failed(memory: Storage, max_retries: int):
    claims = claims_on(memory, n_trials=1, max_retries=max_retries)
    for _ in range(max_retries + 1):
        dies_while_it_runs(claims)
    assert claims.claim("me", draw) == NoTrial.DONE
    counts = claims.counts()
    assert (counts.failed, counts.retried) == (1, max_retries)
    assert len({trial.params["x"] for trial in claims.trials()}) == 1


def test_each_of_the_dead_has_its_trial_tried_again_once(memory: Storage):
    claims = claims_on(memory, n_trials=3)
    dies_while_it_runs(claims)
    dies_before_it_has_its_name_on_the_trial(claims)
    dies_before_it_has_its_name_on_the_trial(claims)
    assert claims.give_up_dead() == [0, 1, 2]
    run_all(claims)
    params = [trial.params["x"] for trial in claims.trials()]
    assert params[3:] == params[:3]
    assert states(claims) == "fffCCC"


def test_on_dead_is_called_once_for_each_dead_trial(memory: Storage):
    dead: list[int] = []
    claims = claims_on(memory, n_trials=3, on_dead=dead.append)
    dies_while_it_runs(claims)
    dies_while_it_runs(claims)
    claims.give_up_dead()
    run_all(claims)
    assert dead == [0, 1]


def test_what_shows_that_a_worker_lived_is_gone_after_its_end_or_death(tmp_path: Path):
    with opened(f"sqlite:///{tmp_path / 'optuna.db'}") as storage:
        claims = claims_on(storage, n_trials=2)
        with pytest.raises(Crash), claims.alive("the dying"):
            claims.claim("the dying", crash)
        assert len(list((tmp_path / ".optuna.db.locks").iterdir())) == 2  # the dead one's and the study's
        run_all(claims)
        assert len(list((tmp_path / ".optuna.db.locks").iterdir())) == 1


def test_an_error_in_on_dead_does_not_prevent_a_claim(memory: Storage):
    def cannot(number: int) -> None:
        raise ConnectionError

    claims = claims_on(memory, n_trials=1, on_dead=cannot)
    dies_while_it_runs(claims)
    assert run_all(claims) == NoTrial.DONE
    assert states(claims) == "fC"


@EACH_END
def test_telling_is_refused_when_the_trial_was_taken_over(memory: Storage, end: End):
    claims = claims_on(memory, n_trials=1)
    trial = claimed(claims, "slow")
    claims.give_up_dead()
    before = claims.trials()[0]
    assert end(claims, trial, "slow") is False
    assert claims.trials()[0] == before


@EACH_END
def test_telling_is_refused_for_another_ones_trial(memory: Storage, end: End):
    claims = claims_on(memory, n_trials=1)
    trial = claimed(claims)
    assert end(claims, trial, "other") is False
    assert states(claims) == "R"


# --- how a trial ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "counted"), [("complete", 1), ("prune", 1), ("fail", 1), ("interrupt", 0)])
def test_a_trial_counts_unless_it_was_interrupted(memory: Storage, name: str, counted: int):
    claims = claims_on(memory, n_trials=1)
    assert ENDS[name](claims, claimed(claims), "me") is True
    assert claims.counts().counted == counted
    assert claims.is_done() is bool(counted)


def test_an_interrupted_trial_is_tried_again_next(memory: Storage):
    claims = claims_on(memory, n_trials=2)
    claims.interrupt(claimed(claims), "me", "Ctrl-C")
    run_all(claims)
    first, second, third = claims.trials()
    assert first.user_attrs["reason"] == "Ctrl-C"
    assert (second.params, second.user_attrs["retry_of"]) == (first.params, 0)
    assert third.params != first.params
    assert states(claims) == "fCC"


@pytest.mark.parametrize("name", ["complete", "prune", "fail"])
def test_the_attributes_of_a_trial_are_kept(memory: Storage, name: str):
    claims = claims_on(memory, n_trials=1)
    trial, attributes = claimed(claims), {"run_id": "abc", "epochs": 3}
    if name == "complete":
        claims.complete(trial, "me", 0.25, attributes)
    elif name == "prune":
        claims.prune(trial, "me", attributes)
    else:
        claims.fail(trial, "me", "ValueError: no", attributes)
        attributes["reason"] = "ValueError: no"
    assert attributes.items() <= claims.trials()[0].user_attrs.items()
    assert claims.trials()[0].value == (0.25 if name == "complete" else None)


@pytest.mark.parametrize(("first", "failing"), [(0, True), (1, True), (2, False)])
def test_too_many_failures_in_a_row_of_a_command_end_the_sweep(memory: Storage, first: int, failing: bool):
    name = f"failures-after-{first}"
    before = claims_on(memory, name, n_trials=20)
    for _ in range(4):
        before.fail(claimed(before), "me", "it raised", {})
    claims = claims_on(memory, name, n_trials=20, first=first, max_failures=3)
    assert (claims.claim("me", draw) == NoTrial.FAILING) is failing


def test_a_study_that_has_all_its_trials_is_done_though_the_last_ones_failed(memory: Storage):
    claims = claims_on(memory, n_trials=3, max_failures=3)
    for _ in range(3):
        claims.fail(claimed(claims), "me", "it raised", {})
    assert claims.claim("me", draw) == NoTrial.DONE


# --- counts ------------------------------------------------------------------------------------------


def test_the_counts_tell_every_kind_of_trial(memory: Storage):
    claims = claims_on(memory, n_trials=20, max_retries=1)
    with claims.alive("me"):
        for name, times in (("complete", 3), ("prune", 2), ("fail", 4)):
            for _ in range(times):
                ENDS[name](claims, claimed(claims), "me")
        for _ in range(2):
            dies_while_it_runs(claims)
            claims.give_up_dead()
        claimed(claims)
        claims.study.enqueue_trial({})
        counts = claims.counts()
    # the second killed one was the first one's retry, and its last
    assert (counts.complete, counts.pruned, counts.failed, counts.running, counts.retried) == (3, 2, 5, 2, 1)
    assert counts.counted == 10


def test_a_study_is_not_done_while_its_last_trial_runs(memory: Storage):
    claims = claims_on(memory, n_trials=1)
    trial = claimed(claims)
    assert not claims.is_done()
    claims.complete(trial, "me", 0.5, {})
    assert claims.is_done()


def test_a_study_is_not_done_while_a_trial_runs_that_somebody_else_asked_for(memory: Storage):
    more = claims_on(memory, n_trials=2)
    claims = claims_on(memory, more.study.study_name, n_trials=1)
    claims.complete(claimed(claims), "me", 0.5, {})
    trial = claimed(more)
    assert not claims.is_done()
    more.complete(trial, "me", 0.5, {})
    assert claims.is_done()


# --- all events, in any order --------------------------------------------------------------------------------------

WORKERS = 3
EVENTS = st.lists(st.tuples(st.sampled_from(["claim", "die", *ENDS]), st.integers(0, WORKERS - 1)), max_size=25)


class Worker:
    """A worker that claims and ends trials until it dies; then another one replaces it."""

    def __init__(self, claims: Claims) -> None:
        self.claims = claims
        self.trial: optuna.Trial | None = None
        self.life = contextlib.ExitStack()
        self.die()

    def die(self) -> None:
        self.life.close()
        self.trial = None
        self.owner = uuid.uuid4().hex
        self.life.enter_context(self.claims.alive(self.owner))

    def do(self, event: str) -> None:
        if event == "die":
            self.die()
        elif event == "claim" and self.trial is None:
            found = self.claims.claim(self.owner, draw)
            self.trial = None if isinstance(found, NoTrial) else found[0]
        elif event in ENDS and self.trial is not None:
            assert ENDS[event](self.claims, self.trial, self.owner)
            self.trial = None


@settings(deadline=None, max_examples=60)
@given(events=EVENTS, n_trials=st.integers(1, 6), max_retries=st.integers(0, 2), queued=st.integers(0, 3))
def test_after_any_events_the_study_ends_with_its_number_of_trials(
    memory: Storage, events: list[tuple[str, int]], n_trials: int, max_retries: int, queued: int
):
    queue = [{"x": index / 4} for index in range(queued)]
    claims = claims_on(memory, n_trials=n_trials, max_retries=max_retries, queue=queue)
    workers = [Worker(claims) for _ in range(WORKERS)]
    for event, index in events:
        workers[index].do(event)
        assert claims.counts().counted + claims.counts().running <= n_trials
    for worker in workers:
        worker.life.close()
    assert run_all(claims, "the last") == NoTrial.DONE
    assert_whole(claims, n_trials)
    tried = [trial.params for trial in claims.trials()]
    assert [params for params in queue if params in tried] == queue[:n_trials]


def assert_whole(claims: Claims, n_trials: int) -> None:
    """The study has all its trials, each retry is one of an interrupted trial, and nothing is left over."""
    trials, counts = claims.trials(), claims.counts()
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    assert (counts.counted, counts.running) == (n_trials, 0)
    assert counts.counted + counts.retried == len(trials)
    retried = [trial.user_attrs["retry_of"] for trial in trials if "retry_of" in trial.user_attrs]
    assert len(set(retried)) == len(retried) == counts.retried
    for trial in trials:
        if "retry_of" in trial.user_attrs:
            interrupted = trials[trial.user_attrs["retry_of"]]
            assert interrupted.user_attrs["interrupted"]
            # One that died before it had drawn has no parameters.
            assert interrupted.params == trial.params or not (interrupted.params and trial.params)


def live(claims: Claims) -> None:
    """Two trials, of which the second is the first one's retry."""
    with claims.alive("the crashing"):
        for name in ("interrupt", "complete"):
            ENDS[name](claims, claimed(claims, "the crashing"), "the crashing")


def crashes(storage: Storage, claims: Claims, moment: int) -> bool:
    """Return whether a life has this number of commits; the last of them is not made."""
    commits = itertools.count(1)

    def on_commit(connection: object) -> None:
        if next(commits) == moment:
            raise Crash

    sqlalchemy.event.listen(storage.optuna.engine, "commit", on_commit)
    try:
        live(claims)
    except Crash:
        storage.optuna.remove_session()
        return True
    finally:
        sqlalchemy.event.remove(storage.optuna.engine, "commit", on_commit)
    return False


def test_a_crash_at_any_commit_leaves_a_study_that_another_one_finishes(memory: Storage):
    moment, queue = 0, [{"x": 0.5}, {"x": 0.25}]
    crashed = True
    while crashed:
        moment += 1
        claims = claims_on(memory, n_trials=2, max_retries=1, queue=queue)
        name = claims.study.study_name
        crashed = crashes(memory, claims, moment)
        claims = claims_on(memory, name, n_trials=2, max_retries=1, queue=queue)
        assert run_all(claims, "the next") == NoTrial.DONE
        assert_whole(claims, 2)
    assert moment > 10


# --- processes -----------------------------------------------------------------------------------------------------


def work(url: str, n_trials: int, ran: Path, starter: Connection | None = None) -> None:
    """Claims and ends trials until the study is done; a file for each trial shows that no other process runs it."""
    patience, owner = Patience(url), uuid.uuid4().hex  # as a worker, which may start while the database is away
    with closing_storage(patience.call(lambda: open_storage(url, "sqlite:///mlflow.db", patience))) as storage:
        claims = patience.call(lambda: claims_on(storage, "shared", n_trials=n_trials))
        with claims.alive(owner):
            if starter is not None:
                starter.send("ready")
                starter.recv()
            while (found := claims.claim(owner, draw)) != NoTrial.DONE:
                if isinstance(found, NoTrial):
                    time.sleep(0.02)
                    continue
                (ran / str(found[0].number)).touch(exist_ok=False)
                if starter is not None:
                    time.sleep(0.03)  # a training in which it may be killed
                assert claims.complete(found[0], owner, 0.5, {"by": owner})


@pytest.mark.parametrize(("n_processes", "n_trials"), [(4, 40)])
def test_processes_that_share_a_study_run_each_trial_once_and_no_more_than_were_asked_for(
    url: str, tmp_path: Path, n_processes: int, n_trials: int
):
    (ran := tmp_path / "ran").mkdir()
    with started(work, *[(url, n_trials, ran)] * n_processes) as processes:
        assert exit_codes(processes) == [0] * n_processes
    with opened(url) as storage:
        claims = claims_on(storage, "shared", n_trials=n_trials)
        assert_whole(claims, n_trials)
        assert states(claims) == "C" * n_trials
    assert sorted(int(path.name) for path in ran.iterdir()) == list(range(n_trials))


@pytest.mark.fault
def test_processes_killed_at_any_moment_leave_a_study_that_the_others_finish(url: str, tmp_path: Path):
    (ran := tmp_path / "ran").mkdir()
    n_trials, n_processes, moments = 60, 3, random.Random(1)
    for _ in range(5):
        pipes = [SPAWN.Pipe() for _ in range(n_processes)]
        arguments = [(url, n_trials, ran, theirs) for _, theirs in pipes]
        with contextlib.ExitStack() as stack, started(work, *arguments) as processes:
            for end in itertools.chain(*pipes):
                stack.enter_context(end)
            for ours, _ in pipes:
                assert ours.recv() == "ready"
            for ours, _ in pipes:
                ours.send("go")
            for process in processes:  # the others continue meanwhile
                time.sleep(moments.uniform(0, 0.15))
                process.kill()
                process.join()
    with started(work, (url, n_trials, ran)) as processes:
        assert exit_codes(processes) == [0]
    with opened(url) as storage:
        claims = claims_on(storage, "shared", n_trials=n_trials)
        assert_whole(claims, n_trials)
        assert "f" in states(claims)


# --- chains of trials that share checkpoints -----------------------------------------------------------------------


def interrupted_at(memory: Storage, epochs: list[int], max_retries: int) -> Claims:
    """The claims of a study whose first trial is killed, once for each epoch that its checkpoint then has."""
    now = [0]
    claims = claims_on(memory, n_trials=1, max_retries=max_retries, epoch_of=lambda _: now[0])
    for epoch in epochs:
        dies_while_it_runs(claims)
        now[0] = epoch
        assert claims.give_up_dead()
    return claims


def test_an_interruption_counts_as_a_retry_only_if_the_checkpoint_has_not_advanced(memory: Storage) -> None:
    claims = interrupted_at(memory, [1, 2, 5, 5], max_retries=1)
    assert [trial.user_attrs.get("retries", 0) for trial in claims.trials()] == [0, 0, 0, 0]
    assert not isinstance(claims.claim("me", draw), NoTrial)
    assert claims.trials()[-1].user_attrs["retries"] == 1


def test_a_trial_that_is_interrupted_without_advancing_is_tried_again_as_often_as_the_settings_say(
    memory: Storage,
) -> None:
    claims = interrupted_at(memory, [0, 0, 0], max_retries=2)
    assert claims.claim("me", draw) == NoTrial.DONE
    assert claims.counts().failed == 1


def test_a_trial_that_is_given_up_is_progress_and_its_earlier_attempts_are_none(memory: Storage) -> None:
    claims = claims_on(memory, n_trials=1, max_retries=2)
    progress = []
    for _ in range(3):
        dies_while_it_runs(claims)
        claims.give_up_dead()
        progress.append(claims.count_progress())
    assert progress == [0, 0, 1]


def test_an_interruption_after_a_later_checkpoint_is_progress(memory: Storage) -> None:
    assert interrupted_at(memory, [1, 1, 2], max_retries=2).count_progress() == 2


def is_stopped(claims: Claims) -> None:
    claims.interrupt(claimed(claims), "me", "the sweep was stopped")


def dies_with_its_starter(claims: Claims) -> None:
    dies_while_it_runs(claims)
    claims.give_up_dead()


def dies_while_its_starter_lives(claims: Claims) -> None:
    with claims.alive("the sweep"):
        dies_while_it_runs(claims)
        claims.give_up_dead()


@pytest.mark.parametrize("end", [is_stopped, dies_with_its_starter])
def test_a_trial_is_never_given_up_because_its_sweep_was_stopped_or_killed(
    memory: Storage, end: Callable[[Claims], None]
) -> None:
    claims = claims_on(memory, n_trials=1, max_retries=0, starter="the sweep")
    for _ in range(4):
        end(claims)
    assert claims.counts().retried == 4
    assert run_all(claims) == NoTrial.DONE
    assert states(claims) == "ffffC"


@pytest.mark.parametrize(
    ("starter", "die"), [("the sweep", dies_while_its_starter_lives), (None, dies_with_its_starter)]
)
def test_a_trial_whose_worker_alone_is_killed_is_given_up(
    memory: Storage, starter: str | None, die: Callable[[Claims], None]
) -> None:
    claims = claims_on(memory, n_trials=1, max_retries=1, starter=starter)
    die(claims)
    is_stopped(claims)
    assert not claims.is_done()
    die(claims)
    assert claims.is_done()
    rows = trial_rows(claims.trials(), max_retries=1)
    assert [row.attempts for row in rows] == [0, 0, 3]
    assert rows[-1].reason.startswith("its worker was killed; not tried again after 3 attempts")
    assert not any(row.attempts for row in trial_rows(claims.trials(), max_retries=2))


@pytest.mark.parametrize("max_retries", [0, 1])
def test_a_trial_that_is_lost_with_its_command_again_and_again_is_given_up_at_last(
    memory: Storage, max_retries: int
) -> None:
    claims = claims_on(memory, n_trials=1, max_retries=max_retries, starter="the sweep")
    for _ in range(max_retries + EXTRA_LOSSES - 1):
        dies_with_its_starter(claims)
        assert not claims.is_done()
    dies_with_its_starter(claims)
    assert claims.is_done()
    assert {trial.user_attrs.get("retries", 0) for trial in claims.trials()} == {0}
    reason = trial_rows(claims.trials(), max_retries)[-1].reason
    assert reason.startswith(f"{LOST}; not tried again after {max_retries + EXTRA_LOSSES} attempts")


def is_asked_to_stop_and_killed(claims: Claims) -> None:
    dies_while_it_runs(claims)
    claims.note_stop("the sweep")
    claims.give_up_dead()


def ends_with_its_command(claims: Claims) -> None:
    dies_while_it_runs(claims)
    claims.give_up_dead(ended="the sweep")


@pytest.mark.parametrize("end", [is_asked_to_stop_and_killed, ends_with_its_command])
def test_a_trial_whose_command_was_asked_to_stop_or_has_ended_is_never_given_up(
    memory: Storage, end: Callable[[Claims], None]
) -> None:
    claims = claims_on(memory, n_trials=1, max_retries=0, starter="the sweep")
    for _ in range(2 * EXTRA_LOSSES):
        end(claims)
    assert claims.counts().retried == 2 * EXTRA_LOSSES


def test_a_loss_after_a_later_checkpoint_does_not_count(memory: Storage) -> None:
    now = [0]
    claims = claims_on(memory, n_trials=1, max_retries=0, starter="the sweep", epoch_of=lambda _: now[0])
    for _ in range(2 * EXTRA_LOSSES):
        dies_while_it_runs(claims)
        now[0] += 1
        claims.give_up_dead()
    assert claims.counts().retried == 2 * EXTRA_LOSSES


def test_a_chain_is_named_after_its_first_trial_and_open_until_it_has_an_end(memory: Storage) -> None:
    claims = interrupted_at(memory, [1, 2], max_retries=1)
    assert [trial.user_attrs.get("chain", trial.number) for trial in claims.trials()] == [0, 0]
    assert claims.open_chains() == {0}
    trial = claimed(claims)
    assert (claims.chain(trial), claims.open_chains()) == ((0, 1), {0})
    assert claims.complete(trial, "me", 0.5, {})
    assert claims.open_chains() == set()
