"""Images per second of the input pipeline, and of the networks that it feeds.

python -m benchmarks.input_speed                    all of it
python -m benchmarks.input_speed arrays/ours        only this
python -m benchmarks.input_speed --images 4000      size of the folder

    arrays/ours        the training batches of this project from MNIST's arrays in memory
    arrays/tf.data     from_tensor_slices(...).shuffle(all).batch(128).prefetch(AUTOTUNE), float32
    folder/ours        a folder of gray PNG files of 128x128 at 96x96: decoded once, in parallel, into a cache
    folder/keras       keras.utils.image_dataset_from_directory on the same folder
    small/...          the same with RGB PNG files of 64x64, read as they are
    photos/...         the same with JPEG files of about 500x375, crops of the photos of scikit-learn, at 128x128
    NETWORK            the compiled train step of a network on one batch that stays in memory: its highest speed

The first epoch of `ours` includes reading all files. `cpu_seconds` is the processor time of that epoch, which other
programs on the machine hardly change. Each contestant is a process; its imports and its settings do not count.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measuring import Figures, arguments, chosen, in_turn, keep, positive, ratio, ready, run, threads
from src.cli.compose import compose_config
from src.schema import Config, DatasetConfig

BATCH, CLASSES = 128, 10
NETWORKS = ("dense", "cnn_64_64", "cnn_mnist_v1", "cnn_mnist_v2", "lenot", "lenet5", "fashion_cnn", "resnet18")


class Folder(NamedTuple):
    """Image files: their suffix, their mean width and height, and the side and the channels that they are read with."""

    suffix: str
    width: int
    height: int
    side: int
    channels: int


FOLDERS = {
    "folder": Folder(".png", 128, 128, 96, 1),
    "small": Folder(".png", 64, 64, 64, 3),
    "photos": Folder(".jpg", 500, 375, 128, 3),
}
PAIRS = (("arrays/ours", "arrays/tf.data"), *((f"{name}/ours", f"{name}/keras") for name in FOLDERS))
INPUTS = tuple(name for pair in PAIRS for name in pair)


def main() -> None:
    names = [*INPUTS, *NETWORKS]
    parser = arguments(__doc__, names, repetitions=3)
    parser.add_argument("--images", type=positive, default=4_000)
    options = parser.parse_args()

    def contestant(name: str) -> Callable[[Path], Figures]:
        def measure(folder: Path) -> Figures:
            kind = name.partition("/")[0]
            if kind in FOLDERS:
                draw_pictures(folder / "pictures", options.images, FOLDERS[kind])
            variables = threads(composed(f"model={name}")) if name in NETWORKS else {}
            done = run(["-m", "benchmarks.input_speed", "--measure", name], folder, **variables)
            return dict(json.loads(done.output.splitlines()[-1]))

        return measure

    named = chosen(options, names)
    ready(named)
    measured = in_turn({name: contestant(name) for name in names}, options.repeat, named)
    ratios = {}
    for one, other in PAIRS:
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
    for module in ("keras", "src.fitting.batches", "src.datasets.loading", "src.datasets.image_folder"):
        importlib.import_module(module)  # not part of what is measured
    kind, _, who = name.partition("/")
    config = settings_for(kind)
    began, cpu_began = time.perf_counter(), time.process_time()
    if who == "keras":
        batches = keras_folder(FOLDERS[kind])
    else:
        batches = our_batches(config) if who == "ours" else plain_arrays(config)
    count, cpu = 0, 0.0
    seconds: list[float] = []
    for _ in range(epochs):
        count = sum(len(labels) for _, labels in batches)
        cpu = cpu or time.process_time() - cpu_began
        now = time.perf_counter()
        seconds.append(now - began)
        began = now
    later = sorted(seconds[1:])[len(seconds[1:]) // 2]
    print(json.dumps({"first_epoch": count / seconds[0], "images_per_second": count / later, "cpu_seconds": cpu}))


def composed(*overrides: str) -> Config:
    return compose_config(["~local", *overrides])


def settings_for(kind: str) -> DatasetConfig:
    """Return the data set of the arrays, or of a folder in the working folder."""
    if kind not in FOLDERS:
        return composed("dataset.source=full").dataset
    folder = FOLDERS[kind]
    typed = ["dataset=image_folder", "dataset.folder=pictures", f"dataset.image_size=[{folder.side},{folder.side}]"]
    typed += [f"dataset.channels={folder.channels}", "dataset.validation_size=0", "dataset.cache_dir=cache"]
    return composed(*typed).dataset


def our_batches(config: DatasetConfig) -> Any:
    from src.datasets import load_dataset
    from src.fitting.batches import training_batches

    return training_batches(load_dataset(config).train, BATCH, seed=1)[0]


def plain_arrays(config: DatasetConfig) -> Any:
    import tensorflow as tf

    from src.datasets import load_dataset

    train = load_dataset(config).train
    data = tf.data.Dataset.from_tensor_slices((train.images.astype("float32") / 255, train.labels))
    return data.shuffle(len(train)).batch(BATCH).prefetch(tf.data.AUTOTUNE)


def keras_folder(folder: Folder) -> Any:
    import keras

    return keras.utils.image_dataset_from_directory(
        "pictures/train",
        batch_size=BATCH,
        image_size=(folder.side, folder.side),
        color_mode="grayscale" if folder.channels == 1 else "rgb",
        seed=1,
        verbose=False,
    )


def draw_pictures(place: Path, count: int, folder: Folder) -> None:
    """Write `count` image files in ten classes for training, and one of each class for testing."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(1)
    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    for number in range(count + CLASSES):
        kind = place / ("train" if number < count else "test") / f"class_{number % CLASSES}"
        kind.mkdir(parents=True, exist_ok=True)
        width, height = folder.width, folder.height
        if folder.suffix == ".png":
            values = random.integers(0, 256, (16, 16, 3) if folder.channels == 3 else (16, 16), np.uint8)
            drawn = Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC)
        else:
            width, height = width + int(random.integers(-20, 21)), height + int(random.integers(-20, 21))
            left, top = int(random.integers(0, 640 - width)), int(random.integers(0, 427 - height))
            drawn = photos[number % 2].crop((left, top, left + width, top + height))
        drawn.save(kind / f"{number:05}{folder.suffix}", quality=90)


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
