"""The MLflow UI: where it is, how it begins and ends."""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from src import ui
from src.cli.compose import compose_config
from src.errors import ConfigError, UserError
from src.schema import TrackingConfig
from tests.support.servers import free_port, plain_server
from tests.support.workplace import Workplace

SIDE = "workflowType=machine_learning"


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_is_a_number_that_a_server_can_have(port: int) -> None:
    with pytest.raises(ConfigError, match=f"port: got {port}, expected a number from 1 to 65535"):
        compose_config([f"port={port}"], "ui")


def test_without_tracking_there_is_nothing_to_show() -> None:
    with pytest.raises(ConfigError, match="tracking=off: there is no store to show; choose tracking=mlflow"):
        compose_config(["tracking=off"], "ui")


def test_a_taken_port_is_reported_before_anything_is_made(workplace: Workplace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        answer = workplace.run("src.ui", f"port={port}")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert re.fullmatch(
        rf"error: port {port} is taken, perhaps by another server; choose another: make ui PORT=(\d+) "
        rf"\(python -m src\.ui port=\1\)\n",
        answer.stderr,
    )
    assert list(workplace.folder.iterdir()) == []


def test_a_store_that_cannot_be_opened_is_reported_in_a_sentence(workplace: Workplace) -> None:
    (workplace.folder / "mlflow.db").write_text("no database at all")
    answer = workplace.run("src.ui", f"port={free_port()}")
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: ")
    assert "Traceback" not in answer.stderr


def test_a_server_that_ends_before_it_answers_is_not_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as server:
        assert not ui.wait_until_up(server, free_port())


def test_the_address_of_a_database_is_in_the_environment_of_its_server_only() -> None:
    variables = ui.environment("postgresql://ada:hunter2@db/runs", "file:///srv/mlartifacts")
    assert variables["MLFLOW_BACKEND_STORE_URI"] == "postgresql://ada:hunter2@db/runs"
    assert variables["MLFLOW_DEFAULT_ARTIFACT_ROOT"] == "file:///srv/mlartifacts"
    assert variables["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert variables["MLFLOW_DISABLE_TELEMETRY"] == "true"


def is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


PARENT = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); print(flush=True); {rest}"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def test_what_a_server_has_started_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "END_SECONDS", 0.5)
    code = PARENT.format(child=STUBBORN, rest="time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert {server.stdout.readline(), server.stdout.readline()} == {b"\n", b"up\n"}
        children = psutil.Process(server.pid).children()
        ui.end(server)
    assert len(children) == 1
    assert not is_alive(children[0])


# --- a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the address that was opened: BROWSER names a program that writes it there."""
    program = tmp_path / "browser.sh"
    program.write_text(f'#!/bin/sh\nprintf %s "$*" > {tmp_path}/part && mv {tmp_path}/part {tmp_path}/opened\n')
    program.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(program))
    monkeypatch.setattr("webbrowser._tryorder", None)  # Python looks for browsers once in a process
    return tmp_path / "opened"


class Server(BaseHTTPRequestHandler):
    """A tracking server with one experiment, or one that asks for a password first."""

    status, tags = 200, [{"key": "mlflow.sharedViewState.results", "value": "{}"}]

    def do_GET(self) -> None:
        if self.path.endswith("/health"):
            self.answer(200, b"OK")
        elif self.status == 200 and "experiment_name=convlab" in self.path:
            found = {"experiment_id": "7", "name": "convlab", "lifecycle_stage": "active", "tags": self.tags}
            self.answer(200, json.dumps({"experiment": found}).encode())
        elif self.status == 200:
            self.answer(404, json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}).encode())
        else:
            self.answer(self.status, b"who are you?")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(**settings: Any) -> Iterator[str]:
    """The address of such a server, below a prefix."""
    with HTTPServer(("127.0.0.1", 0), type("Handler", (Server,), settings)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/team"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("settings", "experiment", "page"),
    [
        ({}, "convlab", f"experiments/7/runs?{SIDE}&viewStateShareKey=results"),
        ({"tags": []}, "convlab", f"experiments/7/runs?{SIDE}"),
        ({}, "another", f"experiments?{SIDE}"),
        ({"status": 401}, "convlab", f"experiments?{SIDE}"),
    ],
    ids=["with its view", "without a view", "without the experiment", "that asks who is there"],
)
def test_a_servers_own_ui_is_opened_and_none_is_started(
    settings: dict[str, Any], experiment: str, page: str, browser: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(**settings) as uri:
        given = uri.replace("http://", "http://ada:hunter2@")
        ui.show(compose_config([f'tracking.uri="{given}"', f"tracking.experiment={experiment}", "open=true"], "ui"))
    assert capsys.readouterr().out.splitlines()[-1] == browser.read_text() == f"{uri}/#/{page}"


def test_a_server_that_does_not_answer_is_reported_in_a_sentence(browser: Path) -> None:
    with pytest.raises(UserError, match="does not answer"):
        ui.show(compose_config([f'tracking.uri="http://127.0.0.1:{free_port()}"', "open=true"], "ui"))
    assert not browser.exists()


def test_without_a_browser_the_address_is_printed_for_copying(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda _: False)
    ui.open_browser("http://127.0.0.1:5000/")
    assert capsys.readouterr().out == "no browser could be opened here; open the address above in your own\n"


# --- from a training to its page -----------------------------------------------------------------------------------

CHEAP = ["dataset=synthetic", "dataset.limit=100", "model=dense", "tracking.detail=light"]


def ask(address: str) -> Any:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=30) as answer:
        return json.load(answer)


def wait_for(file: Path, process: "subprocess.Popen[Any]") -> None:
    deadline = time.monotonic() + 120
    while not file.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.services
def test_the_command_that_a_training_prints_shows_this_very_run_and_ends_when_asked(
    tmp_path: Path, browser: Path
) -> None:
    folder = tmp_path / "it's a $HOME of 1 # run"
    folder.mkdir()
    workplace = Workplace(folder)
    said = workplace.run("src.train", "debug=fast_dev_run", *CHEAP).stdout.splitlines()[-1]
    found = re.fullmatch(r"run (\w+): `(make .*)` shows it at http://127\.0\.0\.1:5000/(\S+)", said)
    assert found is not None
    run_id, command, page = found.groups()
    port = free_port()
    words = [*shlex.split(command), f"PORT={port}", "OPEN=1", "--assume-old=setup"]  # nothing is installed by a test
    kept = workplace.environment(MLFLOW_TRACKING_URI="sqlite:////nowhere/mlflow.db", http_proxy="http://127.0.0.1:9")
    process = subprocess.Popen(
        words, cwd=tmp_path, env=kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        wait_for(browser, process)
        base = f"http://127.0.0.1:{port}"
        run = ask(f"{base}/api/2.0/mlflow/runs/get?run_id={run_id}")["run"]
        assert page == f"#/experiments/{run['info']['experiment_id']}/runs/{run_id}?{SIDE}"
        (make,) = psutil.Process(process.pid).children()
        processes = [make, *make.children(recursive=True)]
        assert len(processes) >= 3  # ours, MLflow's and uvicorn
        make.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    finally:
        for each in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []:
            each.kill()
        process.kill()
    experiment = f"{base}/#/experiments/{run['info']['experiment_id']}/runs?{SIDE}&viewStateShareKey=results"
    assert browser.read_text() == experiment
    assert experiment in out.splitlines()
    assert "stopped by SIGTERM" in out
    assert "Traceback" not in out
    assert not [each for each in processes if is_alive(each)]
    with pytest.raises(urllib.error.URLError):
        ask(f"{base}/health")


@pytest.mark.services
def test_a_first_ui_makes_the_store_and_says_so_when_its_server_ends(workplace: Workplace, browser: Path) -> None:
    port = free_port()
    process = workplace.start("src.ui", f"port={port}", "open=true", BROWSER=os.environ["BROWSER"])
    wait_for(browser, process)
    found = ask(f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/get-by-name?experiment_name=convlab")["experiment"]
    assert found["artifact_location"] == (workplace.folder / "mlartifacts").as_uri()
    made = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/create",
        json.dumps({"name": "by hand"}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(made) as answer:
        by_hand = json.load(answer)["experiment_id"]
    found = ask(f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/get?experiment_id={by_hand}")["experiment"]
    assert found["artifact_location"] == f"{(workplace.folder / 'mlartifacts').as_uri()}/{by_hand}"
    for each in psutil.Process(process.pid).children(recursive=True):
        each.kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.splitlines()[-1] == "error: the MLflow server ended by itself; the lines above give the reason"


@pytest.mark.services
def test_the_page_of_a_real_server_is_that_of_its_experiment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with plain_server(tmp_path) as server:
        from src import tracking

        experiment = tracking.open_store(TrackingConfig(name="mlflow", uri=server.uri)).experiment_id
        ui.show(compose_config([f'tracking.uri="{server.uri}"'], "ui"))
    page = f"{server.uri}/#/experiments/{experiment}/runs?{SIDE}&viewStateShareKey=results"
    assert capsys.readouterr().out.splitlines()[-1] == page
