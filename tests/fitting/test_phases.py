"""Transfer learning: features that are computed once, and two phases in one history."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from src import fitting
from src.cli.compose import compose_config
from src.datasets import Dataset, Split, load_dataset
from src.errors import NotEnoughMemory
from src.fitting import fit, memory, phases
from src.fitting.phases import features_of, split_at_features
from src.models import build_model, predict
from src.models.transfer import backbone_layers, load_backbone
from src.schema import Config

pytestmark = pytest.mark.services  # they train several times

SMALL = [
    "dataset=synthetic",
    "dataset.train_size=72",
    "dataset.test_size=16",
    "model=transfer",
    "model.backbone=MobileNet",
]
SMALL += ["model.input_size=32", "model.dropout=0", "training.epochs=4", "training.batch_size=16", "optimizer=adam"]
SMALL += ["optimizer.learning_rate=0.01"]
FINE_TUNED = ["model.mode=fine_tuning", "model.head_epochs=2"]


def two_blocks(include_top: bool, weights: None, input_tensor: Any = None, input_shape: Any = None) -> keras.Model:
    """The first two of MobileNet's thirteen blocks, narrower, under Keras' names."""
    images = features = keras.Input(input_shape) if input_tensor is None else input_tensor
    steps: list[tuple[str, keras.layers.Layer]] = [("conv1", layers.Conv2D(8, 3, strides=2, use_bias=False))]
    for block in (1, 2):
        steps.append((f"conv_dw_{block}", layers.DepthwiseConv2D(3, strides=2, use_bias=False)))
        steps.append((f"conv_pw_{block}", layers.Conv2D(16 * block, 1, use_bias=False)))
    for name, convolution in steps:
        convolution.name = name
        features = layers.BatchNormalization(name=f"{name}_bn")(convolution(features))
        features = layers.ReLU(6.0, name=f"{name}_relu")(features)
    return keras.Model(keras.utils.get_source_inputs(images), features)


@pytest.fixture(scope="module", autouse=True)
def short_backbone() -> Iterator[None]:
    """How deep a backbone is makes no difference to the phases, but to how long these tests take."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keras.applications, "MobileNet", two_blocks)
        yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, short_backbone: None) -> str:
    """A backbone that distinguishes images: random kernels, each normalization fitted to its input."""
    config = compose_config([*SMALL, "model.weights=null"])
    images = load_dataset(config.dataset).train.images
    keras.utils.set_random_seed(0)
    model = build_model(config.model, (28, 28, 1), 10)
    for layer in backbone_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable, layer.momentum = True, 0.0
    model(images, training=True)
    backbone = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3))
    backbone.set_weights([weight for layer in backbone_layers(model) for weight in layer.get_weights()])
    path = tmp_path_factory.mktemp("weights") / "mobilenet.weights.h5"
    backbone.save_weights(path)
    return str(path)


def ready(weights: str, *overrides: str) -> tuple[keras.Model, Dataset, Config]:
    config = compose_config([*SMALL, f"model.weights={weights}", *overrides])
    dataset = load_dataset(config.dataset)
    fitting.seed_everything(config.seed)
    model = build_model(config.model, dataset.input_shape, len(dataset.class_names))
    load_backbone(model, config.model)
    fitting.compile_model(model, config, 4)
    return model, dataset, config


def backbone_weights(model: keras.Model, kind: Any = keras.layers.Layer) -> list[Any]:
    return [weight for layer in backbone_layers(model) if isinstance(layer, kind) for weight in layer.get_weights()]


def changed(before: list[Any], after: list[Any]) -> int:
    return sum(not np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_the_two_halves_of_a_network_are_the_network(weights: str) -> None:
    model, dataset, _ = ready(weights)
    backbone, head = split_at_features(model)
    features = features_of(backbone, dataset.test)
    assert features.images.dtype == np.float32
    answers = head(features.images, training=False)
    np.testing.assert_allclose(answers, predict(model, dataset.test.images), atol=1e-6)


def test_feature_extraction_trains_the_classifier_and_no_weight_of_the_backbone(weights: str) -> None:
    model, dataset, config = ready(weights)
    before = backbone_weights(model)
    fitted = fit(model, dataset, config)
    assert changed(before, backbone_weights(model)) == 0
    assert fitted.history["loss"][-1] < fitted.history["loss"][0]
    assert fitted.phases == ()


@pytest.mark.parametrize("overrides", [[], FINE_TUNED])
def test_one_thread_for_each_operation_changes_nothing(
    overrides: list[str], weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    model, dataset, config = ready(weights, *overrides)
    assert len(fit(model, dataset, config).history["loss"]) == config.training.epochs


def test_the_backbone_is_run_once_for_each_image(weights: str) -> None:
    model, dataset, config = ready(weights)
    seen: list[int] = []
    first = backbone_layers(model)[0]
    call = first.call

    def counted(images: Any, **settings: Any) -> Any:
        keras.tree.map_structure(lambda batch: seen.append(1), images)
        return call(images, **settings)

    first.call = counted
    fit(model, dataset, config)
    traced = len(seen)
    fit(model, dataset, config)
    assert 0 < traced <= 4  # one trace for each split; the epochs run the classifier alone


def test_the_figures_of_cached_features_are_those_of_the_network(weights: str) -> None:
    model, dataset, config = ready(weights)
    fitted = fit(model, dataset, config)
    assert dataset.validation
    scores = fitting.score(model, dataset.validation, config.loss)
    assert scores.metrics["loss"] == pytest.approx(fitted.history["val_loss"][fitted.best_epoch - 1], rel=1e-4)


def test_a_metric_of_the_predictions_selects_the_best_epoch_of_both_phases(weights: str) -> None:
    model, dataset, config = ready(weights, *FINE_TUNED, "training.monitor=val_brier")
    fitted = fit(model, dataset, config)
    values = fitted.history["val_brier"]
    assert (len(values), values[fitted.best_epoch - 1]) == (4, min(values))
    assert dataset.validation
    scores = fitting.score(model, dataset.validation, config.loss, ["brier"])
    assert scores.metrics["brier"] == pytest.approx(min(values), rel=1e-4)


def test_fine_tuning_continues_from_the_classifier_at_a_lower_rate(weights: str) -> None:
    seen: list[int] = []
    model, dataset, config = ready(weights, *FINE_TUNED)
    fitted = fit(model, dataset, config, [lambda epoch, _: seen.append(epoch)])
    assert (seen, fitted.phases) == ([1, 2, 3, 4], (("classifier", 1), ("fine-tuning", 3)))
    assert fitted.history["learning_rate"] == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3])


def test_a_schedule_covers_the_epochs_that_early_stopping_left_for_fine_tuning(weights: str) -> None:
    still = ["optimizer=sgd", "optimizer.learning_rate=1e-20", "training.early_stopping_patience=1"]
    fine_tuned = ["model.mode=fine_tuning", "model.head_epochs=3", "schedule=cosine", "schedule.warmup_epochs=0"]
    fitted = fit(*ready(weights, *still, *fine_tuned, "training.monitor=val_loss"))
    assert fitted.phases == (("classifier", 1), ("fine-tuning", 3))  # epochs 3 and 4, not 4 alone
    assert fitted.history["learning_rate"][2:] == pytest.approx([0.5e-21, 0], abs=1e-30)


def test_fine_tuning_that_does_not_fit_into_memory_is_refused_with_a_suggestion(
    weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, dataset, config = ready(weights, *FINE_TUNED)
    frozen, per_image = memory.min_memory(model)
    monkeypatch.setattr(memory, "free_memory", lambda: frozen + 16 * per_image)
    with pytest.raises(NotEnoughMemory, match=r"training transfer with batches of 16 needs at least"):
        fit(model, dataset, config)


def test_fine_tuning_trains_the_last_block_and_keeps_every_statistic(weights: str) -> None:
    model, dataset, config = ready(weights, *FINE_TUNED, "training.monitor=loss")
    kernels = backbone_weights(model, keras.layers.Conv2D)
    statistics = backbone_weights(model, keras.layers.BatchNormalization)
    fit(model, dataset, config)
    assert changed(statistics, backbone_weights(model, keras.layers.BatchNormalization)) == 0
    assert changed(kernels, backbone_weights(model, keras.layers.Conv2D)) == 1  # the pointwise one of block 2


@pytest.mark.parametrize("is_ruined", [False, True])
def test_the_weights_of_the_better_phase_are_kept(weights: str, is_ruined: bool) -> None:
    gently = ["training.monitor=val_loss", "optimizer=sgd", "optimizer.learning_rate=0.1"]
    gently += ["model.learning_rate_factor=1e-6"]
    model, dataset, config = ready(weights, *FINE_TUNED, *gently)
    epochs: list[int] = []
    turned: list[int] = []

    def turn_the_classifier_around(batches: int) -> None:
        if is_ruined and len(epochs) == 2 and not turned:
            turned.append(batches)
            classifier = model.get_layer("probabilities")
            classifier.set_weights([-weight for weight in classifier.get_weights()])

    fitted = fit(model, dataset, config, [lambda epoch, _: epochs.append(epoch)], turn_the_classifier_around)
    values = fitted.history["val_loss"]
    assert fitted.best_epoch == values.index(min(values)) + 1
    assert (fitted.best_epoch <= 2) == is_ruined
    assert dataset.validation
    assert fitting.score(model, dataset.validation, config.loss).metrics["loss"] == pytest.approx(min(values), rel=1e-3)


@pytest.mark.parametrize("epoch", [1, 2, 3])  # 2 is the last epoch of the first phase
def test_an_observer_can_end_either_phase_and_with_it_the_training(weights: str, epoch: int) -> None:
    model, dataset, config = ready(weights, *FINE_TUNED)
    fitted = fit(model, dataset, config, [lambda at, _: at == epoch])
    assert (len(fitted.history["loss"]), fitted.stopped) == (epoch, "observer")


@pytest.mark.parametrize("epoch", [2, 4])
def test_an_interruption_leaves_the_weights_of_the_last_whole_epoch(weights: str, epoch: int) -> None:
    model, dataset, config = ready(weights, *FINE_TUNED)
    kept: list[Any] = []

    def keep(at: int, _: dict[str, float]) -> None:
        kept[:] = [model.get_weights()]

    batches: list[int] = []

    def interrupt(count: int) -> None:
        batches.append(count)
        if len(kept) and len(history) == epoch - 1:
            raise KeyboardInterrupt

    history: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        fit(model, dataset, config, [keep, lambda at, _: history.append(at)], interrupt)
    assert changed(kept[0], model.get_weights()) == 0


def test_the_first_epoch_includes_the_time_for_the_features(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[float] = []
    now = time.perf_counter

    def late_features(*arguments: Any) -> Split:
        late.append(1e6)
        return features_of(*arguments)

    monkeypatch.setattr(time, "perf_counter", lambda: now() + sum(late))
    monkeypatch.setattr(phases, "features_of", late_features)
    seconds = fit(*ready(weights)).history["epoch_seconds"]
    assert [round(value / 1e6) for value in seconds] == [2, 0, 0, 0]  # of training and of validation


def test_weights_can_start_from_a_file_in_the_folder_of_the_command(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.weights.h5").write_bytes(Path(weights).read_bytes())
    monkeypatch.chdir(tmp_path)
    assert len(fit(*ready("own.weights.h5", "training.epochs=1")).history["loss"]) == 1


def test_with_augmentation_the_backbone_sees_every_batch_and_stays_frozen(weights: str) -> None:
    model, dataset, config = ready(weights, "augmentation=light", "training.epochs=3")
    before = backbone_weights(model)
    fitted = fit(model, dataset, config)
    assert changed(before, backbone_weights(model)) == 0
    assert fitted.history["loss"][-1] < fitted.history["loss"][0]
