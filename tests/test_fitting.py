"""Training and scoring: seeds, optimizers, batches, who watches an epoch, and whose weights the model ends with."""

import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
import pytest

from src import fitting
from src.compose import CONF, compose_config
from src.datasets import Dataset, Split, load_dataset
from src.errors import ModelFileError, TrainingDiverged
from src.fitting import Weights, fit
from src.models import build_model, predict
from src.schema import MONITORS, Config, CosineConfig

BATCHES = 4  # in an epoch: 112 images to train on, 16 to validate with
SMALL = ["dataset=synthetic", "dataset.train_size=128", "dataset.test_size=1100", "model=dense", "model.dense=[]"]
SMALL += ["training.epochs=2", "training.batch_size=28", "training.steps_per_execution=1"]
STANDING_STILL = ["optimizer=sgd", "optimizer.learning_rate=1e-20"]  # too little to change a weight
COSINE = ["schedule=cosine", "schedule.alpha=0.2"]
PLATEAU = [*STANDING_STILL, "schedule=reduce_on_plateau", "schedule.patience=1", "schedule.min_learning_rate=4e-21"]
METRICS = {"loss", "accuracy", "learning_rate", "epoch_seconds", "images_per_second"}
ADAM = {"beta_1": 0.8, "beta_2": 0.7, "epsilon": 1e-3}
OPTIMIZERS: dict[str, tuple[Any, dict[str, Any]]] = {  # every setting, none at its default
    "adam": (keras.optimizers.Adam, ADAM | {"amsgrad": True}),
    "adamw": (keras.optimizers.AdamW, ADAM | {"amsgrad": True, "weight_decay": 0.125}),
    "nadam": (keras.optimizers.Nadam, ADAM),
    "rmsprop": (keras.optimizers.RMSprop, {"rho": 0.8, "momentum": 0.1, "epsilon": 1e-3, "centered": True}),
    "sgd": (keras.optimizers.SGD, {"momentum": 0.1, "nesterov": False}),
}


def ready(*overrides: str) -> tuple[keras.Model, Dataset, Config]:
    """A small network, compiled, and what to train it on."""
    config = compose_config([*SMALL, *overrides])
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


def test_the_same_seed_gives_the_same_history_and_another_seed_another() -> None:
    one, again, another = (fit(*ready(f"seed={seed}")).history["val_loss"] for seed in (1, 1, 2))
    assert again == pytest.approx(one, rel=1e-4)
    assert another != pytest.approx(one, rel=1e-2)


def test_a_precision_holds_for_the_layers_built_inside_its_block_and_ends_with_it() -> None:
    with fitting.precision("mixed_bfloat16"):
        inside = keras.layers.Dense(2)
    with pytest.raises(ZeroDivisionError), fitting.precision("mixed_float16"):
        _ = 1 / 0
    assert (inside.compute_dtype, inside.variable_dtype) == ("bfloat16", "float32")
    assert keras.layers.Dense(2).compute_dtype == "float32"


@pytest.mark.parametrize("name", [path.stem for path in sorted(CONF.glob("optimizer/*.yaml"))])
def test_an_optimizer_is_keras_own_with_every_setting_of_its_config(name: str) -> None:
    kind, settings = OPTIMIZERS[name]
    settings = settings | {"learning_rate": 0.25, "clipnorm": 0.5}
    config = compose_config([f"optimizer={name}", *(f"optimizer.{key}={value}" for key, value in settings.items())])
    assert asdict(config.optimizer) == settings | {"name": name}
    optimizer = fitting.build_optimizer(config, BATCHES)
    assert {key: optimizer.get_config()[key] for key in settings} == pytest.approx(settings)
    assert type(optimizer) is kind


@pytest.mark.parametrize(
    ("warmup_epochs", "rates"), [(2, {0: 0, 8: 0.25, 16: 0.5, 28: 0.3, 40: 0.1}), (0, {0: 0.5, 20: 0.3, 40: 0.1})]
)
def test_cosine_warms_up_to_the_learning_rate_and_falls_to_alpha_times_it(warmup_epochs: int, rates: Any) -> None:
    schedule = CosineConfig(name="cosine", warmup_epochs=warmup_epochs, alpha=0.2)
    rate = fitting.cosine_with_warmup(0.5, schedule, epochs=5, steps_per_epoch=8)
    assert {step: float(rate(step)) for step in rates} == pytest.approx(rates)


@pytest.mark.parametrize(("schedule", "rates"), [(COSINE, [1e-3, 2e-4]), (PLATEAU, [1e-20, 1e-20, 5e-21, 4e-21])])
def test_the_history_shows_the_learning_rate_that_a_schedule_gives(schedule: list[str], rates: list[float]) -> None:
    fitted = fit(*ready(*schedule, f"training.epochs={len(rates)}"))
    assert fitted.history["learning_rate"] == pytest.approx(rates, rel=1e-5, abs=0)


def labelled(count: int) -> Split:
    values = np.arange(count, dtype=np.uint8)
    return Split(values.reshape(-1, 1, 1, 1), values)


def epoch_of(batches: Any) -> tuple[list[int], list[int]]:
    """Labels and batch sizes of one epoch; every image must come as bytes, with its own label."""
    epoch = list(batches.as_numpy_iterator())
    for images, labels in epoch:
        assert (images.dtype.name, images.ravel().tolist()) == ("uint8", labels.tolist())
    return [int(label) for _, labels in epoch for label in labels], [len(labels) for _, labels in epoch]


def test_an_epoch_holds_every_image_once_in_an_order_of_its_seed_and_its_number() -> None:
    one, again, another = (fitting.training_batches(labelled(50), batch_size=16, seed=seed) for seed in (1, 1, 2))
    epochs = [epoch_of(batches) for batches in (one, one, another)]
    assert [(sorted(labels), sizes) for labels, sizes in epochs] == [(list(range(50)), [16, 16, 16, 2])] * 3
    assert len({tuple(range(50)), *(tuple(labels) for labels, _ in epochs)}) == 4
    assert epoch_of(again) == epochs[0]


def test_observers_see_each_epoch_from_1_with_all_its_metrics_and_on_batches_counts_within_it() -> None:
    seen: list[tuple[int, dict[str, float]]] = []
    batches: list[int] = []
    history = fit(*ready(), [lambda epoch, logs: seen.append((epoch, dict(logs)))], batches.append).history
    assert ([epoch for epoch, _ in seen], batches) == ([1, 2], [1, 2, 3, 4] * 2)
    assert set(history) == METRICS | {"val_loss", "val_accuracy"}
    assert history == {name: [logs[name] for _, logs in seen] for name in seen[0][1]}


def test_one_observer_ends_the_training_and_the_others_still_see_that_epoch() -> None:
    seen: list[int] = []
    fitted = fit(*ready("training.epochs=3"), [lambda epoch, _: epoch == 2, lambda epoch, _: seen.append(epoch)])
    assert (seen, fitted.stopped, len(fitted.history["loss"])) == ([1, 2], "observer", 2)


@pytest.mark.parametrize("monitor", MONITORS)
def test_the_weights_of_the_epoch_that_is_best_by_the_monitor_are_restored(monitor: str) -> None:
    model, dataset, config = ready(f"training.monitor={monitor}")
    fitted = fit(model, dataset, config, on_batches=multiplied_in_epoch_2(model, 10, []))  # as right, but too sure
    values = fitted.history[monitor]
    best = values.index(min(values) if monitor.endswith("loss") else max(values))
    assert dataset.validation
    scores = fitting.score(model, dataset.validation)
    assert (fitted.best_epoch, fitted.stopped) == (best + 1, None)
    assert scores[:2] == pytest.approx([fitted.history[name][best] for name in ("val_loss", "val_accuracy")], rel=1e-4)


def test_without_validation_the_last_weights_stay() -> None:
    model, dataset, config = ready("dataset.validation_size=0")
    kept: list[Weights] = []
    fitted = fit(model, dataset, config, [lambda epoch, logs: kept.append(model.get_weights())])
    assert (set(fitted.history), fitted.best_epoch, fitted.stopped) == (METRICS, 2, None)
    np.testing.assert_equal(model.get_weights(), kept[1])


def test_early_stopping_ends_after_as_many_epochs_without_a_better_one() -> None:
    fitted = fit(*ready(*STANDING_STILL, "training.early_stopping_patience=2", "training.epochs=5"))
    assert (len(fitted.history["loss"]), fitted.best_epoch, fitted.stopped) == (3, 1, "early_stopping")


@pytest.mark.parametrize(("rate", "epoch", "remedy"), [("1e+20", 1, "0.001"), ("0.0005", 2, "5e-05")])
def test_a_loss_that_is_no_number_ends_the_run_with_epoch_rate_and_remedy(rate: str, epoch: int, remedy: str) -> None:
    model, dataset, config = ready("model.dense=[16]", f"optimizer.learning_rate={rate}")
    seen: list[int] = []
    sentence = f"nan in epoch {epoch} with optimizer.learning_rate={rate}; try optimizer.learning_rate={remedy} "
    with pytest.raises(TrainingDiverged, match=re.escape(sentence)):
        fit(model, dataset, config, on_batches=multiplied_in_epoch_2(model, np.nan, seen))
    assert seen[-1] < BATCHES  # at once, not at the end of the epoch


@pytest.mark.parametrize(("by_observer", "whole_epochs"), [(False, 1), (True, 2)])
def test_an_interruption_leaves_the_weights_of_the_last_whole_epoch(by_observer: bool, whole_epochs: int) -> None:
    model, dataset, config = ready()
    kept: list[Weights] = []

    def stop(*_: object) -> None:
        if len(kept) == whole_epochs:
            raise KeyboardInterrupt

    keep = [lambda epoch, logs: kept.append(model.get_weights())]
    with pytest.raises(KeyboardInterrupt):
        fit(model, dataset, config, [*keep, stop] if by_observer else keep, stop)
    np.testing.assert_equal(model.get_weights(), kept[-1])


def test_a_score_is_what_keras_evaluates_with_the_probabilities_in_order() -> None:
    model, dataset, _ = ready()
    scores = fitting.score(model, dataset.test)
    assert scores[:2] == pytest.approx(model.evaluate(dataset.test.images, dataset.test.labels, verbose=0), rel=1e-4)
    np.testing.assert_allclose(scores.probabilities, predict(model, dataset.test.images), atol=1e-5)


def test_copied_weights_make_the_same_predictions() -> None:
    source, dataset, _ = ready("seed=1")
    target = fitting.copy_weights(source, ready("seed=2")[0])
    np.testing.assert_equal(predict(target, dataset.test.images), predict(source, dataset.test.images))


def test_weights_of_another_network_are_refused_by_name_with_both_shapes() -> None:
    with pytest.raises(ModelFileError, match=r"of run 7 do not fit dense: it has 784x8, 8, .*, needed are 784x9, 9, "):
        fitting.copy_weights(ready("model.dense=[8]")[0], ready("model.dense=[9,7]")[0], "run 7")


@pytest.mark.parametrize("validation_size", [0, 16])
def test_weights_that_are_lost_in_the_very_last_batch_are_noticed(validation_size: int) -> None:
    one_batch = ["training.epochs=1", "training.batch_size=128", "optimizer.learning_rate=1e20"]
    model, dataset, config = ready("model.dense=[16]", f"dataset.validation_size={validation_size}", *one_batch)

    def train_and_score() -> None:  # without validation only scoring can tell
        fit(model, dataset, config)
        fitting.score(model, dataset.test)

    with pytest.raises(TrainingDiverged):
        train_and_score()


def test_on_batches_never_counts_more_batches_than_an_epoch_has() -> None:
    seen: list[int] = []
    fit(*ready("training.steps_per_execution=3"), (), seen.append)
    assert seen == [3, 4, 3, 4]


@pytest.mark.parametrize(("warmup_epochs", "epochs", "steps"), [(1.9, 2, 4), (0.6, 1, 1)])
def test_a_warm_up_leaves_at_least_one_step(warmup_epochs: float, epochs: int, steps: int) -> None:
    schedule = CosineConfig(name="cosine", warmup_epochs=warmup_epochs, alpha=0.2)
    rate = fitting.cosine_with_warmup(0.5, schedule, epochs, steps)
    assert float(rate(epochs * steps)) == pytest.approx(0.1)


def test_an_observer_that_speaks_after_the_last_epoch_stops_nothing() -> None:
    assert fit(*ready(), [lambda epoch, logs: epoch == 2]).stopped is None
