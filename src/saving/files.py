"""A trained model as files: three formats, a manifest of SHA-256, and a check that each reads back equal."""

import contextlib
import errno
import json
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from absl import logging as absl_logging

from src.errors import ModelFileError, first_line
from src.foreign import describe_error
from src.models import predict
from src.places import literal_folder
from src.saving.contents import check_config, check_contents
from src.saving.own_layers import own_layers
from src.saving.stored import FORMATS, H5_FILE, KERAS_FILE, MANIFEST, SAVED_MODEL, check_manifest, file_digests
from src.writing import replacing

FLOAT_BYTES = 4
OVERHEAD = 64 * 1024  # bytes of a small network's file apart from its weights
ARRAY_OVERHEAD = 4 * 1024  # bytes of names and shapes for each array of weights
TOLERANCE = 1e-5  # maximum difference between the probabilities of the model before and after the round trip

Images = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]


def save_model(model: keras.Model, folder: Path, images: Images, formats: tuple[str, ...] = FORMATS) -> Path:
    """Write the model in each format, with a manifest, and read every format back.

    The folder appears under its name when it is complete and has been checked.

    Args:
        model: the model. Its optimizer and compilation are not saved.
        folder: where to write; it is replaced when it exists.
        images: uint8, (n, height, width, channels), for which the formats must give the same probabilities.
        formats: some of `model.keras`, `model.h5`, `saved_model`.

    Returns:
        The folder.

    Raises:
        ModelFileError: a format reads back as another model.
        OSError: the disk cannot be written.
    """
    with replacing(folder) as part:
        part.mkdir()
        with _hide_format_advice(), _disk_errors():
            for name in formats:
                check_room(part, file_size(model, name))
                if name == SAVED_MODEL:
                    with literal_folder(part) as plain:
                        model.export(plain / name, format="tf_saved_model", verbose=False)
                else:
                    uncompiled(model).save(part / name)
        (part / MANIFEST).write_text(json.dumps(file_digests(part), indent=2) + "\n")
        check_formats(part, formats, images, predict(model, images))
    return folder


def check_savable(model: keras.Model) -> None:
    """Raise ModelFileError unless the model could be written and read back; nothing is written."""
    try:
        config = keras.saving.serialize_keras_object(uncompiled(model))
        check_config(config, json.dumps(config))
    except Exception as error:  # of the layers' own code
        reason = str(error).partition(" is not read: ")[2] or describe_error(error)
        if found := re.search(r"Could not locate class '(\w+)'", str(error)):
            reason = f"its layer {found[1]} is not a class at the top level of a module of the extension"
        raise ModelFileError(
            f"the network {model.name} could not be read back after its training: {reason}; correct it, or train it "
            "with tracking.save_model=false"
        ) from error


def save_weights(model: keras.Model, file: Path) -> None:
    """Write the model as one `.keras` file, without reading it back."""
    try:
        with replacing(file) as part:
            check_room(file.parent, file_size(model))
            with _hide_format_advice(), _disk_errors():
                uncompiled(model).save(part)
    finally:
        with contextlib.suppress(OSError):
            file.parent.rmdir()  # only when it is empty


def file_size(model: keras.Model, name: str = KERAS_FILE) -> int:
    """Estimate the bytes of a format: the weights, and the names and shapes of layers."""
    copies = 2 if name == SAVED_MODEL else 1  # Keras exports each variable under two names
    return copies * (FLOAT_BYTES * int(model.count_params()) + OVERHEAD + ARRAY_OVERHEAD * len(model.weights))


def check_room(folder: Path, size: int) -> None:
    """Raise OSError unless that many bytes can be written to the folder; they are allocated for a moment.

    HDF5 ends the whole process when the disk becomes full while a file is being written.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, size)


def check_formats(folder: Path, formats: tuple[str, ...], images: Images, expected: Probabilities) -> None:
    """Raise ModelFileError unless each format in the folder gives the expected probabilities for the images."""
    for name in formats:
        difference = float(np.abs(predict_with(folder / name, images) - expected).max())
        if not difference <= TOLERANCE:
            raise ModelFileError(f"{name} reads back as another model: its probabilities differ by {difference:g}")


def formats_for(model: keras.Model, wanted: tuple[str, ...] = FORMATS) -> tuple[str, ...]:
    """Return those that fit the model: HDF5 reads back only Keras' public layers, and a few backbones have others."""
    is_plain = all(getattr(keras.layers, type(step).__name__, None) is type(step) for step in model.operations)
    return wanted if is_plain else tuple(name for name in wanted if name != H5_FILE)


def uncompiled(model: keras.Model) -> keras.Model:
    """Return the same layers and weights without the optimizer, which the `.keras` format would save too."""
    return keras.Model(model.input, model.output, name=model.name)


def load_model(path: Path) -> keras.Model:
    """Return the model in a `.keras` or `.h5` file, which is checked and read in Keras' safe mode: it cannot run code.

    Raises:
        ModelFileError: the file does not exist, is not a model, or contains more than layers of Keras and weights.
    """
    if not path.is_file():
        raise ModelFileError(f"there is no model file {path}")
    try:
        with own_layers(check_contents(path)), _hide_format_advice():
            return keras.models.load_model(path, compile=False, safe_mode=True)
    except ModelFileError:
        raise
    except Exception as error:  # a damaged file makes Keras, zipfile and HDF5 raise almost any error
        raise ModelFileError(f"{path} is not a model that Keras can read: {first_line(error)}") from error


def predict_with(path: Path, images: Images) -> Probabilities:
    """Return the probabilities of a model in any of the three formats: float32, (n, classes)."""
    if path.name == SAVED_MODEL:
        check_manifest(path.parent)
        with literal_folder(path.parent) as plain:
            served: Any = tf.saved_model.load(str(plain / path.name))
        return np.asarray(served.serve(tf.constant(images)))
    return predict(load_model(path), images)


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turn errors of TensorFlow and HDF5 about the disk into an OSError with its number."""
    try:
        yield
    except (tf.errors.OpError, RuntimeError) as error:
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
            if os.strerror(number) in str(error):
                raise OSError(number, os.strerror(number)) from error
        raise


@contextmanager
def _hide_format_advice() -> Iterator[None]:
    """Hide Keras' advice to use `.keras` instead of HDF5: both are written on purpose."""
    verbosity = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        absl_logging.set_verbosity(verbosity)
