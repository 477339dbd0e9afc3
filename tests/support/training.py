"""A small network and its data, ready to train, for the tests of this folder."""

from collections.abc import Callable

import keras
import numpy as np

from src import fitting
from src.datasets import Dataset, load_dataset
from src.models import build_model
from src.schema import Config
from tests.support.configs import composed

BATCHES = 4  # in an epoch: 112 images to train on, 16 to validate with
SMALL = ["dataset=synthetic", "dataset.train_size=128", "dataset.test_size=1100", "model=dense", "model.dense=[]"]
SMALL += ["training.epochs=2", "training.batch_size=28", "training.steps_per_execution=1"]
STANDING_STILL = ["optimizer=sgd", "optimizer.learning_rate=1e-20"]  # too little to change a weight
METRICS = {"loss", "accuracy", "learning_rate", "epoch_seconds", "images_per_second"}


def ready(*overrides: str) -> tuple[keras.Model, Dataset, Config]:
    """A small network, compiled, and what to train it on."""
    config = composed(*SMALL, *overrides)
    dataset = load_dataset(config.dataset)
    fitting.seed_everything(config.seed)
    model = build_model(config.model, dataset.input_shape, len(dataset.class_names))
    fitting.compile_model(model, config, BATCHES)
    return model, dataset, config


def multiplied_in_epoch_2(model: keras.Model, factor: float, seen: list[int]) -> Callable[[int], None]:
    """An `on_batches` that notes what it sees, and multiplies the weights once, after the first batch of epoch 2."""

    def on_batches(batches: int) -> None:
        seen.append(batches)
        if len(seen) == BATCHES + 1:
            model.set_weights([weight * np.float32(factor) for weight in model.get_weights()])

    return on_batches
