"""`python -m src.serve`: a tracked model over HTTP, from its start to Ctrl-C."""

import contextlib
import csv
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from src.cli.compose import compose_config
from src.datasets import load_dataset
from src.errors import ConfigError
from tests.support.servers import free_port
from tests.support.workplace import ROOT, TrainedRun, Workplace


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("port=0", r"^port: got 0, expected a number from 1 to 65535"),
        ("max_mb=0", r"^max_mb: got 0\.0, expected a number of megabytes above 0"),
        ("host=localhost", r"^host: got 'localhost', expected the address of an interface, such as 127\.0\.0\.1"),
        ("model_uri=models:/a@b", r"^name one model: run_id=RUN, or model_uri=models:/NAME@champion"),
    ],
)
def test_settings_that_cannot_be_served_are_refused(typed: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        compose_config(["run_id=a", typed], "serve")


@pytest.mark.parametrize(
    ("host", "is_local"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("192.168.1.5", False)]
)
def test_a_loopback_address_is_reached_from_this_machine_only(host: str, is_local: bool) -> None:
    assert compose_config(["run_id=a", f"host='{host}'"], "serve").is_local is is_local


def test_a_taken_port_is_reported_before_the_model_is_looked_for(workplace: Workplace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        answer = workplace.run("src.serve", "run_id=missing", f"port={port}")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith(
        f"error: port {port} is taken, perhaps by another server; choose another: make serve"
    )


@contextlib.contextmanager
def served(run: TrainedRun, *typed: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of the run's model and the process that serves it, until it is killed."""
    port = free_port()
    uri = f"tracking.uri='{run.workplace.uri}'"
    process = run.workplace.start("src.serve", f"run_id={run.run_id}", f"port={port}", uri, *typed)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"{address}/health").ok:
                    break
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        yield address, process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.services
def test_a_served_model_gives_the_predictions_that_its_run_recorded_and_ends_at_ctrl_c(trained: TrainedRun) -> None:
    table = trained.workplace.folder / "mlartifacts" / trained.run_id / "artifacts/tables/test_predictions.csv"
    with table.open() as file:
        rows = list(csv.DictReader(file))[:5]
    images = load_dataset(compose_config(["dataset.source=sample"]).dataset).test.images[:5]
    with served(trained) as (address, process):
        raw: dict[str, Any] = requests.post(f"{address}/invocations", json={"inputs": images.tolist()}).json()
        pictures = [("image", (path.name, path.read_bytes())) for path in sorted(Path(ROOT / "docs/digits").iterdir())]
        named = requests.post(f"{address}/predict", files=pictures).json()["predictions"]
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    assert [max(scores) for scores in raw["predictions"]] == pytest.approx(
        [float(row["score"]) for row in rows], abs=2e-5
    )
    assert [str(scores.index(max(scores))) for scores in raw["predictions"]] == [row["predicted"] for row in rows]
    assert [each["file"] for each in named] == [path for path, _ in (picture for _, picture in pictures)]
    assert f"is served on {address}; Ctrl-C stops it" in said
    assert "Traceback" not in errors
    assert process.returncode == 130
