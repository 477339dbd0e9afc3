"""The time of a sweep and of the scripts that it replaces: 20 LeNot trials, 2 epochs, 10,000 MNIST images each.

python -m benchmarks.sweep_speed                     all of them, in turn
python -m benchmarks.sweep_speed "2 workers" plain   only these
python -m benchmarks.sweep_speed --trials 6          fewer trials: quick, less certain

    N workers   this project, pruning off
    shell       a shell loop: one `python -m src.train` after the other, each recorded like a trial of a search
    shell full  the same, each with figures and a test score
    autolog     a plain Optuna script in one process, with mlflow.tensorflow.autolog()
    plain       the same script, recording nothing

`trial_seconds` is the time from the first trial's start to the last one's end, divided by the number of trials. The
other figures are the time of the whole command, the peak memory of the command itself and of its largest worker, and
the size of both databases.

Full MNIST is needed: DATA_DIR names the folder above it. `autolog` needs TensorBoard (pip install tensorboard).
"""

import contextlib
import datetime
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import TRAIN, Failed, Figures, arguments, chosen, in_turn, keep, positive, ratio, ready, run

EPOCHS, IMAGES = 2, 10_000
SETTINGS = ["dataset.source=full", f"dataset.limit={IMAGES}", f"training.epochs={EPOCHS}"]
SPACE = [
    "model.conv.0.filters=int(interval(4,16))",
    "model.conv.1.filters=int(interval(8,48))",
    "model.dropout=interval(0,0.5)",
    "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))",
]
WORKERS = (1, 2, 4)


def sweep(folder: Path, trials: int, workers: int) -> Figures:
    command = [*TRAIN, "-m", "hydra/sweeper=optuna", *SETTINGS, *SPACE]
    command += [f"hydra.sweeper.n_trials={trials}", f"hydra.sweeper.n_jobs={workers}"]
    memory = [0.0]
    done = run(command, folder, watch=lambda pid: memory.append(largest_child(pid)))
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = f"sqlite:///{folder / 'optuna.db'}"
    (name,) = optuna.get_all_study_names(storage)
    ended = optuna.load_study(study_name=name, storage=storage).trials
    if [trial.state.name for trial in ended] != ["COMPLETE"] * trials:
        raise Failed(f"not every trial was trained:\n{done.output[-3000:]}")
    began = min(trial.datetime_start or datetime.datetime.max for trial in ended)
    last = max(trial.datetime_complete or datetime.datetime.min for trial in ended)
    return {
        "trial_seconds": (last - began).total_seconds() / trials,
        "command_seconds": done.seconds,
        "peak_mb": done.peak_mb,
        "worker_peak_mb": max(memory),
        "optuna_db_mb": (folder / "optuna.db").stat().st_size / 1e6,
        "mlflow_db_mb": (folder / "mlflow.db").stat().st_size / 1e6,
    }


def largest_child(pid: int) -> float:
    """Return the MB of memory that the largest descendant of this process has now."""
    import psutil

    sizes = [0.0]
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                sizes.append(child.memory_info().rss / 1e6)
    return max(sizes)


def shell(folder: Path, trials: int, *overrides: str) -> Figures:
    """Train the trials one after the other, each with other values, as in a loop in a shell."""
    total, peak = 0.0, 0.0
    for number in range(trials):
        share = number / trials
        values = [
            f"model.conv.0.filters={4 + number % 13}",
            f"model.conv.1.filters={round(8 + 40 * share)}",
            f"model.dropout={0.5 * share}",
            f"optimizer.learning_rate={10 ** (2 * share - 4)}",
            f"seed={number}",
        ]
        done = run([*TRAIN, *SETTINGS, *values, *overrides], folder)
        total, peak = total + done.seconds, max(peak, done.peak_mb)
    return {"trial_seconds": total / trials, "command_seconds": total, "peak_mb": peak}


SCRIPT = """
import time, keras, optuna
optuna.logging.set_verbosity(optuna.logging.WARNING)
{prelude}
from src.cli.compose import compose_config
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


def script(folder: Path, trials: int, prelude: str = "") -> Figures:
    text = SCRIPT.format(prelude=prelude, settings=SETTINGS, epochs=EPOCHS, trials=trials)
    done = run(["-c", text], folder)
    per_trial = float(done.output.partition("PER_TRIAL ")[2].split()[0])
    return {"trial_seconds": per_trial, "command_seconds": done.seconds, "peak_mb": done.peak_mb}


AUTOLOG = "import mlflow; mlflow.set_tracking_uri('sqlite:///mlflow.db')\nmlflow.tensorflow.autolog()"


def main() -> None:
    names = [*(f"{count} worker{'s' * (count > 1)}" for count in WORKERS), "shell", "shell full", "autolog", "plain"]
    parser = arguments(__doc__, names, repetitions=1)
    parser.add_argument("--trials", type=positive, default=20)
    options = parser.parse_args()
    trials = options.trials
    contestants: dict[str, Callable[[Path], Figures]] = {
        **{name: _sweep_with(count, trials) for name, count in zip(names, WORKERS, strict=False)},
        "shell": lambda folder: shell(folder, trials, "tracking.detail=light", "evaluate_test=false"),
        "shell full": lambda folder: shell(folder, trials),
        "autolog": lambda folder: script(folder, trials, AUTOLOG),
        "plain": lambda folder: script(folder, trials),
    }
    named = chosen(options, names)
    ready(named)
    measured = in_turn(contestants, options.repeat, named)
    ratios = {
        f"trial_seconds of 2 workers / {name}": ratio(measured, "2 workers", name, "trial_seconds")
        for name in measured
        if "2 workers" in measured and name != "2 workers"
    }
    keep("sweep_speed", measured, options.publish, trials=trials, ratios=ratios)


def _sweep_with(workers: int, trials: int) -> Callable[[Path], Figures]:
    return lambda folder: sweep(folder, trials, workers)


if __name__ == "__main__":
    main()
