"""Trainings on one device and on two, in a process with two logical CPUs: `python -m tests.support.replicas FOLDER`.

A machine's devices are fixed when TensorFlow starts, so this needs a process of its own.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from src.process.environment import prepare_environment

SGD = ("optimizer=sgd", "optimizer.momentum=0.9")
EXACT = ("optimizer.learning_rate=0.001", "model.dropout=0", "training.epochs=3")
LAYERS = (*SGD, *EXACT)
ADAMW = ("optimizer=adamw", "optimizer.epsilon=0.1")
CASES: dict[str, Sequence[str]] = {
    "everything": (
        *LAYERS,
        "training.class_weights=balanced",
        "augmentation=photos",
        "dataset.flips=true",
        "dataset.limit=401",  # 301 to train on: the last of 12 batches has 15, which are 8 and 7
        "training.batch_size=26",
        "schedule=reduce_on_plateau",
        "training.metrics=[brier]",
    ),
    # With the usual epsilon of 1e-7 the first steps of Adam have the size of the learning rate for any gradient, and
    # the sign of one that is only rounding.
    "another network": (*EXACT, *ADAMW, "model.conv.0.filters=3", "training.epochs=2"),
    "a last batch of one image": (*LAYERS, "dataset.limit=401", "training.batch_size=20", "training.epochs=2"),
    "without validation": (*LAYERS, "dataset.validation_size=0", "training.epochs=2", "optimizer.l2=1"),
    "mixed precision": (*LAYERS, "training.precision=mixed_float16", "training.epochs=2", "training.metrics=[brier]"),
}
FINE_TUNED = ("model=transfer", "model.backbone=MobileNet", "model.input_size=32", "model.mode=fine_tuning")
RESUMED = "everything"


def start_with_two_cpus() -> None:
    """Start TensorFlow as on a machine with two devices."""
    prepare_environment()
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


def compare(typed: Sequence[str], folder: Path, *, resumes: bool = False) -> dict[str, Any]:
    """Both trainings: the history and the weights of each, and whether a resumed one is equal to the second."""
    from tests.fitting.test_state import TIMES, train  # after the devices are set

    one, two = (train([*typed, f"training.devices={count}"], folder / str(count)) for count in (1, 2))
    found: dict[str, Any] = {
        "histories": [
            {name: values for name, values in trained.fitted.history.items() if name not in TIMES}
            for trained in (one, two)
        ],
        "weights": [[weight.tolist() for weight in trained.model.get_weights()] for trained in (one, two)],
        "phases": [trained.fitted.phases for trained in (one, two)],
    }
    if resumes:
        again = train([*typed, "training.devices=2"], folder / "again", two.checkpoints[1])
        on_one = train([*typed, "training.devices=1"], folder / "on_one", two.checkpoints[1])
        found["resumed"] = again.result == two.result
        found["resumed on one"] = [weight.tolist() for weight in on_one.model.get_weights()]
    return found


def main(folder: Path) -> None:
    """Write `results.json`."""
    start_with_two_cpus()
    from tests.fitting.test_phases import two_blocks  # after the devices are set

    keras.applications.MobileNet = two_blocks
    keras.utils.set_random_seed(0)
    weights = folder / "mobilenet.weights.h5"
    backbone = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3))
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(layer.gamma * 4)  # else its features are nearly 0, and nothing is learned from them
    backbone.save_weights(weights)
    transfer = (*FINE_TUNED, f"model.weights={weights}", *LAYERS, "model.head_epochs=1", "optimizer.learning_rate=0.1")
    cases = CASES | {"transfer learning": transfer}
    results = {name: compare(typed, folder / name, resumes=name == RESUMED) for name, typed in cases.items()}
    (folder / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
