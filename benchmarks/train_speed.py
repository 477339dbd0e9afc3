"""The time of a training and of the notebook that it replaces: whole processes, the full MNIST, batches of 128.

python -m benchmarks.train_speed                             every contestant, both networks
python -m benchmarks.train_speed lenot/ours lenot/notebook   only these
python -m benchmarks.train_speed --repeat 1 --epochs 3       quick, less certain
python -m benchmarks.train_speed --publish                   the figures of docs/results.md

    notebook   float arrays, `model.fit` and `model.evaluate`; records nothing
    autolog    the same with mlflow.tensorflow.autolog() on SQLite; needs TensorBoard (pip install tensorboard)
    ours       python -m src.train with default settings: all is recorded, drawn, saved in three formats and read back
    fast       the same with training=fast
    bare       the notebook's network, trained in parts like `ours`: compiled steps on one batch that stays in memory,
               without metrics: a lower bound

An epoch includes its validation. Its seconds are the median of all epochs but the first, which compiles. Repetition n
has seed n. `rest_seconds` is the time of a process apart from its epochs: imports, data, the test split, recording.
`closing_seconds` is the part of it after the last epoch.
"""

import json
import re
import statistics
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import TRAIN, Figures, arguments, chosen, in_turn, keep, positive, ratio, ready, run, threads
from src.cli.compose import compose_config

MODELS = ("lenot", "cnn_mnist_v2")
EPOCHS = 10


def notebook(folder: Path, model: str, epochs: int, seed: int, *flags: str) -> Figures:
    arrays = save_mnist(folder)  # before the clock starts
    typed = ["--model", model, "--epochs", str(epochs), "--seed", str(seed), "--data", str(arrays), *flags]
    done = run(["-m", "benchmarks.notebook", *typed], folder)
    result = json.loads(next(line for line in reversed(done.output.splitlines()) if line.startswith("{")))
    return _figures(done.seconds, done.peak_mb, result["epochs"], result["test_accuracy"])


def bare(folder: Path, model: str) -> Figures:
    typed = ["--model", model, "--data", str(save_mnist(folder)), "--bare"]
    done = run(["-m", "benchmarks.notebook", *typed], folder, **threads(compose_config(["~local", f"model={model}"])))
    return {"epoch_seconds": json.loads(done.output.splitlines()[-1])["epoch_seconds"]}


def ours(folder: Path, model: str, epochs: int, seed: int, *overrides: str) -> Figures:
    settings = [f"model={model}", "dataset.source=full", f"training.epochs={epochs}", f"seed={seed}"]
    done = run([*TRAIN, *settings, *overrides], folder)

    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    (run_id,) = set(re.findall(r"\b[0-9a-f]{32}\b", done.output))
    history = [point.value for point in client.get_metric_history(run_id, "epoch_seconds")]
    ended = max(point.timestamp for point in client.get_metric_history(run_id, "epoch_seconds")) / 1000
    finished = client.get_run(run_id)
    closing = (finished.info.end_time or 0) / 1000 - ended
    figures = _figures(done.seconds, done.peak_mb, history, finished.data.metrics["test_accuracy"])
    return figures | {"closing_seconds": closing}


def save_mnist(folder: Path) -> Path:
    """Write the file that `keras.datasets.mnist.load_data` reads, from this project's data."""
    import numpy as np

    from src.datasets import load_dataset

    data = load_dataset(compose_config(["~local", "dataset.source=full", "dataset.validation_size=0"]).dataset)
    path = folder / "mnist.npz"
    images, test_images = (split.images[..., 0] for split in (data.train, data.test))
    np.savez(path, x_train=images, y_train=data.train.labels, x_test=test_images, y_test=data.test.labels)
    return path


def _figures(seconds: float, peak_mb: float, epochs: list[float], accuracy: float) -> Figures:
    return {
        "epoch_seconds": statistics.median(epochs[1:] or epochs),
        "command_seconds": seconds,
        "rest_seconds": seconds - sum(epochs),
        "peak_mb": peak_mb,
        "test_accuracy": accuracy,
    }


def main() -> None:
    seeds: dict[str, int] = {}

    def next_seed(name: str) -> int:
        seeds[name] = seeds.get(name, 0) + 1
        return seeds[name]

    names = [f"{model}/{kind}" for model in MODELS for kind in ("notebook", "autolog", "ours", "fast", "bare")]
    parser = arguments(__doc__, names, repetitions=3)
    parser.add_argument("--epochs", type=positive, default=EPOCHS)
    options = parser.parse_args()
    epochs = options.epochs
    kinds: dict[str, Callable[[Path, str, int], Figures]] = {
        "notebook": lambda folder, model, seed: notebook(folder, model, epochs, seed),
        "autolog": lambda folder, model, seed: notebook(folder, model, epochs, seed, "--autolog"),
        "ours": lambda folder, model, seed: ours(folder, model, epochs, seed),
        "fast": lambda folder, model, seed: ours(folder, model, epochs, seed, "training=fast"),
        "bare": lambda folder, model, seed: bare(folder, model),
    }

    def contestant(name: str) -> Callable[[Path], Figures]:
        model, kind = name.split("/")
        return lambda folder: kinds[kind](folder, model, next_seed(name))

    named = chosen(options, names)
    ready(named)
    measured = in_turn({name: contestant(name) for name in names}, options.repeat, named)
    keep("train_speed", measured, options.publish, epochs=epochs, ratios=ratios(measured))


def ratios(measured: dict[str, list[Figures]]) -> dict[str, float]:
    """Return the ratios of `ours` and `fast` to each of the others."""
    found = {}
    for model in MODELS:
        for kind in ("ours", "fast"):
            for other, figure in (
                ("notebook", "epoch_seconds"),
                ("bare", "epoch_seconds"),
                ("notebook", "command_seconds"),
                ("autolog", "command_seconds"),
                ("notebook", "peak_mb"),
            ):
                one, two = f"{model}/{kind}", f"{model}/{other}"
                if {one, two} <= measured.keys():
                    found[f"{model}: {figure} of {kind} / {other}"] = ratio(measured, one, two, figure)
    return found


if __name__ == "__main__":
    main()
