"""How fast a sweep is against what it replaces, in one run: 20 LeNot trials, 2 epochs, 10,000 MNIST images each.

python -m benchmarks.sweep_speed                 all of them, in turn
python -m benchmarks.sweep_speed sweep plain     only these
python -m benchmarks.sweep_speed --trials 6      fewer trials: quick, less certain

    sweep     this project, two workers, pruning off
    shell     a shell loop: one `python -m src.train` after the other
    autolog   a plain Optuna script in one process, with mlflow.tensorflow.autolog()
    plain     the same script, recording nothing

Seconds per counted trial go from the first trial's start to the last one's end; the whole command stands beside it.
Full MNIST is needed: DATA_DIR names the folder above it. `autolog` needs TensorBoard (pip install tensorboard).
"""

import argparse
import datetime
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
EPOCHS, IMAGES = 2, 10_000
SETTINGS = ["dataset.source=full", f"dataset.limit={IMAGES}", f"training.epochs={EPOCHS}"]
SPACE = [
    "model.conv.0.filters=int(interval(4,16))",
    "model.conv.1.filters=int(interval(8,48))",
    "model.dropout=interval(0,0.5)",
    "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))",
]


class Timing(NamedTuple):
    """Seconds: per counted trial, and of the whole command."""

    per_trial: float
    command: float


def sweep(folder: Path, trials: int) -> Timing:
    command = [sys.executable, "-m", "src.train", "-m", "hydra/sweeper=optuna", *SETTINGS, *SPACE]
    command += [f"hydra.sweeper.n_trials={trials}", "hydra.sweeper.n_jobs=2"]
    seconds = run(command, folder)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = f"sqlite:///{folder / 'optuna.db'}"
    (name,) = optuna.get_all_study_names(storage)
    ended = optuna.load_study(study_name=name, storage=storage).trials
    assert [trial.state.name for trial in ended] == ["COMPLETE"] * trials
    began = min(trial.datetime_start or datetime.datetime.max for trial in ended)
    done = max(trial.datetime_complete or datetime.datetime.min for trial in ended)
    return Timing((done - began).total_seconds() / trials, seconds)


def shell(folder: Path, trials: int) -> Timing:
    """Values differ from trial to trial, as a person's loop would have it."""
    total = 0.0
    for number in range(trials):
        values = [f"model.conv.0.filters={4 + number % 13}", f"model.dropout={0.5 * number / trials}", f"seed={number}"]
        total += run([sys.executable, "-m", "src.train", *SETTINGS, *values], folder)
    return Timing(total / trials, total)


def autolog(folder: Path, trials: int) -> Timing:
    return script(
        folder, trials, "import mlflow; mlflow.set_tracking_uri('sqlite:///mlflow.db')\nmlflow.tensorflow.autolog()"
    )


def plain(folder: Path, trials: int) -> Timing:
    return script(folder, trials, "")


SCRIPT = """
import time, keras, optuna
optuna.logging.set_verbosity(optuna.logging.WARNING)
{prelude}
from src.compose import compose_config
from src.datasets import load_dataset
data = load_dataset(compose_config({settings!r}).dataset)
scale = lambda split: (split.images.astype("float32") / 255, split.labels)
train, validation = scale(data.train), scale(data.validation)

def objective(trial):
    layers = keras.layers
    model = keras.Sequential([
        keras.Input((28, 28, 1)), layers.ZeroPadding2D(2),
        layers.Conv2D(trial.suggest_int("filters_0", 4, 16), 5, activation="relu"), layers.MaxPooling2D(),
        layers.Conv2D(trial.suggest_int("filters_1", 8, 48), 5, activation="relu"), layers.MaxPooling2D(),
        layers.Flatten(), layers.Dense(120, activation="relu"), layers.Dense(84, activation="relu"),
        layers.Dropout(trial.suggest_float("dropout", 0, 0.5)), layers.Dense(10, activation="softmax"),
    ])
    rate = trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    model.compile(keras.optimizers.RMSprop(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(*train, batch_size=128, epochs={epochs}, validation_data=validation, verbose=0)
    return max(history.history["val_accuracy"])

study = optuna.create_study(direction="maximize")
began = time.time()
study.optimize(objective, n_trials={trials})
print("PER_TRIAL", (time.time() - began) / {trials})
"""


def script(folder: Path, trials: int, prelude: str) -> Timing:
    text = SCRIPT.format(prelude=prelude, settings=SETTINGS, epochs=EPOCHS, trials=trials)
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", text], cwd=folder, env=environment(), capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        sys.exit(f"the script failed:\n{done.stderr[-3000:]}")
    return Timing(float(done.stdout.partition("PER_TRIAL ")[2].split()[0]), seconds)


def run(command: list[str], folder: Path) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return time.perf_counter() - began


def environment() -> dict[str, str]:
    data = str(Path(os.environ.get("DATA_DIR", "data")).resolve())
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return os.environ | quiet | {"PYTHONPATH": path, "DATA_DIR": data}


CONTESTANTS: dict[str, Callable[[Path, int], Timing]] = {
    "sweep": sweep,
    "shell": shell,
    "autolog": autolog,
    "plain": plain,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep_speed")
    parser.add_argument("contestants", nargs="*", metavar="NAME", help=", ".join(CONTESTANTS))
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=1, help="rounds; medians are printed")
    typed = parser.parse_args()
    names = typed.contestants or list(CONTESTANTS)
    if unknown := set(names) - set(CONTESTANTS):
        parser.error(f"no contestant {', '.join(sorted(unknown))}; known: {', '.join(CONTESTANTS)}")
    timings: dict[str, list[Timing]] = {name: [] for name in names}
    for _ in range(typed.repeat):
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                timings[name].append(CONTESTANTS[name](Path(folder), typed.trials))
            print(
                f"{name:<8} {timings[name][-1].per_trial:6.2f} s a trial  {timings[name][-1].command:6.1f} s in all",
                flush=True,
            )
    medians = {name: statistics.median(timing.per_trial for timing in found) for name, found in timings.items()}
    if "sweep" in medians:
        for name, seconds in medians.items():
            print(f"{name:<8} takes {seconds / medians['sweep']:5.2f} times as long a trial as the sweep")


if __name__ == "__main__":
    main()
