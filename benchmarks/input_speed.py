"""Images per second of the input pipeline, and of the networks that it feeds.

python -m benchmarks.input_speed                    all of it
python -m benchmarks.input_speed arrays/ours        only this
python -m benchmarks.input_speed --images 4000      size of the folder

    arrays/ours        the training batches of this project from MNIST's arrays in memory
    arrays/tf.data     from_tensor_slices(...).shuffle(all).batch(128).prefetch(AUTOTUNE), float32
    folder/ours        a folder of gray PNG files: decoded once, in parallel, into a cache
    folder/keras       keras.utils.image_dataset_from_directory on the same folder
    NETWORK            the compiled train step of a network on one batch that stays in memory: its highest speed

The first epoch of `ours` includes reading all files. Each contestant is a process; its imports do not count.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring import Figures, arguments, chosen, in_turn, keep, positive, ratio, ready, run, threads
from src.cli.compose import compose_config
from src.schema import Config

BATCH, SIDE, CLASSES = 128, 96, 10
NETWORKS = ("dense", "cnn_64_64", "cnn_mnist_v1", "cnn_mnist_v2", "lenot", "lenet5", "fashion_cnn", "resnet18")
INPUTS = ("arrays/ours", "arrays/tf.data", "folder/ours", "folder/keras")


def main() -> None:
    names = [*INPUTS, *NETWORKS]
    parser = arguments(__doc__, names, repetitions=3)
    parser.add_argument("--images", type=positive, default=4_000)
    options = parser.parse_args()

    def contestant(name: str) -> Callable[[Path], Figures]:
        def measure(folder: Path) -> Figures:
            if name.startswith("folder"):
                draw_pictures(folder / "pictures", options.images)
            variables = threads(composed(f"model={name}")) if name in NETWORKS else {}
            done = run(["-m", "benchmarks.input_speed", "--measure", name], folder, **variables)
            return dict(json.loads(done.output.splitlines()[-1]))

        return measure

    named = chosen(options, names)
    ready(named)
    measured = in_turn({name: contestant(name) for name in names}, options.repeat, named)
    ratios = {}
    for one, other in (("arrays/ours", "arrays/tf.data"), ("folder/ours", "folder/keras")):
        if {one, other} <= measured.keys():
            for epochs, figure in (("first epoch", "first_epoch"), ("later epochs", "images_per_second")):
                ratios[f"{one} / {other}, {epochs}"] = ratio(measured, one, other, figure)
    for network in NETWORKS:
        if {network, "arrays/ours"} <= measured.keys():
            found = ratio(measured, "arrays/ours", network, "images_per_second")
            ratios[f"arrays/ours / what {network} takes"] = found
    keep("input_speed", measured, options.publish, images=options.images, ratios=ratios)


def measure(name: str, epochs: int = 5) -> None:
    """Print the images per second of the first epoch and of the later ones; runs in the measured process."""
    if name in NETWORKS:
        print(json.dumps({"images_per_second": network_speed(name)}))
        return
    importlib.import_module("src.fitting")  # TensorFlow and Keras: not part of what is measured
    began = time.perf_counter()
    batches = {
        "arrays/ours": our_arrays,
        "arrays/tf.data": plain_arrays,
        "folder/ours": our_folder,
        "folder/keras": keras_folder,
    }[name]()
    count, seconds = 0, []
    for _ in range(epochs):
        count = sum(len(labels) for _, labels in batches)
        now = time.perf_counter()
        seconds.append(now - began)
        began = now
    later = sorted(seconds[1:])[len(seconds[1:]) // 2]
    print(json.dumps({"first_epoch": count / seconds[0], "images_per_second": count / later}))


def composed(*overrides: str) -> Config:
    return compose_config(["~local", *overrides])


def our_arrays() -> Any:
    from src.datasets import load_dataset
    from src.fitting.batches import training_batches

    return training_batches(load_dataset(composed("dataset.source=full").dataset).train, BATCH, seed=1)[0]


def plain_arrays() -> Any:
    import tensorflow as tf

    from src.datasets import load_dataset

    train = load_dataset(composed("dataset.source=full").dataset).train
    data = tf.data.Dataset.from_tensor_slices((train.images.astype("float32") / 255, train.labels))
    return data.shuffle(len(train)).batch(BATCH).prefetch(tf.data.AUTOTUNE)


def our_folder() -> Any:
    from src.datasets import load_dataset
    from src.fitting.batches import training_batches

    typed = ["dataset=image_folder", "dataset.folder=pictures", f"dataset.image_size=[{SIDE},{SIDE}]"]
    typed += ["dataset.channels=1", "dataset.validation_size=0", "dataset.cache_dir=cache"]
    return training_batches(load_dataset(composed(*typed).dataset).train, BATCH, seed=1)[0]


def keras_folder() -> Any:
    import keras

    return keras.utils.image_dataset_from_directory(
        "pictures/train", batch_size=BATCH, image_size=(SIDE, SIDE), color_mode="grayscale", seed=1, verbose=False
    )


def draw_pictures(folder: Path, count: int) -> None:
    """Write `count` gray PNG files of 128x128 pixels in ten classes for training, and one of each class for testing."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(1)
    for number in range(count + CLASSES):
        kind = folder / ("train" if number < count else "test") / f"class_{number % CLASSES}"
        kind.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (16, 16), np.uint8))
        coarse.resize((128, 128), Image.Resampling.BICUBIC).save(kind / f"{number:05}.png")


def network_speed(name: str) -> float:
    """Return the images per second of the network's train step alone."""
    import numpy as np

    from benchmarks.notebook import step_seconds
    from src import fitting
    from src.models import build_model

    config = composed(f"model={name}")
    model = build_model(config.model, (28, 28, 1), CLASSES)
    random = np.random.default_rng(1)
    images, labels = random.integers(0, 256, (BATCH, 28, 28, 1), np.uint8), random.integers(0, CLASSES, BATCH)
    return BATCH / step_seconds(model, images, labels, fitting.parts_for(config))


if __name__ == "__main__":
    if "--measure" in sys.argv:
        measure(sys.argv[2])
    else:
        main()
