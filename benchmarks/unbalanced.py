"""The choice of a monitor when one class is much more frequent: `val_accuracy` compared with `val_macro_f1`.

python -m benchmarks.unbalanced
python -m benchmarks.unbalanced --dataset fashion_mnist

    accuracy    training.monitor=val_accuracy
    macro_f1    training.monitor=val_macro_f1

The training images are drawn from a data set: 2,000 of class 0 and 200 of each other class, of which 30 % are for
validation. All test images of the data set are used. Both contestants search the same random configurations of LeNot
with the same seeds, so they train the same networks and differ only in the epoch and the trial that they select. Each
repetition has the next seed.
"""

import gzip
import hashlib
import re
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import optuna

from benchmarks.measuring import TRAIN, Failed, Figures, arguments, chosen, in_turn, keep, positive, ratio, ready, run

NAMES = ("accuracy", "macro_f1")
FREQUENT, TIMES = 0, 10  # the class that is this many times as frequent as each of the others
IMAGES = 200  # of each other class
VALIDATION = 1_140  # of the 3,800 images
TRIALS, EPOCHS = 20, 12
SPACE = (
    "model.conv.0.filters=choice(4,8,16)",
    "model.conv.1.filters=choice(8,16,32)",
    "model.dropout=interval(0,0.5)",
    "optimizer.learning_rate=tag(log,interval(3e-4,1e-2))",
)


def main() -> None:
    parser = arguments(__doc__, NAMES, repetitions=3)
    parser.add_argument("--dataset", choices=("mnist", "fashion_mnist"), default="mnist")
    parser.add_argument("--trials", type=positive, default=TRIALS)
    parser.add_argument("--epochs", type=positive, default=EPOCHS)
    options = parser.parse_args()
    named = chosen(options, NAMES)
    ready(named)
    seeds = dict.fromkeys(NAMES, 0)

    def contestant(name: str) -> Callable[[Path], Figures]:
        def measure(folder: Path) -> Figures:
            seeds[name] += 1
            data = data_set(options.dataset, folder, seeds[name])
            return searched(folder, data, name, seeds[name], options.trials, options.epochs)

        return measure

    measured = in_turn({name: contestant(name) for name in NAMES}, options.repeat, named)
    found = {
        f"{figure} of macro_f1 / accuracy": ratio(measured, "macro_f1", "accuracy", figure)
        for figure in ("test_macro_f1", "test_accuracy")
        if len(measured) == 2
    }
    keep(
        f"unbalanced_{options.dataset}",
        measured,
        options.publish,
        trials=options.trials,
        epochs=options.epochs,
        ratios=found,
    )


def searched(folder: Path, data: Sequence[str], metric: str, seed: int, trials: int, epochs: int) -> Figures:
    """Search with one monitor, score the best trial's network on the test split, and return what was selected."""
    done = run(
        [
            *TRAIN,
            "-m",
            "hydra/sweeper=optuna",
            "hydra/sweeper/sampler=random",
            f"hydra.sweeper.sampler.seed={seed}",
            "hydra.sweeper.study_name=unbalanced",
            f"hydra.sweeper.n_trials={trials}",
            "hydra.sweeper.n_jobs=2",
            *data,
            f"seed={seed}",
            f"dataset.validation_size={VALIDATION}",
            f"training.epochs={epochs}",
            "training.metrics=[accuracy,macro_f1]",
            f"training.monitor=val_{metric}",
            *SPACE,
        ],
        folder,
        DATA_DIR=str(folder),
    )
    study = optuna.load_study(study_name="unbalanced", storage=f"sqlite:///{folder / 'optuna.db'}")
    best = study.best_trial
    scored = run(["-m", "src.evaluate", f"run_id={best.user_attrs['run_id']}"], folder, DATA_DIR=str(folder)).output
    figures = {"trial": float(best.number), "epoch": float(best.user_attrs["best_epoch"])}
    figures |= {name: best.user_attrs[f"best_{name}"] for name in ("val_accuracy", "val_macro_f1")}
    for name in ("test_accuracy", "test_macro_f1"):
        value = re.search(rf"{name} ([01]\.\d+)", scored)
        if value is None:
            raise Failed(f"the output has no {name}:\n{scored[-3000:]}")
        figures[name] = float(value[1])
    return figures | {"seconds": done.seconds}


def data_set(name: str, folder: Path, seed: int) -> list[str]:
    """Write the unbalanced data set into the folder, and return the settings that name it."""
    from src import datasets
    from src.cli.compose import compose_config

    typed = [f"dataset={name}", "dataset.source=full"]
    whole = datasets.load_dataset(compose_config(["~local", *typed, "dataset.validation_size=0"]).dataset)
    chosen = unbalanced(whole.train.labels, seed)
    arrays = {
        "train_images": whole.train.images[chosen],
        "train_labels": whole.train.labels[chosen],
        "test_images": whole.test.images,
        "test_labels": whole.test.labels,
    }
    settings = [
        *typed,
        "dataset.name=unbalanced",
        "dataset.folders=[${dataset.data_dir}/unbalanced]",
        "dataset.npz=null",
    ]
    (folder / "unbalanced").mkdir()
    for part, array in arrays.items():
        content = idx(np.asarray(array))
        (folder / "unbalanced" / f"{part}.gz").write_bytes(gzip.compress(content, compresslevel=1))
        digest = hashlib.sha256(content).hexdigest()
        settings += [f"dataset.files.{part}.name={part}", f"dataset.files.{part}.sha256={digest}"]
    return settings


def unbalanced(labels: npt.NDArray[np.integer], seed: int) -> npt.NDArray[np.intp]:
    """Return the indices, in a random order, of images of which one class is ten times as frequent as the others."""
    generator = np.random.default_rng(seed)
    kept = [
        generator.choice(np.flatnonzero(labels == label), IMAGES * (TIMES if label == FREQUENT else 1), replace=False)
        for label in range(labels.max() + 1)
    ]
    return generator.permutation(np.concatenate(kept))


def idx(array: npt.NDArray[np.integer]) -> bytes:
    """Return an array of images, (n, height, width, 1), or of labels, (n,), in the format of MNIST."""
    shape = array.shape[:3]
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + array.astype(np.uint8).tobytes()


if __name__ == "__main__":
    main()
