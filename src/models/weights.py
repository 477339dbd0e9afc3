"""Finding the pretrained weights of a backbone; needs neither Keras nor TensorFlow."""

from pathlib import Path

from src.errors import ModelFileError
from src.places import local_path
from src.schema import TransferConfig


def find_weights(config: TransferConfig) -> Path | None:
    """Return the file that `model.weights` names; None for ImageNet's weights and for random ones.

    Raises:
        ModelFileError: there is no such file, or it cannot be read.
    """
    if config.weights in (None, "imagenet"):
        return None
    file = local_path(str(config.weights))
    if not file.is_file():
        raise ModelFileError(
            f"model.weights={config.weights}: there is no such file; give imagenet, null, or a weights file"
        )
    try:
        file.open("rb").close()
    except OSError as error:
        raise ModelFileError(f"model.weights={config.weights} cannot be read: {error.strerror or error}") from error
    return file
