"""Transfer learning: a backbone of `keras.applications`, with its preprocessing in the model, and a new classifier."""

import io
import re
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import keras
import numpy as np
from filelock import FileLock
from keras import layers

from src.errors import ConfigError, ModelFileError, first_line
from src.models.layers import classifier, pixels
from src.models.weights import find_weights
from src.places import local_path, read_variable
from src.schema import BACKBONES, TransferConfig

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of red, green, blue from 0 to 1
CAFFE_MEAN = (123.68, 116.779, 103.939)  # of red, green, blue from 0 to 255
# Keras' names for the blocks of its networks. Where there is a group, its text identifies the block.
BLOCK = re.compile(
    r"conv\d+_block\d+"  # ResNet, DenseNet
    r"|block\d+_\d+|mixed_?\d+[a-z]?$"  # Inception
    r"|stage_\d+_block_\d+"  # ConvNeXt
    r"|block_?\d+[a-z]?|expanded_conv(?:_\d+)?"  # VGG, Xception, EfficientNet, MobileNetV2 and V3
    r"|conv_[dp]w_(\d+)"  # MobileNet
    r"|(?:_|^)(?:normal|adjust|reduction)_\w*?((?:stem_|reduce_)?\d+)$"  # NASNet
)


def build_transfer(config: TransferConfig, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Return a network with a frozen backbone and random weights, as one flat graph; `load_backbone` loads others.

    A gray image becomes all three channels of the backbone's input.

    Reference:
        `keras.applications`, whose pages name the paper of each backbone; the procedure is that of Keras' guide to
        transfer learning: a frozen backbone, then its last blocks at a lower rate with fixed normalization statistics.
    """
    inputs, features = pixels(input_shape, config.input_size)
    if input_shape[-1] == 1:
        features = layers.Concatenate(name="gray_to_rgb")([features] * 3)
    features = _application(config.backbone, input_tensor=scaled(features, BACKBONES[config.backbone].scaling)).output
    model = keras.Model(inputs, classifier(features, num_classes, config.dropout), name=config.name)
    for layer in backbone_layers(model):
        layer.trainable = False
    check_blocks(model, config)
    return model


def scaled(images: keras.KerasTensor, scaling: str) -> keras.KerasTensor:
    """Scale images from [0, 1] as the backbone's `preprocess_input` scales them from [0, 255]."""
    if scaling == "tf":
        return layers.Rescaling(2.0, offset=-1.0, name="preprocess")(images)
    if scaling == "torch":
        variance = [std**2 for std in IMAGENET_STD]
        return layers.Normalization(mean=IMAGENET_MEAN, variance=variance, name="preprocess")(images)
    if scaling == "caffe":
        offset = [
            -mean for mean in CAFFE_MEAN
        ]  # red stays first: `copy_weights` reverses the channels of the first kernel
        return layers.Rescaling(255.0, offset=offset, name="preprocess")(images)
    return layers.Rescaling(255.0, name="preprocess")(images)


def backbone_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers between the preprocessing and the mean of each map, in the model's order."""
    names = [layer.name for layer in model.layers]
    return model.layers[names.index("preprocess") + 1 : names.index("features")]


def blocks_of(model: keras.Model) -> list[list[keras.layers.Layer]]:
    """Return the layers of each block of the backbone; a layer between two blocks belongs to the later one."""
    blocks: dict[str, list[keras.layers.Layer]] = {}
    waiting: list[keras.layers.Layer] = []
    for layer in backbone_layers(model):
        waiting.append(layer)
        if found := BLOCK.search(layer.name):
            blocks.setdefault(found[found.lastindex or 0], []).extend(waiting)
            waiting = []
    next(reversed(blocks.values())).extend(waiting)
    return list(blocks.values())


def unfreeze_last_blocks(model: keras.Model, count: int) -> None:
    """Make the last blocks of the backbone trainable, except for batch normalization, which keeps its statistics."""
    for block in blocks_of(model)[-count:]:
        for layer in block:
            layer.trainable = not isinstance(layer, layers.BatchNormalization)


def check_blocks(model: keras.Model, config: TransferConfig) -> None:
    """Raise ConfigError when the backbone has fewer blocks than `unfrozen_blocks`."""
    if config.mode == "fine_tuning" and config.unfrozen_blocks > (count := len(blocks_of(model))):
        raise ConfigError(
            f"model.unfrozen_blocks={config.unfrozen_blocks} is more than the {count} blocks of {config.backbone}; "
            f"use at most {count}"
        )


def load_backbone(model: keras.Model, config: TransferConfig) -> None:
    """Load the weights of the config into the backbone.

    Raises:
        ModelFileError: they cannot be found or downloaded, or belong to another network.
    """
    if config.weights is None:
        return
    file = find_weights(config)
    source = _imagenet(config.backbone) if file is None else _from_file(config, file)
    copy_weights(model, source, config.backbone)


def copy_weights(model: keras.Model, source: keras.Model, backbone: str) -> None:
    """Copy the weights of a backbone without a top, and adapt them to the preprocessing of this model."""
    ours = backbone_layers(model)
    weights = [weight for layer in ours for weight in layer.weights]
    for weight, value in zip(weights, source.get_weights(), strict=True):
        weight.assign(value)
    if BACKBONES[backbone].scaling == "caffe":  # its first convolution expects blue first
        kernel = next(layer for layer in ours if isinstance(layer, layers.Conv2D)).kernel
        kernel.assign(np.flip(kernel, axis=2))
    if backbone.startswith("EfficientNetB"):
        # With ImageNet's weights only, Keras divides by the root of the deviation after the normalization.
        normalization = next(layer for layer in ours if isinstance(layer, layers.Normalization))
        mean, variance, *count = normalization.get_weights()
        normalization.set_weights([mean, variance * np.array(IMAGENET_STD, np.float32), *count])
        normalization.finalize_state()  # it computes with copies of its weights


def _application(backbone: str, **settings: Any) -> keras.Model:
    build = getattr(keras.applications, backbone)
    return build(include_top=False, **({"weights": None} | settings))


def _imagenet(backbone: str) -> keras.Model:
    """Return the backbone with the weights that Keras downloads or finds in its cache."""
    cache = local_path(read_variable("KERAS_HOME") or "~/.keras") / "models"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{backbone}.lock"), redirect_stdout(io.StringIO()):  # Keras writes to the final name
            return _application(backbone, weights="imagenet", input_shape=(224, 224, 3))
    except Exception as error:  # Keras raises a bare Exception, the file's reader nearly anything
        url = re.search(r"https?://\S+/([\w.-]+\.h5)", str(error))
        file = url[1] if url else "its file without the top"
        raise ModelFileError(
            f"the ImageNet weights of {backbone} cannot be found or downloaded ({first_line(error)}); put "
            f"{file} into {cache}, set model.weights=FILE to a weights file, or use random ones: model.weights=null"
        ) from error


def _from_file(config: TransferConfig, file: Path) -> keras.Model:
    """Return the backbone with the weights of a file."""
    model = _application(config.backbone, input_shape=(224, 224, 3))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns about each layer before it raises
            model.load_weights(file)
    except Exception as error:  # a file of another network, or not a weights file
        raise ModelFileError(
            f"model.weights={config.weights} does not contain the weights of {config.backbone} without its top: "
            f"{first_line(error)}"
        ) from error
    return model
