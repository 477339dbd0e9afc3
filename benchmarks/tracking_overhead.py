"""The time that recording adds to the epochs of a training, from the start of the first to the end of the last.

python -m benchmarks.tracking_overhead

    off       tracking=off
    local     SQLite, the default
    server    an MLflow server on this machine, with SQLite behind it

LeNot on the full MNIST; every contestant is a process of its own, and all have the same seed.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measuring import Failed, Figures, arguments, chosen, in_turn, keep, positive, ratio, ready, run

EPOCHS = 10
NAMES = ("off", "local", "server")


def main() -> None:
    parser = arguments(__doc__, NAMES, repetitions=5)
    parser.add_argument("--epochs", type=positive, default=EPOCHS)
    options = parser.parse_args()

    def trained(folder: Path, *typed: str) -> Figures:
        done = run(
            ["-m", "benchmarks.tracking_overhead", "--train", f"training.epochs={options.epochs}", *typed], folder
        )
        return {"epochs_seconds": json.loads(done.output.splitlines()[-1])}

    def on_server(folder: Path) -> Figures:
        with server(folder) as address:
            return trained(folder, f"tracking.uri={address}")

    contestants = {
        "off": lambda folder: trained(folder, "tracking=off"),
        "local": lambda folder: trained(folder, f"tracking.uri=sqlite:///{folder / 'mlflow.db'}"),
        "server": on_server,
    }
    named = chosen(options, NAMES)
    ready(named)
    measured = in_turn(contestants, options.repeat, named)
    ratios = {
        f"{name} / off": ratio(measured, name, "off", "epochs_seconds")
        for name in ("local", "server")
        if {name, "off"} <= measured.keys()
    }
    keep("tracking_overhead", measured, options.publish, epochs=options.epochs, ratios=ratios)


def train(overrides: list[str]) -> None:
    """Print the seconds from the first epoch's start to the last one's end; runs in the measured process."""
    from src.cli.compose import compose_config
    from src.train import train as train_network

    ends: list[float] = []
    config = compose_config(["~local", "dataset.source=full", *overrides])
    result = train_network(config, observers=[lambda epoch, logs: ends.append(time.perf_counter())])
    print(json.dumps(ends[-1] - ends[0] + result.history["epoch_seconds"][0]))


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run an MLflow server on a free port of this machine, with its files in the folder; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = [
        "--backend-store-uri",
        f"sqlite:///{folder / 'server.db'}",
        "--artifacts-destination",
        str(folder / "kept"),
    ]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), *store],
            cwd=folder,
            env={name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
            stdout=log,
            stderr=log,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(300):
                try:
                    urllib.request.urlopen(f"{address}/health", timeout=1)
                    break
                except OSError:
                    time.sleep(0.2)
            else:
                raise Failed(f"the MLflow server does not answer:\n{(folder / 'server.log').read_text()[-3000:]}")
            yield address
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    if "--train" in sys.argv:
        train(sys.argv[2:])
    else:
        main()
