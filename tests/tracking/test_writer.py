"""Writing in the background: in order, whole, never silently lost, and kept while the store does not answer."""

import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from src.errors import StoreError
from src.schema import Config
from src.tracking import Store, open_store, outage, start_run, writer
from src.tracking.outage import Outages, PatientClient
from src.tracking.run import Run
from src.tracking.undelivered import Points, Undelivered
from src.tracking.writer import Writer
from tests.support.outages import UnreliableClient, refused
from tests.support.runs import new_run
from tests.support.workplace import Workplace


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("store"))


def steps_of(client: MlflowClient, run: Run) -> list[int]:
    return [point.step for point in client.get_metric_history(str(run.run_id), "loss")]


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_points_of_epochs_are_written_in_order_and_complete_at_the_end(config: Config, client: MlflowClient):
    with new_run(config) as run:
        for epoch in range(1, 51):
            run.log_epoch(epoch, {"loss": 1 / epoch})
    points = client.get_metric_history(str(run.run_id), "loss")
    assert [(point.step, point.value) for point in points] == [(epoch, 1 / epoch) for epoch in range(1, 51)]


def test_a_point_that_cannot_be_written_fails_the_run_and_is_never_dropped(config: Config, client: MlflowClient):
    runs = []

    def log_nonsense() -> None:
        with new_run(config) as run:
            runs.append(run)
            run.log_metrics({"a name with a ? in it": 1.0}, 1)

    with pytest.raises(StoreError, match="no longer accepts metrics"):
        log_nonsense()
    assert client.get_run(runs[0].run_id).info.status == "FAILED"


# --- a store that does not answer ----------------------------------------------------------------------------------


class Unreliable:
    """A run in a store that can be switched off, and what was said about it."""

    def __init__(self, config: Config, client: UnreliableClient) -> None:
        self.client = client
        self.said: list[str] = []
        self.store = open_store(config.tracking)
        self.outages = Outages(config.tracking.uri, self.said.append)
        self.patient = Store(PatientClient(client, self.outages), self.store.experiment_id)

    def switch_off(self) -> None:
        self.client.is_down = True

    def switch_on(self) -> None:
        self.client.is_down = False


@pytest.fixture
def unreliable(
    config: Config, client: MlflowClient, monkeypatch: pytest.MonkeyPatch, workplace: Workplace
) -> Iterator[Unreliable]:
    monkeypatch.setattr(outage, "PAUSES", (0.02,))
    monkeypatch.setattr(outage, "QUIET_SECONDS", 0)
    unreliable = Unreliable(config, UnreliableClient(workplace.uri))
    yield unreliable
    unreliable.switch_on()


def folder_of(workplace: Workplace, run: Run) -> Path:
    return workplace.folder / ".undelivered" / str(run.run_id)


def lines_of(workplace: Workplace, run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder_of(workplace, run) / "points.jsonl").read_text().splitlines()]


def test_points_of_an_outage_are_delivered_in_order_with_their_times_and_nothing_is_left_behind(
    unreliable: Unreliable, config: Config, client: MlflowClient, workplace: Workplace
):
    with start_run(unreliable.patient, config) as run:
        run.log_epoch(1, {"loss": 1.0})
        run.flush()
        unreliable.switch_off()
        for epoch in range(2, 41):
            run.log_epoch(epoch, {"loss": 1 / epoch, "accuracy": 0.5})
        wait_for(lambda: unreliable.client.failures > 2)
        times = [line["timestamp"] for line in lines_of(workplace, run)]
        unreliable.switch_on()
        run.log_epoch(41, {"loss": 1 / 41})
    points = client.get_metric_history(str(run.run_id), "loss")
    assert [(point.step, point.value) for point in points] == [(epoch, 1 / epoch) for epoch in range(1, 42)]
    assert [point.timestamp for point in points][1:40] == times
    assert client.get_run(str(run.run_id)).info.status == "FINISHED"
    assert not folder_of(workplace, run).exists()


def test_the_file_holds_every_point_that_was_not_delivered_and_says_of_which_run(
    unreliable: Unreliable, config: Config, workplace: Workplace
):
    with start_run(unreliable.patient, config) as run:
        run.log_epoch(1, {"loss": 3.0})
        run.flush()
        unreliable.switch_off()
        run.log_epoch(2, {"loss": 2.0, "accuracy": 0.5})
        wait_for(lambda: unreliable.client.failures)
        run.log_epoch(3, {"loss": float("nan")})
        (second, third) = lines_of(workplace, run)
        assert (second["step"], second["metrics"]) == (2, {"loss": 2.0, "accuracy": 0.5})
        assert third["step"] == 3
        kept = json.loads((folder_of(workplace, run) / "run.json").read_text())
        assert kept == {
            "uri": workplace.uri,
            "run_id": run.run_id,
            "experiment_id": run.experiment_id,
            "status": None,
        }
        unreliable.switch_on()


def test_an_outage_is_said_once_and_its_end_with_the_number_of_points(
    unreliable: Unreliable, config: Config, workplace: Workplace
):
    with start_run(unreliable.patient, config) as run:
        for _ in range(2):
            unreliable.switch_off()
            unreliable.client.failures = 0
            run.log_epoch(1, {"loss": 1.0, "accuracy": 0.5})
            wait_for(lambda: unreliable.client.failures > 3)
            run.log_epoch(2, {"loss": 1.0})
            unreliable.switch_on()
            run.flush()
            wait_for(lambda: unreliable.outages.since is None)
    assert len(unreliable.said) == 4
    for begun, over in (unreliable.said[:2], unreliable.said[2:]):
        assert begun.startswith(f"the tracking store {workplace.uri} has not answered since ")
        assert begun.endswith(f"; training continues, and the points are kept in {folder_of(workplace, run)}")
        assert over == f"the tracking store {workplace.uri} works again; 3 points were delivered"


def test_a_call_that_hangs_counts_as_an_outage(
    unreliable: Unreliable, config: Config, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writer, "STUCK_SECONDS", 0.05)
    answer = threading.Event()
    deliver = unreliable.client.client.log_batch

    def hang(*arguments: Any, **named: Any) -> None:
        answer.wait(60)
        deliver(*arguments, **named)

    with start_run(unreliable.patient, config) as run:
        monkeypatch.setattr(unreliable.client.client, "log_batch", hang)
        run.log_epoch(1, {"loss": 1.0})
        time.sleep(0.2)
        run.log_epoch(2, {"loss": 0.5})
        assert [line["step"] for line in lines_of(workplace, run)] == [1, 2]
        answer.set()
    assert unreliable.said[-1].endswith("works again; 2 points were delivered")


def test_a_folder_that_cannot_be_written_leaves_the_points_in_memory_and_says_so(
    unreliable: Unreliable, config: Config, client: MlflowClient, workplace: Workplace
):
    with start_run(unreliable.patient, config) as run:
        folder_of(workplace, run).parent.mkdir(exist_ok=True)
        folder_of(workplace, run).touch()
        unreliable.switch_off()
        run.log_epoch(1, {"loss": 1.0})
        wait_for(lambda: unreliable.client.failures > 2)
        unreliable.switch_on()
    assert "the points are kept in memory, because" in unreliable.said[0]
    assert steps_of(client, run) == [1]


def test_a_wrong_point_of_an_outage_still_fails_the_run_and_the_others_are_delivered(
    unreliable: Unreliable, config: Config, client: MlflowClient
):
    runs = []

    def log_nonsense() -> None:
        with start_run(unreliable.patient, config) as run:
            runs.append(run)
            unreliable.switch_off()
            run.log_epoch(1, {"loss": 1.0})
            run.log_epoch(2, {"a name with a ? in it": 1.0})
            wait_for(lambda: unreliable.client.failures)
            unreliable.switch_on()

    with pytest.raises(StoreError, match="no longer accepts metrics"):
        log_nonsense()
    assert steps_of(client, runs[0]) == [1]
    assert client.get_run(runs[0].run_id).info.status == "FAILED"


def test_a_stop_during_an_outage_leaves_the_points_in_the_folder(
    unreliable: Unreliable, config: Config, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("src.tracking.outage.answers", lambda uri: False)
    runs = []

    def stop() -> None:
        with start_run(unreliable.patient, config) as run:
            runs.append(run)
            unreliable.switch_off()
            run.log_epoch(1, {"loss": 1.0})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert [line["step"] for line in lines_of(workplace, runs[0])] == [1]
    assert json.loads((folder_of(workplace, runs[0]) / "run.json").read_text())["status"] == "KILLED"


def test_points_that_an_earlier_process_could_not_deliver_are_delivered_first(
    unreliable: Unreliable, config: Config, client: MlflowClient, workplace: Workplace
):
    with start_run(unreliable.patient, config) as run:
        Undelivered(workplace.uri, str(run.run_id), run.experiment_id).add_points([Points({"loss": 1.0}, 1, 1)])
        run.log_epoch(2, {"loss": 0.5})
        run.flush()
        assert steps_of(client, run) == [1, 2]
        assert not folder_of(workplace, run).exists()


class Memory:
    """A store in memory, which is quick enough for hundreds of outages."""

    tracking_uri = "http://127.0.0.1:1"

    def __init__(self) -> None:
        self.is_down = False
        self.steps: dict[str, list[int]] = {}

    def log_batch(self, run_id: str, metrics: list[Any]) -> None:
        if self.is_down:
            raise refused()
        self.steps.setdefault(run_id, []).extend(metric.step for metric in metrics)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Memory:
    memory = Memory()
    for name, value in {"PAUSES": (0.001,), "QUIET_SECONDS": 0, "TICK": 0.001}.items():
        monkeypatch.setattr(outage, name, value)
    monkeypatch.setattr(writer, "TICK", 0.001)
    monkeypatch.setattr(outage, "answers", lambda uri: not memory.is_down)
    monkeypatch.chdir(tmp_path)
    return memory


def writers(memory: Memory, outages: Outages, *names: str) -> list[Writer]:
    kept = [Undelivered(memory.tracking_uri, name, "1") for name in names]
    return [Writer(memory, folder.folder.name, folder, outages) for folder in kept]


def test_every_outage_that_is_said_has_an_end_that_is_said_however_threads_overlap(memory: Memory):
    said: list[str] = []
    outages = Outages(memory.tracking_uri, said.append)
    first, second = writers(memory, outages, "first", "second")
    is_over = threading.Event()

    def call_again_and_again() -> None:
        while not is_over.is_set():
            outages.call(lambda: memory.log_batch("calls", []))

    calls = threading.Thread(target=call_again_and_again)
    calls.start()
    random.seed(0)
    for step in range(300):
        for one in (first, second):
            one.put(Points({"loss": 1.0}, step, 1))
        memory.is_down = step % 10 >= 5
        time.sleep(random.uniform(0, 0.001))
    memory.is_down = False
    for one in (first, second):
        one.flush()
    is_over.set()
    calls.join()
    assert outages.since is None
    kinds = "".join("e" if " works again" in line else "b" for line in said)
    assert re.fullmatch("(bb?e)+", kinds), kinds  # where training continues, and where a call waits
    assert memory.steps["first"] == memory.steps["second"] == list(range(300))
    assert not Path(".undelivered").exists()


def test_points_that_a_closed_writer_left_are_delivered_when_it_is_used_again(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
):
    (one,) = writers(memory, Outages(memory.tracking_uri, print), "run")
    begun, answer = threading.Event(), threading.Event()
    deliver = memory.log_batch

    def hang(run_id: str, metrics: list[Any]) -> None:
        begun.set()
        answer.wait(60)
        deliver(run_id, metrics)

    monkeypatch.setattr(memory, "log_batch", hang)
    one.put(Points({"loss": 1.0}, 1, 1))
    begun.wait(60)
    one.put(Points({"loss": 1.0}, 2, 1))
    one.close()
    one.put(Points({"loss": 1.0}, 3, 1))
    answer.set()
    one.flush()
    assert sorted(set(memory.steps["run"])) == [1, 2, 3]
    assert not Path(".undelivered").exists()


def test_a_store_that_is_not_waited_for_fails_at_once(config: Config, workplace: Workplace, client: MlflowClient):
    unreliable = UnreliableClient(workplace.uri)
    run = Run(unreliable, client.create_run("0").info.run_id, "0")
    unreliable.is_down = True
    run.log_epoch(1, {"loss": 1.0})
    with pytest.raises(StoreError, match="no longer accepts metrics"):
        run.flush()
    assert not folder_of(workplace, run).exists()
