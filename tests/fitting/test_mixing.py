"""Mixing of training images: shares of images and labels agree, and the training and its scores take mixed labels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from src.cli.compose import compose_config
from src.datasets import Split
from src.errors import ConfigError
from src.fitting import fit
from src.fitting.batches import training_batches
from src.fitting.losses import CrossEntropy
from src.fitting.metrics import Accuracy
from src.fitting.mixing import build_mixing
from src.schema import StandardAugmentationConfig
from tests.support.configs import Make
from tests.support.training import ready

CLASSES = 4
augmentation: Make = StandardAugmentationConfig
FULL = 240  # the pixels of class 0; those of the other classes are 0


def batch() -> tuple[tf.Tensor, tf.Tensor]:
    """32 images of 8 x 8 pixels: those of class 0 are bright all over, the others black."""
    labels = np.arange(32) % CLASSES
    images = np.where(labels == 0, FULL, 0).astype(np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)
    return tf.constant(images), tf.constant(labels.astype(np.uint16))  # as of a data set with many classes


@pytest.mark.parametrize("key", ["mixup", "cutmix"])
def test_the_label_of_a_mixed_image_has_the_shares_of_its_pixels(key: str) -> None:
    mixing = build_mixing(augmentation(**{key: 1.0}), CLASSES, seed=1)
    assert mixing is not None
    images, labels = mixing(*batch())
    assert (images.dtype, images.shape, labels.dtype, labels.shape) == (tf.uint8, (32, 8, 8, 1), tf.float32, (32, 4))
    assert np.sum(labels, axis=1) == pytest.approx(1)
    brightness = np.asarray(images).mean(axis=(1, 2, 3)) / FULL
    # CutMix pastes whole pixels, but counts the area of the rectangle itself.
    assert brightness == pytest.approx(np.asarray(labels)[:, 0], abs=0.01 if key == "mixup" else 0.2)
    assert ((brightness > 0.1) & (brightness < 0.9)).any()


@pytest.mark.parametrize("key", ["mixup", "cutmix"])
def test_the_parameter_says_how_evenly_images_are_mixed(key: str) -> None:
    def mean_evenness(value: float) -> float:
        mixing = build_mixing(augmentation(**{key: value}), CLASSES, seed=1)
        assert mixing is not None
        shares = np.concatenate([np.asarray(mixing(*batch())[1]).max(axis=1) for _ in range(8)])
        return float(1 - shares.mean())

    assert 0 < mean_evenness(0.1) < mean_evenness(1.0)


def test_batches_are_mixed_again_in_the_same_way_with_the_same_seed() -> None:
    images, labels = (np.asarray(part) for part in batch())
    split = Split(images, labels.astype(np.uint8))
    mixed = StandardAugmentationConfig(mixup=0.5)
    made = [training_batches(split, 8, seed=3, augmentation=mixed, num_classes=CLASSES)[0] for _ in range(2)]
    one, again = ([(np.asarray(x).tobytes(), np.asarray(y).tobytes()) for x, y in batches] for batches in made)
    assert one == again
    assert len(set(one)) == 4


@pytest.mark.parametrize("typed", [[], ["loss.label_smoothing=0.1"], ["loss=focal"]], ids=" ".join)
@pytest.mark.parametrize("key", ["mixup", "cutmix"])
def test_a_network_learns_from_mixed_images_and_is_scored_on_whole_ones(key: str, typed: list[str]) -> None:
    model, dataset, config = ready(f"augmentation.{key}=0.2", "training.epochs=3", *typed)
    fitted = fit(model, dataset, config)
    assert fitted.metrics["val_accuracy"] > 0.5
    assert fitted.history["accuracy"][-1] > 0.3


def test_the_loss_of_shares_is_the_mean_of_the_losses_of_both_classes() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1]], np.float32)
    mixed = float(CrossEntropy()(np.array([[0.25, 0.75, 0.0]], np.float32), probabilities))
    single = [float(CrossEntropy()(np.array([label], np.float32), probabilities)) for label in (0, 1)]
    assert mixed == pytest.approx(0.25 * single[0] + 0.75 * single[1])


def test_the_right_answer_for_a_mixed_image_is_the_class_with_the_larger_share() -> None:
    metric = Accuracy(name="accuracy")
    probabilities = keras.ops.convert_to_tensor([[0.6, 0.4], [0.6, 0.4]])
    metric.update_state(keras.ops.convert_to_tensor([[0.7, 0.3], [0.3, 0.7]]), probabilities)
    assert float(metric.result()) == 0.5


def test_mixing_is_refused_with_what_needs_one_label_for_each_image(more_kinds: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"^augmentation\.mixup with training\.class_weights=balanced: .*remove"):
        compose_config(["augmentation.mixup=0.2", "training.class_weights=balanced"])
    with pytest.raises(ConfigError, match=r"^augmentation\.cutmix with loss=distance: .*use loss=cross_entropy"):
        compose_config([*more_kinds, "augmentation.cutmix=1", "loss=distance"])
    with pytest.raises(ConfigError, match=r"^augmentation\.mixup=0\.2 and augmentation\.cutmix=1: .*one of them to 0"):
        compose_config(["augmentation.mixup=0.2", "augmentation.cutmix=1"])
