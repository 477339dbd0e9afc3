"""The MLflow UI over the tracked runs, on this machine.

python -m src.ui
python -m src.ui port=5001 open=true
"""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

import psutil

from src import console, links, tracking
from src.cli.command import entry_point
from src.errors import UserError
from src.places import resolve_address
from src.ports import check_port
from src.process.interrupt import deferred
from src.schema import UiConfig

HOST = "127.0.0.1"
REMEDY = "make ui PORT={port} (python -m src.ui port={port})"
POLL_SECONDS = 0.2  # between two checks whether the server answers
END_SECONDS = 10  # that a server gets to end by itself


def show(config: UiConfig) -> None:
    """Print the address of the experiment's runs, and serve the UI there until the process is asked to stop.

    A tracking server has a UI of its own, so nothing is served then.

    Raises:
        UserError: the store cannot be opened, the port is taken, or the server ended by itself.
    """
    is_served = links.is_server(config.tracking.uri)
    if not is_served:
        check_port(HOST, config.port, UiConfig.port, REMEDY)

    if is_served:
        console.say("the runs are on a tracking server, which has its own UI:")
        address = links.address(config.tracking.uri, tracking.experiment_page(config.tracking))
        console.say(address)
        if config.open:
            open_browser(address)
        return
    # The store is made here when it is new, because MLflow's server would not hold the lock.
    tracking.open_store(config.tracking, console.say)
    address = links.local_address(tracking.experiment_page(config.tracking), config.port)
    console.say(f"starting the MLflow UI over {config.tracking.uri}:")
    console.say(address)
    with mlflow_server(
        config.port, environment(config.tracking.uri, tracking.artifact_root(config.tracking))
    ) as server:
        if wait_until_up(server, config.port):
            console.say("the UI is up; Ctrl-C stops it")
            if config.open:
                open_browser(address)
            server.wait()
    raise UserError("the MLflow server ended by itself; the lines above give the reason")


def environment(uri: str, artifacts: str | None) -> dict[str, str]:
    """Return the environment of the server. Other users could read a password on its command line."""
    settings = {
        "MLFLOW_BACKEND_STORE_URI": resolve_address(uri),
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": artifacts or "",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    return {"PYTHONWARNINGS": "ignore"} | os.environ | settings  # the warnings of MLflow's libraries do not help a user


@contextlib.contextmanager
def mlflow_server(port: int, variables: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run MLflow's server, its own processes included, for as long as the block lasts.

    One worker is enough for one person. It starts in half the time and takes a fifth of the memory of MLflow's four.
    """
    options = ["--host", HOST, "--port", str(port), "--workers", "1", "--uvicorn-opts", "--log-level warning"]
    server = None
    try:
        with deferred():
            server = subprocess.Popen([sys.executable, "-m", "mlflow", "server", *options], env=dict(variables))
        yield server
    finally:
        if server is not None:
            end(server)


def end(server: subprocess.Popen[bytes]) -> None:
    """End the server and its processes; those that do not react are killed, also after a second Ctrl-C."""
    if server.poll() is not None:
        return
    first = psutil.Process(server.pid)
    processes = [first, *first.children(recursive=True)]
    try:
        server.terminate()
        psutil.wait_procs(processes, END_SECONDS)
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, 1)  # so that the port is free
        server.wait()


def wait_until_up(server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server answers; False when it has ended before."""
    while server.poll() is None:
        connection = http.client.HTTPConnection(HOST, port, timeout=5)  # it uses no proxy
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", "/health")
            if connection.getresponse().status == http.client.OK:
                return True
        time.sleep(POLL_SECONDS)
    return False


def open_browser(address: str) -> None:
    """Open the address in the browser that the environment names (BROWSER), or the usual one."""
    import webbrowser

    if not webbrowser.open(address):
        console.say("no browser could be opened here; open the address above in your own")


@entry_point("ui", only_prints=True)
def main(config: UiConfig, overrides: list[str]) -> None:
    """Show the UI."""
    show(config)


if __name__ == "__main__":
    main()
