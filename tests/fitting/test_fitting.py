"""Training and scoring: seeds, batches, and the weights that the model ends with."""

import contextlib
import gc
import signal
import weakref

import keras
import numpy as np
import pytest

from src import fitting
from src.errors import ModelFileError, TrainingDiverged
from src.fitting import Weights, fit, training
from src.models import predict
from src.process.interrupt import Interrupted, deferred
from src.schema import direction_of, sign_of
from tests.support.training import BATCHES, METRICS, STANDING_STILL, multiplied_in_epoch_2, ready


def test_the_same_seed_gives_the_same_history_and_another_seed_another() -> None:
    one, again, another = (fit(*ready(f"seed={seed}")).history["val_loss"] for seed in (1, 1, 2))
    assert again == pytest.approx(one, rel=1e-4)
    assert another != pytest.approx(one, rel=1e-2)


@pytest.mark.parametrize(("max_garbage", "is_freed"), [(-(2**40), True), (2**40, False)])
def test_what_an_earlier_model_left_is_freed_when_the_process_has_grown(
    max_garbage: int, is_freed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitting.seed_everything(1)
    monkeypatch.setattr(training, "MAX_GARBAGE", max_garbage)
    gc.collect()
    layer = keras.layers.Dense(1)
    layer.itself = layer
    earlier = weakref.ref(layer)
    del layer
    fitting.seed_everything(1)
    assert (earlier() is None) is is_freed


def test_a_precision_holds_for_the_layers_built_inside_its_block_and_ends_with_it() -> None:
    with fitting.precision("mixed_bfloat16"):
        inside = keras.layers.Dense(2)
    with pytest.raises(ZeroDivisionError), fitting.precision("mixed_float16"):
        _ = 1 / 0
    assert (inside.compute_dtype, inside.variable_dtype) == ("bfloat16", "float32")
    assert keras.layers.Dense(2).compute_dtype == "float32"


MONITORS = ["loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1", "val_brier"]  # each kind in each direction


@pytest.mark.parametrize("monitor", MONITORS)
def test_the_weights_of_the_epoch_that_is_best_by_the_monitor_are_restored(monitor: str) -> None:
    model, dataset, config = ready(f"training.monitor={monitor}")
    fitted = fit(model, dataset, config, on_batches=multiplied_in_epoch_2(model, 10, []))  # as right, but too sure
    values = fitted.history[monitor]
    best = values.index(max(values, key=lambda value: sign_of(direction_of(monitor)) * value))
    assert dataset.validation
    scores = fitting.score(model, dataset.validation, config.loss)
    assert (fitted.best_epoch, fitted.stopped) == (best + 1, None)
    validated = {name: fitted.history[f"val_{name}"][best] for name in ("loss", "accuracy")}
    assert scores.metrics == pytest.approx(validated, rel=1e-4)


def test_without_validation_the_last_weights_stay() -> None:
    model, dataset, config = ready("dataset.validation_size=0")
    kept: list[Weights] = []
    fitted = fit(model, dataset, config, [lambda epoch, logs: kept.append(model.get_weights())])
    assert (set(fitted.history), fitted.best_epoch, fitted.stopped) == (METRICS, 2, None)
    np.testing.assert_equal(model.get_weights(), kept[1])


def test_early_stopping_ends_after_that_many_epochs_without_a_better_one() -> None:
    fitted = fit(*ready(*STANDING_STILL, "training.early_stopping_patience=2", "training.epochs=5"))
    assert (len(fitted.history["loss"]), fitted.best_epoch, fitted.stopped) == (3, 1, "early_stopping")


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


class Signaling(keras.layers.Layer):
    """Ctrl-C in the middle of a call, where raising at once may crash TensorFlow."""

    whole_calls = 0

    def call(self, inputs: object) -> object:
        signal.raise_signal(signal.SIGINT)
        self.whole_calls += 1
        return inputs


@pytest.mark.usefixtures("signals_are_ours")
@pytest.mark.parametrize("work", ["fit", "score", "probabilities"])
def test_a_signal_takes_effect_between_two_batches(work: str) -> None:
    whole, dataset, config = ready()
    signaling = Signaling()
    works = {
        "fit": lambda model: fit(model, dataset, config),
        "score": lambda model: fitting.score(model, dataset.test, config.loss),
        "probabilities": lambda model: fitting.probabilities(model, dataset.test.images),
    }
    with contextlib.suppress(Interrupted), deferred():  # Keras calls it once to see its shapes
        model = keras.Model(whole.input, signaling(whole.output))
    fitting.compile_model(model, config, BATCHES)
    signaling.whole_calls = 0
    with pytest.raises(Interrupted):
        works[work](model)
    assert signaling.whole_calls == 1  # not stopped inside, and no second batch


def test_a_score_is_what_keras_evaluates_with_the_probabilities_in_order() -> None:
    model, dataset, config = ready()
    scores = fitting.score(model, dataset.test, config.loss)
    evaluated = model.evaluate(dataset.test.images, dataset.test.labels, verbose=0, return_dict=True)
    assert scores.metrics == pytest.approx(evaluated, rel=1e-4)
    np.testing.assert_allclose(scores.probabilities, predict(model, dataset.test.images), atol=1e-5)


def test_copied_weights_make_the_same_predictions() -> None:
    source, dataset, _ = ready("seed=1")
    target = fitting.copy_weights(source, ready("seed=2")[0])
    np.testing.assert_equal(predict(target, dataset.test.images), predict(source, dataset.test.images))


def test_weights_of_another_network_are_refused_by_name_with_both_shapes() -> None:
    with pytest.raises(ModelFileError, match=r"of run 7 do not fit dense: got 784x8, 8, .*, expected 784x9, 9, "):
        fitting.copy_weights(ready("model.dense=[8]")[0], ready("model.dense=[9,7]")[0], "run 7")


@pytest.mark.parametrize("validation_size", [0, 16])
def test_weights_that_become_nan_in_the_very_last_batch_are_noticed(validation_size: int) -> None:
    one_batch = ["training.epochs=1", "training.batch_size=128", "optimizer.learning_rate=1e20"]
    model, dataset, config = ready("model.dense=[16]", f"dataset.validation_size={validation_size}", *one_batch)

    def train_and_score() -> None:  # without validation only scoring can tell
        fit(model, dataset, config)
        fitting.score(model, dataset.test, config.loss)

    with pytest.raises(TrainingDiverged):
        train_and_score()
