"""The data, the network and the log of trials, which all contestants share.

Each contestant searches `filters_0`, `filters_1`, `kernel_size_0`, `kernel_size_1`, `dropout` and `learning_rate` of
LeNot, at random, so that none of them trains smaller networks than another.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(os.environ.get("PEERS_FOLDER", ".")).absolute()  # Ray trains in other folders
TRACKING = f"sqlite:///{FOLDER / 'mlflow.db'}"
STORAGE = f"sqlite:///{FOLDER / 'optuna.db'}"
NAME = "peers"  # of the experiment and of the study
IMAGES = 10_000
FILTERS_0, FILTERS_1, KERNEL_SIZES = (4, 16), (8, 48), (3, 5)
DROPOUT, LEARNING_RATE = (0.0, 0.5), (1e-4, 1e-2)
BATCH = 128


def prepare() -> None:
    """Write the images, and create both databases, which two processes cannot do at the same time."""
    import mlflow
    import optuna

    from src.cli.compose import compose_config
    from src.datasets import load_dataset

    config = compose_config(["~local", "dataset.source=full", f"dataset.limit={IMAGES}"])
    data = load_dataset(config.dataset)
    assert data.validation is not None
    np.savez(
        FOLDER / "mnist.npz",
        train_images=data.train.images,
        train_labels=data.train.labels,
        validation_images=data.validation.images,
        validation_labels=data.validation.labels,
    )
    mlflow.set_tracking_uri(TRACKING)
    mlflow.create_experiment(NAME, artifact_location=(FOLDER / "mlruns").as_uri())
    optuna.create_study(study_name=NAME, storage=STORAGE, direction="maximize")


def load_images() -> dict[str, Any]:
    """Return the arguments of `fit` for the data: images as float32, (n, 28, 28, 1), 0-1."""
    with np.load(FOLDER / "mnist.npz") as file:
        train, validation = (file[f"{split}_images"].astype("float32") / 255 for split in ("train", "validation"))
        validation_data = (validation, file["validation_labels"])
        return {"x": train, "y": file["train_labels"], "validation_data": validation_data, "batch_size": BATCH}


def build(values: Mapping[str, Any]) -> Any:
    """Return LeNot, compiled."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.ZeroPadding2D(2),
            layers.Conv2D(values["filters_0"], values["kernel_size_0"], activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(values["filters_1"], values["kernel_size_1"], activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
            layers.Dropout(values["dropout"]),
            layers.Dense(10, activation="softmax"),
        ]
    )
    optimizer = keras.optimizers.RMSprop(values["learning_rate"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@contextmanager
def noted(values: Mapping[str, Any]) -> Iterator[None]:
    """Note in `trials.jsonl` that a trial begins in this process, and that it ended without an error."""
    _note("began", values)
    yield
    _note("ended", values)


def _note(event: str, values: Mapping[str, Any]) -> None:
    line = {"event": event, "values": dict(sorted(values.items())), "pid": os.getpid(), "time": time.time()}
    with (FOLDER / "trials.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
