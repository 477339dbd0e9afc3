"""The cost of checkpoints, and of an order of the images that depends on the seed and the epoch.

python -m benchmarks.checkpoints

    none       LeNot on the full MNIST with training.checkpoint_minutes=null
    every      the same with training.checkpoint_minutes=0: a checkpoint after every epoch
    order      what the order of 60,000 images adds to reading their numbers in batches
    shuffle    the same for tf.data's shuffle
    large      one checkpoint of AlexNet, 61 million parameters, and their optimizer

An epoch lasts from the end of the one before it to its own end, so that what happens between epochs is part of it.
"""

import importlib
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring import Figures, arguments, chosen, in_turn, keep, positive, ratio, ready, run

EPOCHS, IMAGES, BATCH, REPEATED = 6, 60_000, 128, 20
NAMES = ("none", "every", "order", "shuffle", "large")


def main() -> None:
    parser = arguments(__doc__, NAMES, repetitions=5)
    parser.add_argument("--epochs", type=positive, default=EPOCHS)
    options = parser.parse_args()

    def contestant(name: str) -> Callable[[Path], Figures]:
        def measure(folder: Path) -> Figures:
            arguments = ["--measure", name, str(folder), str(options.epochs)]
            done = run(["-m", "benchmarks.checkpoints", *arguments], folder)
            return dict(json.loads(done.output.splitlines()[-1]))

        return measure

    named = chosen(options, NAMES)
    ready(named)
    measured = in_turn({name: contestant(name) for name in NAMES}, options.repeat, named)
    ratios = {}
    for one, other in (("every", "none"), ("order", "none"), ("order", "shuffle")):
        if {one, other} <= measured.keys():
            ratios[f"{one} / {other}"] = ratio(measured, one, other, "epoch_seconds")
    keep("checkpoints", measured, options.publish, epochs=options.epochs, ratios=ratios)


def measure(name: str, folder: Path, epochs: int) -> None:
    """Print the figures of a contestant; runs in the measured process."""
    if name in ("none", "every"):
        figures = {"epoch_seconds": epoch_seconds("0" if name == "every" else "null", folder, epochs)}
    elif name == "large":
        figures = large_checkpoint(folder)
    else:
        figures = {"epoch_seconds": order_seconds(is_ours=name == "order")}
    print(json.dumps(figures))


def epoch_seconds(minutes: str, folder: Path, epochs: int) -> float:
    """Return the median time of the epochs after the first one, with all that happens between two of them."""
    from src.cli.compose import compose_config
    from src.train import train

    ends: list[float] = []

    def note(epoch: int, metrics: dict[str, float]) -> None:
        ends.append(time.perf_counter())

    typed = ["~local", "dataset.source=full", f"training.epochs={epochs + 1}", f"training.checkpoint_minutes={minutes}"]
    train(compose_config([*typed, f"tracking.uri=sqlite:///{folder / 'mlflow.db'}"]), observers=[note])
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(ends))


def order_seconds(is_ours: bool) -> float:
    """Return the median time that an order adds to the batches of numbers of an epoch."""
    order: Any = importlib.import_module("src.fitting.order").EpochOrder(IMAGES, seed=1)
    tf, numpy = importlib.import_module("tensorflow"), importlib.import_module("numpy")
    plain = tf.data.Dataset.from_tensor_slices(numpy.arange(IMAGES // BATCH * BATCH).reshape(-1, BATCH))
    shuffled = tf.data.Dataset.range(IMAGES).shuffle(IMAGES, seed=1).batch(BATCH)
    ordered = order.batches(BATCH) if is_ours else shuffled
    added = []
    for epoch in range(REPEATED):
        order.on_epoch_begin(epoch)
        added.append(_seconds(ordered) - _seconds(plain))
    return statistics.median(added)


def _seconds(batches: Any) -> float:
    """Return the time of one pass through the batches."""
    start = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - start


def large_checkpoint(folder: Path) -> dict[str, float]:
    """Return the time and the size of one checkpoint of AlexNet, which is written three times."""
    import numpy as np

    from src import fitting, models
    from src.checkpointing import Arrays, Checkpoint, write
    from src.cli.compose import compose_config

    config = compose_config(["model=alexnet", "dataset=synthetic", "dataset.image_size=[224,224]"])
    model = models.build_model(config.model, (224, 224, 3), 1000)
    fitting.compile_model(model, config, 1)
    model.optimizer.build(model.trainable_variables)
    seconds, size = [], 0
    for epoch in (1, 2, 3):
        start = time.perf_counter()
        values = [np.asarray(variable) for variable in (*model.variables, *model.optimizer.variables)]
        size = write(folder / "checkpoint", Checkpoint(epoch, {}, {"variables": Arrays(epoch, values)}), {})
        seconds.append(time.perf_counter() - start)
    return {"write_seconds": statistics.median(seconds), "megabytes": size / 2**20, "parameters": model.count_params()}


if __name__ == "__main__":
    if "--measure" in sys.argv:
        measure(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
