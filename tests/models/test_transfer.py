"""Backbones of Keras: their preprocessing, their blocks, and the source of their weights."""

import functools
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from src.cli.compose import compose_config
from src.errors import ConfigError, ModelFileError
from src.models import build_model
from src.models.transfer import backbone_layers, blocks_of, copy_weights, load_backbone, unfreeze_last_blocks
from src.schema import BACKBONES, TransferConfig

# One backbone of each family, and how many blocks its paper or Keras counts; the quick ones have a scaling each.
QUICK = {"VGG16": 5, "MobileNetV2": 17, "EfficientNetB0": 16}
SLOW = {
    "ConvNeXtTiny": 18 + 3,  # and three that halve the side
    "DenseNet121": 6 + 12 + 24 + 16,
    "EfficientNetV2B0": 21,
    "InceptionResNetV2": 1 + 10 + 1 + 20 + 1 + 10,
    "InceptionV3": 11,
    "MobileNet": 13,
    "MobileNetV3Small": 11,
    "NASNetMobile": 2 + 4 + 1 + 4 + 1 + 4,
    "ResNet50": 16,
    "ResNet50V2": 16,
    "Xception": 14,
}
FAMILIES = [pytest.param(*item) for item in QUICK.items()] + [
    pytest.param(*item, marks=pytest.mark.slow) for item in SLOW.items()
]
EVERY_FAMILY = pytest.mark.parametrize(("backbone", "blocks"), FAMILIES)


def config_of(backbone: str = "MobileNetV2", **changes: Any) -> TransferConfig:
    side = BACKBONES[backbone].smallest
    settings = {"weights": None, "input_size": side} | changes
    return TransferConfig(name="net", family="transfer", backbone=backbone, **settings)


def built(backbone: str = "MobileNetV2", channels: int = 3, **changes: Any) -> keras.Model:
    config = config_of(backbone, **changes)
    return build_model(config, (BACKBONES[backbone].smallest, BACKBONES[backbone].smallest, channels), 4)


def some_images(backbone: str, channels: int = 3) -> npt.NDArray[np.uint8]:
    side = BACKBONES[backbone].smallest
    return np.random.default_rng(0).integers(0, 256, (2, side, side, channels), dtype=np.uint8)


@functools.cache
def bare(backbone: str) -> keras.Model:
    """Keras' own network without its top, its normalizations as if they had been trained."""
    side = BACKBONES[backbone].smallest
    model = getattr(keras.applications, backbone)(include_top=False, weights=None, input_shape=(side, side, 3))
    random = np.random.default_rng(1)
    model.set_weights(
        [weight if weight.ndim > 1 else random.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()]
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return model


def maps_of(model: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """What the backbone inside the model makes of raw images."""
    return keras.Model(model.input, model.get_layer("features").input)(images, training=False).numpy()


# --- the backbone ---------------------------------------------------------------------------------------------------


def test_the_backbones_are_those_of_keras() -> None:
    assert set(BACKBONES) == {name for name in vars(keras.applications) if name[0].isupper()}


@EVERY_FAMILY
def test_raw_images_reach_the_backbone_as_if_preprocessed_by_keras(backbone: str, blocks: int) -> None:
    model, theirs, images = built(backbone), bare(backbone), some_images(backbone)
    copy_weights(model, theirs, backbone)
    preprocess = sys.modules[getattr(keras.applications, backbone).__module__].preprocess_input
    prepared = preprocess(images.astype(np.float32))
    if backbone.startswith("EfficientNetB"):  # as Keras builds it for the weights of ImageNet
        normalization = next(layer for layer in theirs.layers if layer.name.startswith("normalization"))
        with_imagenet = keras.layers.Rescaling(1 / np.sqrt([0.229, 0.224, 0.225]))(normalization.output)
        scaled = keras.Model(theirs.input, with_imagenet)(prepared)
        after = theirs.layers[theirs.layers.index(normalization) + 1]
        expected = keras.Model(after.input, theirs.output)(scaled, training=False)
    else:
        expected = theirs(prepared, training=False)
    np.testing.assert_allclose(maps_of(model, images), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@EVERY_FAMILY
def test_a_backbone_has_the_blocks_of_its_family(backbone: str, blocks: int) -> None:
    model = built(backbone)
    found = blocks_of(model)
    assert len(found) == blocks
    assert {layer.name for block in found for layer in block} == {layer.name for layer in backbone_layers(model)}


def test_gray_images_are_given_to_all_three_channels() -> None:
    model, color = built("MobileNetV2", channels=1), built("MobileNetV2")
    copy_weights(model, bare("MobileNetV2"), "MobileNetV2")
    copy_weights(color, bare("MobileNetV2"), "MobileNetV2")
    gray = some_images("MobileNetV2", channels=1)
    np.testing.assert_allclose(maps_of(model, gray), maps_of(color, np.repeat(gray, 3, axis=-1)), atol=1e-5)


# --- what is trained ------------------------------------------------------------------------------------------------


def trainable(model: keras.Model) -> set[str]:
    return {layer.name for layer in model.layers if layer.trainable_weights}


def test_a_new_network_trains_only_its_classifier() -> None:
    assert trainable(built()) == {"probabilities"}


def test_the_last_blocks_can_be_unfrozen_all_but_their_normalization() -> None:
    model = built()
    unfreeze_last_blocks(model, 1)
    convolutions = {"block_16_expand", "block_16_depthwise", "block_16_project", "Conv_1"}
    assert trainable(model) == convolutions | {"probabilities"}


def test_more_unfrozen_blocks_than_the_backbone_has_are_refused_with_their_number() -> None:
    fine_tuned: dict[str, Any] = {"mode": "fine_tuning", "weights": "imagenet"}
    built(unfrozen_blocks=17, **fine_tuned)
    with pytest.raises(ConfigError, match=r"model\.unfrozen_blocks=18 is more than the 17 blocks of MobileNetV2"):
        built(unfrozen_blocks=18, **fine_tuned)


# --- weights --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["backbone.weights.h5", "backbone.keras"])
def test_a_file_gives_the_backbone_its_weights_and_leaves_the_classifier_alone(file: str, tmp_path: Path) -> None:
    theirs, path = bare("MobileNetV2"), tmp_path / file
    theirs.save(path) if path.suffix == ".keras" else theirs.save_weights(path)
    model = built()
    before = model.get_layer("probabilities").get_weights()
    load_backbone(model, config_of(weights=str(path)))
    ours = [weight for layer in backbone_layers(model) for weight in layer.get_weights()]
    assert all(np.array_equal(one, other) for one, other in zip(ours, theirs.get_weights(), strict=True))
    assert all(map(np.array_equal, model.get_layer("probabilities").get_weights(), before))


def test_the_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    bare("VGG16").save_weights(tmp_path / "vgg.weights.h5")
    with pytest.raises(
        ModelFileError, match=r"vgg\.weights\.h5 does not contain the weights of MobileNetV2 without its top"
    ):
        load_backbone(built(), config_of(weights=str(tmp_path / "vgg.weights.h5")))


@pytest.mark.parametrize("content", [None, b"", b"no weights"])
def test_a_file_that_is_missing_or_contains_no_weights_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "backbone.weights.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.weights=.*backbone\.weights\.h5"):
        load_backbone(built(), config_of(weights=str(path)))


def test_weights_that_cannot_be_downloaded_are_an_error_that_names_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there, with or without a network
    with pytest.raises(
        ModelFileError, match=r"put mobilenet_v2_weights_\w+\.0_224_no_top\.h5 into .*models, set model"
    ) as refusal:
        load_backbone(built(), config_of(weights="imagenet"))
    assert str(tmp_path) in str(refusal.value)


def test_a_run_composes_and_describes_its_network_without_any_weights() -> None:
    config = compose_config(["model=transfer", "dataset=synthetic"])
    assert build_model(config.model, config.dataset.input_shape, 10).count_params() > 2_000_000
