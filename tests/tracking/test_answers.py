"""Servers whose answer is not the expected one: an error message at once, before anything is trained."""

import http.server
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from mlflow import MlflowClient
from requests import HTTPError, Response

from src.errors import StoreError
from src.schema import Config
from src.tracking import is_outage, open_store, resume_run
from tests.support.runs import config_for, new_run
from tests.support.workplace import Workplace


@contextmanager
def answering(status: int, *, healthy: bool) -> Iterator[str]:
    """The address of a server that has only this answer; `healthy`: it says that all is well when asked for that."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if healthy and self.path == "/health" else status)
            self.end_headers()
            self.wfile.write(b"OK")

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: what the tests print is not a log."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


SENTENCES = {
    401: "asks for a user: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    403: "does not allow this (403): ask its administrator for permission, or to add",
    500: "failed (500): see the reason in its log",
}


@pytest.mark.services
@pytest.mark.parametrize("command", [("src.train", "dataset=synthetic"), ("src.evaluate", "run_id=0123456789abcdef")])
@pytest.mark.parametrize("status", [401, 403, 500, None])
def test_a_command_says_what_the_server_answered_and_ends(
    workplace: Workplace, command: Sequence[str], status: int | None
):
    with silent() if status is None else answering(status, healthy=False) as uri:
        done = workplace.run(*command, f"tracking.uri={uri}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: the tracking server {uri} ")
    assert ("does not answer (timed out)" if status is None else SENTENCES[status]) in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture
def no_user(monkeypatch: pytest.MonkeyPatch, workplace: Workplace) -> None:
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    monkeypatch.setenv("HOME", str(workplace.folder))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")  # seconds between MLflow's attempts


@pytest.mark.usefixtures("no_user")
@pytest.mark.parametrize("status", SENTENCES)
def test_a_server_that_is_well_and_refuses_is_quoted(status: int):
    with answering(status, healthy=True) as uri:
        config = config_for(uri).tracking
        with pytest.raises(StoreError) as opened:
            open_store(config)
        with pytest.raises(StoreError) as resumed, resume_run(config, run_id="0123456789abcdef"):
            pass
    assert SENTENCES[status] in str(opened.value)
    assert str(resumed.value) == str(opened.value)


@pytest.mark.usefixtures("no_user")
@pytest.mark.parametrize("given", ["the environment", "the address"])
def test_an_unknown_user_and_a_wrong_password_are_reported(monkeypatch: pytest.MonkeyPatch, given: str):
    with answering(401, healthy=True) as uri:
        if given == "the environment":
            monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
            monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter22")
        else:
            uri = uri.replace("http://", "http://ada:hunter22@")
        with pytest.raises(StoreError, match="does not know this user and password: correct MLFLOW_TRACKING_USERNAME"):
            open_store(config_for(uri).tracking)


def test_a_server_of_another_protocol_is_refused():
    def greet(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=greet, args=(server,), daemon=True).start()
        with pytest.raises(StoreError, match="answers, but is not an MLflow server"):
            open_store(config_for(f"http://127.0.0.1:{server.getsockname()[1]}").tracking)


def test_a_server_that_closes_the_connection_is_away_and_not_another_program():
    def close(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=close, args=(server,), daemon=True).start()
        with pytest.raises(StoreError, match="does not answer") as failed:
            open_store(config_for(f"http://127.0.0.1:{server.getsockname()[1]}").tracking)
    assert is_outage(failed.value)


def refused_upload() -> HTTPError:
    answer = Response()
    answer.status_code = 500
    return HTTPError("500 Server Error: no space left for url: http://127.0.0.1:5000/x", response=answer)


def test_a_file_that_the_server_does_not_take_ends_a_new_run_as_failed(config: Config, client: MlflowClient):
    with pytest.raises(StoreError, match=r"failed \(500\)"), new_run(config) as run:
        raise refused_upload()
    assert client.get_run(str(run.run_id)).info.status == "FAILED"


def test_a_file_that_the_server_does_not_take_ends_an_evaluation_with_a_sentence(config: Config):
    with new_run(config) as run:
        pass
    resumed = resume_run(config.tracking, run_id=run.run_id)
    with pytest.raises(StoreError, match=r"failed \(500\)"), resumed:
        raise refused_upload()
