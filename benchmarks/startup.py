"""The time that a command takes to answer, and the parts of the time to the first training step.

python -m benchmarks.startup

    bare NAME      NAME, as below, with a Hydra app of three lines and one configuration file
    configuration  python -m src.train --cfg job
    typo           python -m src.train model=lennot
    bad value      python -m src.train model.conv.1.kernel_size=15
    help           python -m src.train --help
    import keras   python -c "import keras"
    first step     python -m src.train, from its start to the end of an epoch of one batch

A bare app composes 10 files, `src.train` 34. At the end the benchmark prints the time of the imports before that first
step, by package, without the packages that each imports in turn.
"""

import contextlib
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import Failed, Figures, arguments, chosen, in_turn, keep, ratio, run

BARE = """
import hydra
@hydra.main(config_path=".", config_name="bare", version_base="1.3")
def main(config): pass
main()
"""
STEP = ["~local", "dataset=synthetic", "dataset.train_size=256", "training.epochs=1", "training.max_batches=1"]


def bare(*typed: str, expected: int = 0) -> Callable[[Path], Figures]:
    def measure(folder: Path) -> Figures:
        (folder / "bare.yaml").write_text("model: {name: lenot, dropout: 0.5}\n")
        (folder / "bare.py").write_text(BARE)
        return {"seconds": run(["bare.py", *typed], folder, expected, PYTHONPATH="").seconds}

    return measure


def first_step(folder: Path) -> Figures:
    """Measure the time from the process' start to the first epoch's metrics in MLflow."""
    began = time.time()
    done = run(["-m", "src.train", *STEP], folder)

    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    (run_id,) = set(re.findall(r"\b[0-9a-f]{32}\b", done.output))
    (point,) = client.get_metric_history(run_id, "loss")
    return {"seconds": point.timestamp / 1000 - began, "command_seconds": done.seconds}


def asked(*typed: str, expected: int = 0) -> Callable[[Path], Figures]:
    return lambda folder: {"seconds": run(["-m", "src.train", "~local", *typed], folder, expected).seconds}


CONTESTANTS: dict[str, Callable[[Path], Figures]] = {
    "bare configuration": bare("--cfg", "job"),
    "bare typo": bare("modle.name=lenet", expected=1),
    "bare bad value": bare("model.dropout.rate=0.5", expected=1),
    "bare help": bare("--help"),
    "configuration": asked("--cfg", "job"),
    "typo": asked("model=lennot", expected=2),
    "bad value": asked("model.conv.1.kernel_size=15", expected=2),
    "help": asked("--help"),
    "import keras": lambda folder: {"seconds": run(["-c", "import keras"], folder).seconds},
    "first step": first_step,
}


def imports(folder: Path, shown: int = 12) -> dict[str, float]:
    """Return the seconds of the imports before the first step, by package, each module without its own imports."""
    seconds: Counter[str] = Counter()
    done = run(["-X", "importtime", "-m", "src.train", *STEP], folder, TF_CPP_MIN_LOG_LEVEL="0")
    for line in done.output.splitlines():
        if found := re.match(r"import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)", line):
            seconds[found[2].partition(".")[0]] += int(found[1])
    return {name: micros / 1e6 for name, micros in seconds.most_common(shown)}


def main() -> None:
    options = arguments(__doc__, list(CONTESTANTS), repetitions=7).parse_args()
    measured = in_turn(CONTESTANTS, options.repeat, chosen(options, list(CONTESTANTS)))
    ratios = {
        f"{name} / bare {name}": ratio(measured, name, f"bare {name}", "seconds")
        for name in measured
        if f"bare {name}" in measured
    }
    breakdown = {}
    if "first step" in measured:
        with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Failed):
            breakdown = imports(Path(folder))
    for name, seconds in breakdown.items():
        print(f"importing {name:<20} {seconds:.3f} s")
    keep("startup", measured, options.publish, ratios=ratios, import_seconds=breakdown)


if __name__ == "__main__":
    main()
